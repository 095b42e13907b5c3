"""The pages of the documentation, and the examples in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.problem import Problem

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference.md"
"""Made from the schemas."""
RULES = ROOT / "docs" / "rules.md"
"""Made from the rules."""
MADE = frozenset({REFERENCE, RULES})
"""Pages whose examples are run where they come from."""
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_BLOCK = re.compile(r"^```(?P<language>\w*) ?(?P<path>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Block:
    """An example: its language, its text, the heading under which it stands, and the line on which it begins; ``path``
    is the file that it is, where the page says so."""

    page: Path
    heading: str
    line: int
    language: str
    text: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """The examples in these languages, page by page, those of pages that are made left out."""
    return [
        block for page in PAGES if page not in MADE for block in _blocks(page) if block.language in languages
    ]


def block_of(page: Path, language: str, containing: str) -> Block:
    """The only example of ``page`` in ``language`` that contains a text."""
    (found,) = (block for block in _blocks(page) if block.language == language and containing in block.text)
    return found


def files_of(page: Path) -> dict[str, str]:
    """The examples of ``page`` that say which file they are, by path."""
    return {block.path: block.text for block in _blocks(page) if block.path}


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        headings = re.findall(r"^#+ (.+)$", text[: match.start()], re.MULTILINE)
        yield Block(
            page=page,
            heading=headings[-1] if headings else "",
            line=text.count("\n", 0, match.start("text")),
            language=match["language"],
            text=match["text"],
            path=match["path"],
        )


def beside_what_it_leaves_out(problems: Iterable[Problem]) -> list[Problem]:
    """The problems of an example, but for entries of the catalog that it does not use: it uses a part of them."""
    return [problem for problem in problems if problem.code != "catalog/unused"]


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of a ``console`` example, and the lines that it prints there."""

    line: str
    printed: str

    def prints(self, actual: str) -> bool:
        """Whether ``actual`` is what the example shows. ``…`` stands for any text, on a line of its own for any lines;
        an example that shows nothing leaves it open."""
        if not self.printed.strip():
            return True
        pattern = re.escape(self.printed.rstrip("\n"))
        pattern = re.sub(r"(?m)^…$", r"(?s:.*)", pattern.replace(r"\n", "\n")).replace("…", "[^\n]*")
        return re.fullmatch(pattern, actual.rstrip("\n")) is not None


def commands(block: Block) -> Iterator[Command]:
    """The commands of a ``console`` example, which begin with ``$``."""
    for part in re.split(r"(?m)^\$ ", block.text)[1:]:
        line, _, printed = part.partition("\n")
        yield Command(line=line, printed=printed)

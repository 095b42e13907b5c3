"""The page of the rules, as Markdown: what each finds, with an example that passes and one that fails, and what the
failing one prints.

``make docs`` (``python -m runner.review.rules_page``) writes ``docs/rules.md``; a test fails when it is stale.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import getdoc
from types import ModuleType

from runner.journey.project import load_project
from runner.problem import Problem
from runner.review import ignores
from runner.review.reporters import text_report
from runner.review.rule_examples import CATALOG_TEXT, HEADER, STEPS, TEMPLATES, example_files, examples
from runner.review.rules import RULES, Rule

_HEAD = """# Rules

What `journeys check` finds in projects whose files can all be read. An **error** would surely hurt, and fails the
check; a **warning** is doubtful, and fails it with `--strict` alone. Each finding ends with its code in brackets. What
the files themselves may hold is told in the [reference](reference.md); a mistake there is shown alike, with a caret
under it and what to write instead.

This page is made from the rules, and its examples are run; `make docs` writes it anew.
"""


def rules_page() -> str:
    """The whole page, ending with a line break. The same rules give the same text."""
    told = [_Told(module=sys.modules[rule.__module__], check=rule) for rule in RULES]
    told.sort(key=lambda each: each.codes)
    parts = [_HEAD, *_index(told), *_ignoring(), *_project()]
    for each in told:
        parts += each.section()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip("\n") + "\n"


@dataclass(frozen=True, kw_only=True)
class _Told:
    """One rule."""

    module: ModuleType
    check: Rule

    @cached_property
    def failing(self) -> Sequence[tuple[Mapping[str, str], tuple[Problem, ...], str]]:
        """Each failing example, what the rule finds in it, and what is printed of that."""
        found = []
        for overlay in examples(self.module, "Fails"):
            files = example_files(overlay)
            problems = tuple(sorted(self.check(load_project(files)), key=lambda problem: problem.span))
            found.append((overlay, problems, text_report(problems, files)))
        return found

    @cached_property
    def codes(self) -> tuple[str, ...]:
        problems = (problem for _, found, _ in self.failing for problem in found)
        return tuple(dict.fromkeys(problem.code for problem in problems))

    @property
    def anchor(self) -> str:
        return self.module.__name__.rsplit(".", 1)[-1].replace("_", "-")

    def severity(self, code: str) -> str:
        problems = (problem for _, found, _ in self.failing for problem in found)
        return next(problem.severity.value for problem in problems if problem.code == code)

    @property
    def says(self) -> str:
        """What the rule finds: its docstring without the examples."""
        return re.split(r"^(?:Passes|Fails):$", _docstring(self.module), maxsplit=1, flags=re.MULTILINE)[0]

    def section(self) -> Iterator[str]:
        yield f'<a id="{self.anchor}"></a>'
        yield f"## {', '.join(f'`{code}`' for code in self.codes)}"
        yield ""
        yield "; ".join(_kind(code, self.severity(code)) for code in self.codes) + "."
        yield ""
        yield self.says
        for passing in examples(self.module, "Passes"):
            yield from ("Passes:", "", *_block(passing))
        for failing, _, printed in self.failing:
            yield from ("Fails:", "", *_block(failing))
            yield from ("and this is printed:", "", "```text", printed, "```", "")


def _kind(code: str, severity: str) -> str:
    told = f"`{code}` is {'an error' if severity == 'error' else 'a warning'}"
    return f"{told}, and can be ignored with a reason" if code in ignores.IGNORABLE else told


def _index(told: Sequence[_Told]) -> Iterator[str]:
    yield from ("| code | | what it finds |", "|---|---|---|")
    for each in told:
        # The first sentence of a rule says what it finds.
        first = re.split(r"(?<=[.:])\s", " ".join(each.says.split()), maxsplit=1)[0].rstrip(":.")
        for code in each.codes:
            yield f"| [`{code}`](#{each.anchor}) | {each.severity(code)} | {first}. |"
    yield ""


def _ignoring() -> Iterator[str]:
    yield from ('<a id="ignoring"></a>', "## Ignoring a finding", "", _docstring(ignores))
    yield from (
        "",
        "```yaml",
        "steps:",
        "  - {id: bye, exit: done}",
        "  - id: later  # journeys: ignore[step/unreachable] comes back in spring",
        "    wait: 3d",
        "```",
        "",
        "Several codes stand in one bracket, with commas between. What is wrong with the comment itself is found as",
        "well: `ignore/unused` (a warning) where it hides nothing, `ignore/no-reason`, `ignore/syntax`,",
        "`ignore/place`, and `ignore/refused` for an error that cannot be ignored.",
        "",
    )


def _project() -> Iterator[str]:
    yield from ('<a id="project"></a>', "## The project of the examples", "")
    yield "The files of an example are laid over this project. A journey that begins with `steps` has this above:"
    yield from ("", "```yaml", HEADER.rstrip(), "```", "")
    yield "Where an example shows no journey, it has these steps; the templates go with the steps that send them:"
    yield from ("", "```yaml", STEPS.rstrip(), "```", "")
    yield from (
        "```text",
        *(f"# journeys/demo/{file}\n{text.rstrip()}" for file, text in TEMPLATES.items()),
        "```",
    )
    yield from ("", "The catalog; one that begins with `goals` or `policies` stands below it:")
    yield from ("", "```yaml", CATALOG_TEXT.rstrip(), "```", "")


def _block(overlay: Mapping[str, str]) -> Iterator[str]:
    yield "```yaml"
    for path, text in overlay.items():
        yield f"# {path}"
        yield text.rstrip("\n")
    yield from ("```", "")


def _docstring(module: ModuleType) -> str:
    return (getdoc(module) or "").replace("``", "`")


if __name__ == "__main__":
    sys.stdout.write(rules_page())

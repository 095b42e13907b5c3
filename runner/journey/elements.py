"""The elements of a piece of markup, as they open and close: to find the one at which its author went wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runner.journey.masking import RAW_TEXT

VOID = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    ]
)
"""Elements of HTML that have no end."""

_TAG = re.compile(
    r"""<!--.*?(?:-->|\Z)|<(?P<end>/?)(?P<name>[A-Za-z][\w:.-]*+)(?P<rest>(?:"[^"]*+"|'[^']*+'|[^<>"'])*+)>""",
    re.DOTALL,
)
"""A tag ends before the next begins: where none is ever closed, each looks no further than its neighbour."""

DEEPEST = 200
"""Elements within one another. Compilers descend into each with their own stack, of which there is little: at some
thousands they would end the process."""

_COMMENT = {"mjml": r"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)", "html": r"<!--(?:-?>|.*?(?:--!?>|\Z))"}
_SPACE = r" \t\n\f\r"
_VALUE = rf"""(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^{_SPACE}>"'][^{_SPACE}>]*+)"""
_ATTRIBUTE = rf"[^{_SPACE}/>][^{_SPACE}/>=]*+(?:[{_SPACE}]*+=[{_SPACE}]*+{_VALUE}?+)?+"
_READ = {
    extension: re.compile(
        rf"{comment}|<[!?][^>]*+|</(?![A-Za-z])[^>]*+"
        rf"|<(?P<end>/?)(?P<name>[A-Za-z][^{_SPACE}/>]*+)(?P<rest>(?:[{_SPACE}/]++|{_ATTRIBUTE})*+)",
        re.DOTALL,
    )
    for extension, comment in _COMMENT.items()
}
"""By the extension, what a compiler takes for a comment or a tag. Each match ends where that does, at the latest at the
end of the text, so that nothing is read twice."""
_CLOSED_BY_THE_NEXT = (
    frozenset({"p"}),
    frozenset({"li"}),
    frozenset({"dt", "dd"}),
    frozenset({"tr", "td", "th", "thead", "tbody", "tfoot"}),
)
"""Elements of HTML that end where one of their kind begins."""


@dataclass(frozen=True)
class Tag:
    """A tag at ``offset``. ``opens`` and ``closes`` are both true of one that is closed at once."""

    name: str
    offset: int
    opens: bool
    closes: bool


def tags(markup: str) -> Iterator[Tag]:
    """The tags of ``markup`` in their order; comments, and the text within ``<style>`` and its like, have none."""
    within = ""
    for match in _TAG.finditer(markup):
        name = (match["name"] or "").lower()
        if not name or (within and not (match["end"] and name == within)):
            continue
        within = ""
        at_once = name in VOID or match["rest"].rstrip().endswith("/")
        if not match["end"] and not at_once and name in RAW_TEXT:
            within = name
        yield Tag(name, match.start(), opens=not match["end"], closes=bool(match["end"]) or at_once)


def unbalanced(markup: str) -> tuple[Tag, str] | None:
    """The first tag without its fellow, and what is wrong with it."""
    open_: list[Tag] = []
    for tag in tags(markup):
        if tag.opens and not tag.closes:
            open_.append(tag)
        elif tag.closes and not tag.opens:
            if not open_ or all(each.name != tag.name for each in open_):
                return tag, f"</{tag.name}> closes nothing"
            if open_[-1].name != tag.name:
                return open_[-1], f"<{open_[-1].name}> is never closed"
            open_.pop()
    return (open_[-1], f"<{open_[-1].name}> is never closed") if open_ else None


def too_deep(markup: str, extension: str) -> int | None:
    """The offset of the tag that opens more than DEEPEST elements within one another; None where none does. What is
    read differently by different compilers counts as open."""
    open_: list[str] = []
    raw = ""
    for match in _READ[extension].finditer(markup):
        name = (match["name"] or "").lower()
        if not name:
            continue
        if match["end"]:
            if not raw or raw == name:
                raw = ""
                _close(open_, name)
            continue
        foreign = extension == "mjml" or "svg" in open_ or "math" in open_
        at_once = foreign and match["rest"].endswith("/")
        if at_once or (name in VOID and (extension == "mjml" or not foreign)):
            continue
        if not foreign:
            _close_before(open_, name)
        if not raw and name in RAW_TEXT:
            raw = name
        open_.append(name)
        if len(open_) > DEEPEST:
            return match.start()
    return None


def _close(open_: list[str], name: str) -> None:
    """Close the innermost element of that name, with those in it that need no end."""
    for index in range(len(open_) - 1, -1, -1):
        if open_[index] == name:
            del open_[index:]
            return
        if not any(open_[index] in alike for alike in _CLOSED_BY_THE_NEXT):
            return


def _close_before(open_: list[str], name: str) -> None:
    """Close what ends where an element of that name begins."""
    alike = next((each for each in _CLOSED_BY_THE_NEXT if name in each), None)
    if alike is None:
        return
    for index in range(len(open_) - 1, -1, -1):
        if open_[index] == name:
            del open_[index:]
            return
        if open_[index] != "p" and open_[index] not in alike:
            return

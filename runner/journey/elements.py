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
    r"""<!--.*?(?:-->|\Z)|<(?P<end>/?)(?P<name>[A-Za-z][\w:.-]*)(?P<rest>(?:"[^"]*"|'[^']*'|[^>"'])*)>""",
    re.DOTALL,
)


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

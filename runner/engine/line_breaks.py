"""Which line breaks of a template are part of what it says: all but those of lines on which tags stand alone.

A line that holds nothing but tags (``{% if … %}``, ``{# … #}``) leaves nothing behind, whether it is indented or not.
On any other line what stands beside a tag stays as it was written, its line break too; Jinja by itself knows only
"always" (``trim_blocks``) and "never". A ``-`` in a tag takes the white space on its side away as ever, and a ``+``
keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from jinja2.lexer import Lexer

Token = tuple[int, str, str]
"""Line, kind, and text, as Jinja's lexer has them."""


class _Kind(Enum):
    TEXT = "text"
    TAG = "tag"
    """One that prints nothing itself: a block, a comment, an end of ``raw``."""
    PRINT = "print"


_OPENS = {"block_begin": _Kind.TAG, "comment_begin": _Kind.TAG, "variable_begin": _Kind.PRINT}
_CLOSES = frozenset({"block_end", "comment_end", "variable_end"})
_WHOLE = {"data": _Kind.TEXT, "raw_begin": _Kind.TAG, "raw_end": _Kind.TAG}


@dataclass
class _Run:
    """Tokens that are one text or one tag. ``alone_before`` and ``alone_after``: on its line nothing but tags stands on
    that side of it."""

    kind: _Kind
    tokens: list[Token]
    alone_before: bool = False
    alone_after: bool = False

    @property
    def text(self) -> str:
        return self.tokens[0][2]

    @text.setter
    def text(self, text: str) -> None:
        line, kind, _ = self.tokens[0]
        self.tokens = [(line, kind, text)]

    @property
    def opening(self) -> str:
        """The sign within its first bracket, if there is one."""
        return self.tokens[0][2][2:3]

    @property
    def closing(self) -> str:
        """The sign within its last bracket, if there is one."""
        return self.tokens[-1][2].rstrip()[-3:-2]

    @property
    def alone(self) -> bool:
        return self.kind is _Kind.TAG and self.alone_before and self.alone_after


class LineLexer(Lexer):
    """Jinja's lexer, which leaves out the lines of tags that stand alone."""

    def tokeniter(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> Iterator[Token]:
        runs = list(_runs(super().tokeniter(source, name, filename, state)))
        _look_before(runs)
        _look_after(runs)
        _leave_out(runs)
        for run in runs:
            if run.kind is not _Kind.TEXT or run.text:
                yield from run.tokens


def _runs(tokens: Iterable[Token]) -> Iterator[_Run]:
    tag: _Run | None = None
    for token in tokens:
        if tag is not None:
            tag.tokens.append(token)
        elif token[1] in _OPENS:
            tag = _Run(_OPENS[token[1]], [token])
        else:
            yield _Run(_WHOLE.get(token[1], _Kind.PRINT), [token])
        if tag is not None and token[1] in _CLOSES:
            yield tag
            tag = None
    if tag is not None:
        yield tag


def _look_before(runs: Sequence[_Run]) -> None:
    alone = True
    for run in runs:
        if run.kind is _Kind.TEXT:
            _, line_break, rest = run.text.rpartition("\n")
            alone = not rest.strip() and bool(line_break or alone)
        elif run.kind is _Kind.PRINT:
            alone = False
        else:
            run.alone_before = alone = alone or run.opening == "-"
            # A line break that `-` takes away stands with the bracket.
            alone = alone or "\n" in run.tokens[-1][2]


def _look_after(runs: Sequence[_Run]) -> None:
    alone = True
    for run in reversed(runs):
        if run.kind is _Kind.TEXT:
            rest, line_break, _ = run.text.partition("\n")
            alone = not rest.strip() and bool(line_break or alone)
        elif run.kind is _Kind.PRINT:
            alone = False
        else:
            run.alone_after = alone = alone or run.closing == "-"


def _leave_out(runs: Sequence[_Run]) -> None:
    """Take away what stands around tags that are alone on their line: first before them, then behind."""
    for before, tag in pairwise(runs):
        if tag.alone and before.kind is _Kind.TEXT and tag.opening not in ("+", "-"):
            before.text = before.text[: before.text.rfind("\n") + 1]
    for tag, after in pairwise(runs):
        if tag.alone and after.kind is _Kind.TEXT and tag.closing not in ("+", "-"):
            blank, line_break, rest = after.text.partition("\n")
            after.text = (rest if line_break else "") if not blank.strip() else after.text

"""A template taken apart into its text and its Jinja tags, each with the place where the author wrote it, and put
together again.

Whatever is done to the text in between, a tag that fails still names its file and line: each is written on lines of its
own (a line break within a tag means nothing), and a table says where they come from.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache

from jinja2 import Environment, TemplateSyntaxError


class TemplateTrouble(Exception):
    """What is wrong with a template before anybody's values are put into it, and where: ``mark`` is what to point at on
    that line, which may be nothing in particular."""

    def __init__(
        self, message: str, file: str, line: int, *, code: str = "template/syntax", mark: str = ""
    ) -> None:
        super().__init__(message)
        self.file = file
        self.line = line
        self.code = code
        self.mark = mark


class Kind(Enum):
    TEXT = "text"
    PRINT = "print"
    """``{{ … }}``"""
    BLOCK = "block"
    """``{% … %}``"""
    RAW = "raw"
    """``{% raw %} … {% endraw %}``, as a whole."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one file; ``text`` holds a tag's brackets too. ``line`` is where it begins, of a tag where its first
    word stands."""

    kind: Kind
    text: str
    file: str
    line: int

    @property
    def is_tag(self) -> bool:
        return self.kind in (Kind.PRINT, Kind.BLOCK)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """``length`` lines from ``first`` on, which the author wrote from ``line`` of ``file`` on."""

    first: int
    length: int
    file: str
    line: int


@dataclass(frozen=True)
class Source:
    """Jinja, and the author's place of each of its lines."""

    text: str
    stretches: tuple[_Stretch, ...]

    def place(self, line: int) -> tuple[str, int]:
        """The file and the line that the author wrote, of a line of ``text``, both from 1."""
        index = bisect_right(self.stretches, line, key=lambda stretch: stretch.first)
        stretch = self.stretches[max(0, index - 1)]
        return stretch.file, stretch.line + min(max(0, line - stretch.first), stretch.length - 1)


def as_written(text: str, file: str, line: int) -> Source:
    """The source of a text that stands in one file, from ``line`` on."""
    return Source(text, (_Stretch(1, text.count("\n") + 1, file, line),))


@cache
def _environment() -> Environment:
    return Environment(autoescape=True, keep_trailing_newline=True)


_OPENS = {"variable_begin": Kind.PRINT, "block_begin": Kind.BLOCK, "raw_begin": Kind.RAW}
_CLOSES = frozenset({"variable_end", "block_end", "raw_end"})
_COMMENT = frozenset({"comment_begin", "comment", "comment_end"})


def pieces_of(text: str, file: str, line: int) -> tuple[Piece, ...]:
    """The pieces of a text that begins on ``line`` of ``file``; its comments are left out. Raises TemplateTrouble where
    a tag cannot be read to its end."""
    try:
        return tuple(_pieces(text, file, line - 1))
    except TemplateSyntaxError as error:
        message = error.message or "it cannot be read"
        raise TemplateTrouble(message, file, error.lineno + line - 1) from None


def _pieces(text: str, file: str, before: int) -> Iterator[Piece]:
    kind, written, begins = Kind.TEXT, "", 0
    for number, sort, value in _without_comments(_environment().lex(text)):
        if sort in _OPENS:
            kind, written, begins = _OPENS[sort], value, 0
        elif kind is Kind.TEXT:
            yield Piece(kind, value, file, number + before)
        else:
            written += value
            begins = begins or (number if sort != "whitespace" else 0)
            if sort in _CLOSES:
                yield Piece(kind, written, file, begins + before)
                kind = Kind.TEXT
    if kind is not Kind.TEXT:
        raise TemplateSyntaxError(f"this `{written[:2]}` is never closed", begins or number)


def _without_comments(tokens: Iterable[tuple[int, str, str]]) -> Iterator[tuple[int, str, str]]:
    """The tokens without comments; one that stands alone on its line takes that with it."""
    held: tuple[int, str, str] | None = None
    begins, behind = True, False
    for token in tokens:
        number, sort, value = token
        if sort in _COMMENT:
            behind = True
            continue
        if behind and sort == "data":
            before = held[2].rpartition("\n") if held else ("", "\n" if begins else "", "")
            blank, line_break, rest = value.partition("\n")
            if line_break and before[1] and not (before[2] + blank).strip():
                held = held and (*held[:2], before[0] + before[1])
                token = (number + 1, sort, rest)
        if held:
            yield held
        held, begins, behind = None, False, False
        if sort == "data":
            held = token
        else:
            yield token
    if held:
        yield held


def joined(pieces: Iterable[Piece], file: str) -> Source:
    """The pieces of the template ``file`` in a row, as Jinja that says where each of its tags comes from."""
    written: list[str] = []
    stretches: list[_Stretch] = []
    line = 1
    for piece in pieces:
        if piece.is_tag:
            mark = 3 if piece.text[2] in "-+" else 2
            inner = piece.text[mark:].lstrip()
            stretches.append(_Stretch(line + 1, inner.count("\n") + 1, piece.file, piece.line))
            text = f"{piece.text[:mark]}\n{inner}"
        else:
            text = piece.text
        written.append(text)
        line += text.count("\n")
    if not stretches:
        stretches.append(_Stretch(1, 1, file, 1))
    return Source("".join(written), tuple(stretches))

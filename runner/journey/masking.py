"""Jinja within markup, hidden from compilers of markup: each tag is replaced by something that survives there, and put
back afterwards.

Between elements of HTML a tag becomes a comment, which may stand anywhere, between the rows of a table too. Within an
attribute, a comment or a ``<style>`` it becomes a word, and in MJML, which takes away spaces beside comments, wherever
text may stand. What stands between an element's attributes is hidden with all up to its end,
``{% if … %}class="a"{% endif %}``: compilers do not keep the order of attributes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache

from runner.journey.template_pieces import Kind, Piece

RAW_TEXT = frozenset({"style", "script", "title", "textarea", "mj-style", "mj-title", "mj-preview"})
"""Elements that hold text alone: what looks like a comment there is text too."""

NO_TEXT = frozenset(
    ["mjml", "mj-head", "mj-attributes", "mj-social", "mj-navbar", "mj-accordion", "mj-accordion-element"]
)
"""Elements of MJML that hold elements alone."""

_OPENING = re.compile(r"<!--|<(/?[A-Za-z][\w:.-]*)")
_IN_TAG = re.compile(r"""["'>]""")


@cache
def _end(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text), re.IGNORECASE)


class _Where(Enum):
    TEXT = "text"
    COMMENT = "comment"
    TAG = "tag"
    VALUE = "value"
    RAW = "raw"


class _Scanner:
    """Where in the markup one is, having read all that was fed."""

    def __init__(self) -> None:
        self.where = _Where.TEXT
        self._element = ""
        self._quote = ""
        self._within: list[str] = []

    @property
    def takes_text(self) -> bool:
        """Whether this is within an element of MJML that may hold text."""
        return bool(self._within) and self._within[-1] not in NO_TEXT

    def feed(self, text: str) -> None:
        at = 0
        while at < len(text):
            at = self._step(text, at)

    def _step(self, text: str, at: int) -> int:
        """Read up to the next change; the offset after it."""
        if self.where is _Where.TEXT:
            match = _OPENING.search(text, at)
            if match:
                self.where = _Where.TAG if match[1] else _Where.COMMENT
                self._element = (match[1] or "").lower()
            return match.end() if match else len(text)
        if self.where is _Where.TAG:
            match = _IN_TAG.search(text, at)
            if match and match[0] == ">":
                closed_at_once = text[max(0, match.start() - 1)] == "/"
                raw = self._element in RAW_TEXT and not closed_at_once
                self.where = _Where.RAW if raw else _Where.TEXT
                if not closed_at_once:
                    self._enter_or_leave()
            elif match:
                self.where, self._quote = _Where.VALUE, match[0]
            return match.end() if match else len(text)
        end, after = {
            _Where.RAW: (f"</{self._element}", _Where.TAG),
            _Where.COMMENT: ("-->", _Where.TEXT),
            _Where.VALUE: (self._quote, _Where.TAG),
        }[self.where]
        match = _end(end).search(text, at)
        if match is None:
            return len(text)
        if self.where is _Where.RAW:
            self._element = f"/{self._element}"
        self.where = after
        return match.end()

    def _enter_or_leave(self) -> None:
        """Keep the elements of MJML that are open; those of HTML say nothing of what may stand in them."""
        if self._element.startswith("mj"):
            self._within.append(self._element)
        elif self._within and self._element == f"/{self._within[-1]}":
            self._within.pop()


@dataclass(frozen=True)
class Masked:
    """Markup without Jinja. ``hidden`` are the tags in the order of their numbers, each with what is hidden with it;
    ``begins`` says where in ``text`` each piece begins."""

    text: str
    hidden: Sequence[Sequence[Piece]]
    pieces: Sequence[Piece]
    begins: Sequence[int]
    word: str
    attributes: frozenset[int]
    """The numbers of the tags that stand where an attribute's name would."""

    def place(self, offset: int) -> tuple[str, int]:
        """The author's file and line of what stands at ``offset`` of the text."""
        index = max(0, sum(begin <= offset for begin in self.begins) - 1)
        piece = self.pieces[index]
        if piece.kind is not Kind.TEXT:
            return piece.file, piece.line
        within = piece.text[: offset - self.begins[index]]
        return piece.file, piece.line + within.count("\n")

    def shown(self, markup: str) -> tuple[Piece, ...]:
        """``markup``, made of the text, with the tags put back."""
        return tuple(self._put_back(markup))

    def lost(self, markup: str) -> Piece | None:
        """The first tag that ``markup`` no longer has."""
        there = {int(match[1] or match[2]) for match in self._pattern().finditer(markup)}
        return next((group[0] for number, group in enumerate(self.hidden) if number not in there), None)

    def _pattern(self) -> re.Pattern[str]:
        return re.compile(rf'<!--{self.word}(\d+)q-->|{self.word}(\d+)q(?:="")?')

    def _put_back(self, markup: str) -> Iterator[Piece]:
        at = 0
        for match in self._pattern().finditer(markup):
            if match.start() > at:
                yield Piece(Kind.TEXT, markup[at : match.start()], "", 1)
            number, at = int(match[1] or match[2]), match.end()
            yield from self.hidden[number]
            if match[0].endswith('=""') and number not in self.attributes:
                yield Piece(Kind.TEXT, '=""', "", 1)
        if at < len(markup):
            yield Piece(Kind.TEXT, markup[at:], "", 1)


def masked(pieces: Iterable[Piece]) -> Masked:
    """The pieces as markup in which no Jinja is left."""
    row = tuple(pieces)
    word = "qj"
    while any(word in piece.text for piece in row):
        word += "j"
    scanner = _Scanner()
    hidden: list[Sequence[Piece]] = []
    written: list[str] = []
    begins: list[int] = []
    attributes: set[int] = set()
    length = index = 0
    while index < len(row):
        piece, group = row[index], row[index : index + 1]
        if piece.kind is Kind.TEXT:
            scanner.feed(piece.text)
            text = piece.text
        else:
            text = f"{word}{len(hidden)}q"
            if scanner.where is _Where.TEXT and not scanner.takes_text:
                text = f"<!--{text}-->"
            elif scanner.where is _Where.TAG and _between_attributes(row, index):
                attributes.add(len(hidden))
                text = f" {text} "
                group = _to_its_end(row, index)
            hidden.append(group)
        written.append(text)
        begins += [length] * len(group)
        length += len(text)
        index += len(group)
    return Masked("".join(written), hidden, row, begins, word, frozenset(attributes))


_BLOCK = re.compile(r"\{%[-+]?\s*(end)?(if|for|with|filter|call|macro)\b")


def _to_its_end(row: tuple[Piece, ...], index: int) -> tuple[Piece, ...]:
    """The tag at ``index``, and where it opens a block, all up to the block's end, as long as the element's own tag
    does not end before."""
    depth = 0
    for end in range(index, len(row)):
        piece = row[end]
        if piece.kind is Kind.TEXT and ">" in piece.text:
            break
        match = _BLOCK.match(piece.text) if piece.kind is Kind.BLOCK else None
        if match:
            depth += -1 if match[1] else 1
        if depth <= 0:
            return row[index : end + 1]
    return row[index : index + 1]


def _between_attributes(row: Sequence[Piece], index: int) -> bool:
    """Whether a tag within an element's tag is no part of a name or of a value without quotes."""
    before = row[index - 1].text[-1:] if index else ""
    after = row[index + 1].text[:1] if index + 1 < len(row) else ""
    return not re.match(r"[\w=:.-]", before) and not re.match(r"[=:.-]", after)

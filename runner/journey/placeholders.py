"""Placeholders in a value tree, ``{NAME}``, and what is put in their place: the item of a series, the parameters of a
fragment.

What is filled in keeps its place in the author's file: a problem in it points at the placeholder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from runner.journey.yaml import Broken, Field, Fields, Items, Scalar, Value
from runner.problem import Span


@dataclass(frozen=True)
class Piece:
    """Part of a filled text, from ``start`` to ``end``, and where it comes from: so many code points of the original
    text from ``origin`` on. A ``kept`` piece stands there as it is."""

    start: int
    end: int
    origin: int
    length: int
    kept: bool


@dataclass(frozen=True)
class Filled(Scalar):
    """A value whose text is not the one that stands in the file."""

    original: Scalar | None = None
    pieces: tuple[Piece, ...] = ()

    def place(self, offset: int, length: int) -> Span:
        """Where the file has what became these code points: the placeholder, for what was filled in."""
        assert self.original is not None
        for piece in self.pieces:
            if piece.start <= offset < piece.end and piece.kept:
                inside = min(length, piece.end - offset)
                return self.original.place(piece.origin + offset - piece.start, inside)
            if piece.start <= offset < max(piece.end, piece.start + 1):
                return self.original.place(piece.origin, piece.length)
        return self.original.span


def holding(names: Iterable[str]) -> re.Pattern[str]:
    """The pattern of the placeholders of these names."""
    return re.compile(r"\{(" + "|".join(map(re.escape, names)) + r")\}")


def filled(value: Value, given: Mapping[str, Scalar]) -> Value:
    """``value`` with the placeholders of the names of ``given`` filled in. A text that is a placeholder and nothing
    else becomes the value itself, a number say."""
    if not given:
        return value
    pattern = holding(given)

    def fill(found: Scalar) -> Scalar:
        whole = pattern.fullmatch(found.text) if isinstance(found.value, str) else None
        if whole:
            put = given[whole[1]]
            piece = Piece(0, len(put.text), 0, len(found.text), kept=False)
            return Filled(put.value, put.text, found.span, found.raw, found.style, found, (piece,))
        return rewritten(found, pattern, lambda match: given[match[1]].text)

    def walk(node: Value) -> Value:
        if isinstance(node, Scalar):
            return fill(node)
        if isinstance(node, Items):
            return Items(tuple(walk(item) for item in node.items), node.span)
        if isinstance(node, Fields):
            name = _placeholder(node)
            if name in given:
                text = f"{{{name}}}"
                return fill(Scalar(text, text, replace(node.span, length=len(text)), text))
            return Fields(
                tuple(Field(key(each.key), each.key_span, walk(each.value)) for each in node.fields),
                node.span,
            )
        return node

    def key(text: str) -> str:
        return pattern.sub(lambda match: given[match[1]].text, text)

    return walk(value)


def masked(value: Value, names: Iterable[str]) -> Value:
    """``value`` without what holds one of these placeholders: nothing can be said about it yet."""
    names = set(names)
    if not names:
        return value
    pattern = holding(names)

    def mask(node: Value) -> Value:
        if isinstance(node, Scalar):
            return Broken(node.span) if pattern.search(node.text) else node
        if isinstance(node, Items):
            return Items(tuple(mask(item) for item in node.items), node.span)
        if isinstance(node, Fields):
            if _placeholder(node) in names or any(pattern.search(each.key) for each in node.fields):
                return Broken(node.span)
            fields = (Field(each.key, each.key_span, mask(each.value)) for each in node.fields)
            return Fields(tuple(fields), node.span)
        return node

    return mask(value)


def rewritten(found: Scalar, pattern: re.Pattern[str], put: Callable[[re.Match[str]], str]) -> Scalar:
    """``found`` with every match of ``pattern`` replaced."""
    if not isinstance(found.value, str) or not pattern.search(found.text):
        return found
    text, last = "", 0
    pieces: list[Piece] = []

    def add(part: str, origin: int, length: int, *, kept: bool) -> None:
        nonlocal text
        if part or not kept:
            pieces.append(Piece(len(text), len(text) + len(part), origin, length, kept))
        text += part

    for match in pattern.finditer(found.text):
        add(found.text[last : match.start()], last, match.start() - last, kept=True)
        add(put(match), match.start(), match.end() - match.start(), kept=False)
        last = match.end()
    add(found.text[last:], last, len(found.text) - last, kept=True)
    return Filled(text, text, found.span, found.raw, found.style, found, tuple(pieces))


def _placeholder(value: Fields) -> str | None:
    """The name of a placeholder that may stand here without quotes, as ``{item}``: YAML takes that for a mapping of one
    key without a value."""
    if len(value.fields) != 1:
        return None
    (only,) = value.fields
    return only.key if isinstance(only.value, Scalar) and only.value.value is None else None

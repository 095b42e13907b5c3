"""The comments of a YAML file, found by position: what begins with ``#`` and lies in no value of it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from runner.journey.yaml import Fields, Items, Scalar, Value, split_lines
from runner.problem import Span

_COMMENT = re.compile(r"(?:^|(?<=[ \t]))#.*$", re.MULTILINE)


@dataclass(frozen=True)
class Comment:
    """``text`` begins with the ``#``. ``alone``: nothing else stands on its line."""

    text: str
    span: Span
    alone: bool


def comments(value: Value, text: str) -> tuple[Comment, ...]:
    """The comments of the file that ``text`` is and whose only value is ``value``, as it was read from there."""
    lines = split_lines(text.removeprefix("\ufeff"))
    taken = sorted(_extents(value))
    begins = [begin for begin, _ in taken]
    found = []
    for number, line in enumerate(lines, 1):
        for match in _COMMENT.finditer(line):
            place = (number, match.start() + 1)
            before = bisect_right(begins, place) - 1
            if before >= 0 and place < taken[before][1]:
                continue
            span = Span(value.span.file, number, match.start() + 1, len(match[0]))
            found.append(Comment(match[0], span, alone=not line[: match.start()].strip()))
            break
    return tuple(found)


def lines_of(value: Value, line: int) -> tuple[int, int | None] | None:
    """The first and last line of what begins on ``line``: of a key with all its value, or of an item of a list. Of
    several within one another the outermost counts; that is the whole file (to None) where ``line`` is the one of its
    first key. None where nothing begins there."""
    if value.span.line == line:
        return line, None
    return _lines_within(value, line)


def _lines_within(value: Value, line: int) -> tuple[int, int] | None:
    inner = list(_parts(value))
    begun = [part for begins, part in inner if begins == line]
    if begun:
        return line, max(_last_line(part) for part in begun)
    found = (_lines_within(part, line) for _, part in inner)
    return next((lines for lines in found if lines is not None), None)


def _parts(value: Value) -> Iterator[tuple[int, Value]]:
    """What a value holds, each with the line on which it begins."""
    if isinstance(value, Fields):
        yield from ((field.key_span.line, field.value) for field in value.fields)
    elif isinstance(value, Items):
        yield from ((item.span.line, item) for item in value.items)


def _last_line(value: Value) -> int:
    if isinstance(value, Scalar):
        return value.span.line + len(split_lines(value.raw.rstrip())) - 1
    return max((_last_line(part) for _, part in _parts(value)), default=value.span.line)


def _extents(value: Value) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Line and column at which each scalar and each key begins, and those behind its end."""
    if isinstance(value, Scalar):
        lines = split_lines(value.raw)
        column = len(lines[-1]) + (value.span.column if len(lines) == 1 else 1)
        yield (value.span.line, value.span.column), (value.span.line + len(lines) - 1, column)
    elif isinstance(value, Fields):
        for field in value.fields:
            begin = (field.key_span.line, field.key_span.column)
            yield begin, (begin[0], begin[1] + field.key_span.length)
            yield from _extents(field.value)
    elif isinstance(value, Items):
        for item in value.items:
            yield from _extents(item)

"""YAML 1.2 with the core types, every value and key with its place in the file, and no surprises for its
author.

Anchors, aliases, merge keys, tags, several documents, duplicate keys and keys that are not plain text are
problems. ``on``, ``yes``, ``NO``, ``12:30`` and dates are strings. Size, depth and number of values are
limited, so that no file can make reading it slow. Nothing here raises for what a file says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from runner.journey import yaml_trouble as trouble
from runner.problem import Problem, Span

LARGEST_FILE = 1 << 20
"""Code points in one file."""
DEEPEST = 40
"""Levels of lists and mappings within one another."""
MOST_VALUES = 100_000
LONGEST_NUMBER = 30
"""Characters of one number."""

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_UNPRINTABLE = re.compile(
    "[^\\t\\n\\r\\x20-\\x7e\\xa0-\\u2027\\u202a-\\ud7ff\\ue000-\\ufefe\\uff00-\\ufffd\\U00010000-\\U0010ffff]"
)
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_ENDLESS = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MAY_BE_NO_STRING = frozenset("0123456789+-.~nNtTfF")

Plain = str | int | Decimal | bool | None


@dataclass(frozen=True)
class Scalar:
    """One value. ``text`` is what the author wrote, quotes and escapes resolved; ``raw`` how the file has it.

    ``style`` is None for a plain value, else the quote or ``|`` or ``>``.
    """

    value: Plain
    text: str
    span: Span
    raw: str
    style: str | None = None

    def place(self, offset: int, length: int) -> Span:
        """Where the ``length`` code points of ``text`` that begin at ``offset`` stand in the file."""
        start = trouble.raw_offset(self.raw, self.style, self.text, offset)
        end = trouble.raw_offset(self.raw, self.style, self.text, max(offset, offset + length - 1)) + 1
        before = trouble.LINE_BREAK.split(self.raw[:start])
        column = len(before[-1]) + (self.span.column if len(before) == 1 else 1)
        inside = trouble.LINE_BREAK.split(self.raw[start:end])[0]
        return Span(self.span.file, self.span.line + len(before) - 1, column, max(1, len(inside)))


@dataclass(frozen=True)
class Items:
    """A list."""

    items: tuple[Value, ...]
    span: Span


@dataclass(frozen=True)
class Field:
    """One key of a mapping and its value."""

    key: str
    key_span: Span
    value: Value


@dataclass(frozen=True)
class Fields:
    """A mapping, in file order."""

    fields: tuple[Field, ...]
    span: Span

    def get(self, key: str) -> Value | None:
        """The value of ``key``, or None where there is no such key."""
        field = self._by_key.get(key)
        return None if field is None else field.value

    def key_span(self, key: str) -> Span:
        """Where ``key`` stands; the mapping itself where there is no such key."""
        field = self._by_key.get(key)
        return self.span if field is None else field.key_span

    def __contains__(self, key: object) -> bool:
        return key in self._by_key

    @cached_property
    def _by_key(self) -> Mapping[str, Field]:
        return {field.key: field for field in reversed(self.fields)}


@dataclass(frozen=True)
class Broken:
    """A value that a problem has been reported for already; nothing more is to be said about it."""

    span: Span


Value = Scalar | Items | Fields | Broken


def split_lines(text: str) -> list[str]:
    """The lines of a file as spans count them."""
    return trouble.LINE_BREAK.split(text)


def load_yaml(file: str, text: str, first_line: int = 1) -> tuple[Value | None, tuple[Problem, ...]]:
    """The value that ``text`` writes and everything wrong with it as YAML; None where it cannot be read at
    all.

    ``file`` and ``first_line`` say where the text stands, for the spans.
    """
    if text.startswith("\ufeff"):
        text = text[1:]
    first = Span(file, first_line, 1)
    if len(text) > LARGEST_FILE:
        return None, (Problem(code="yaml/too-large", message="The file is larger than 1 MiB.", span=first),)
    bad = _UNPRINTABLE.search(text)
    if bad:
        before = split_lines(text[: bad.start()])
        span = Span(file, first_line + len(before) - 1, len(before[-1]) + 1)
        return None, (
            Problem(
                code="yaml/character",
                message=f"The character U+{ord(bad[0]):04X} may not stand in a YAML file.",
                span=span,
                hint='Remove it, or write it as an escape within double quotes ("\\u2028").',
            ),
        )
    reader = _Reader(file, text, first_line)
    try:
        value = reader.document()
    except _GiveUp:
        return None, tuple(reader.problems)
    except yaml.MarkedYAMLError as error:
        return None, (*reader.problems, trouble.syntax_problem(error, file, text, first_line))
    except yaml.YAMLError as error:
        return None, (
            *reader.problems,
            Problem(code="yaml/syntax", message=f"This is no YAML: {error}.", span=first),
        )
    return value, tuple(reader.problems)


class _GiveUp(Exception):
    """The file passes a limit; the problem has been noted."""


class _Reader:
    """Makes values of the parser's events. Holds what belongs to one file while it is read."""

    def __init__(self, file: str, text: str, first_line: int) -> None:
        self.file = file
        self.text = text
        self.first_line = first_line
        self.problems: list[Problem] = []
        self.values = 0
        self.cut_by_comment = False
        self.events: Iterator[Any] = yaml.parse(text, Loader=Loader)

    def document(self) -> Value | None:
        """The only document of the file."""
        value: Value | None = None
        documents = 0
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    span = self.span(event)
                    self.note("yaml/documents", "A second document begins here; a file holds one.", span)
                    raise _GiveUp
                value = self.value(next(self.events), 1)
        if value is None:
            self.note("yaml/empty", "The file is empty.", Span(self.file, self.first_line, 1))
        return value

    def value(self, event: Any, depth: int) -> Value:
        """The value that begins with ``event``; takes its events up to its end."""
        self.values += 1
        if depth > DEEPEST or self.values > MOST_VALUES:
            message = (
                f"More than {DEEPEST} levels of lists and mappings within one another."
                if depth > DEEPEST
                else f"More than {MOST_VALUES:,} values in one file."
            )
            self.note("yaml/too-large", message, self.span(event))
            raise _GiveUp
        if isinstance(event, AliasEvent):
            span = self.span(event)
            hint = "Write the value out." if str(event.anchor).isidentifier() else "Quote the expression."
            self.note("yaml/alias", f"An alias (*{event.anchor}) is not part of this language.", span, hint)
            return Broken(span)
        broken = self.refuse_anchor_and_tag(event)
        made: Value
        if isinstance(event, ScalarEvent):
            made = self.scalar(event)
        elif isinstance(event, SequenceStartEvent):
            made = self.items(event, depth)
        else:
            made = self.fields(event, depth)
        return Broken(made.span) if broken else made

    def refuse_anchor_and_tag(self, event: Any) -> bool:
        if event.anchor is not None:
            self.note(
                "yaml/anchor",
                f"An anchor (&{event.anchor}) is not part of this language.",
                self.span(event, len(event.anchor) + 1),
                "Write the value out where it is needed.",
            )
        if event.tag is None:
            return False
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        self.note(
            "yaml/tag",
            f"A tag ({tag}) is not part of this language.",
            self.span(event, len(tag)),
            "Remove it; quote the value if it begins with an exclamation mark.",
        )
        return True

    def scalar(self, event: Any) -> Scalar | Broken:
        start, end = event.start_mark.index, event.end_mark.index
        raw = self.text[start:end]
        style = event.style if event.style in ("'", '"', "|", ">") else None
        first = trouble.LINE_BREAK.split(raw, maxsplit=1)[0]
        span = self.span(event, max(1, len(first)))
        text: str = event.value
        if style is None and text.count('"') % 2 == 1:
            self.cut_by_comment = self.text[end : end + 20].lstrip(" ").startswith("#")
        if style is not None or (text and text[0] not in _MAY_BE_NO_STRING):
            return Scalar(text, text, span, raw, style)
        try:
            return Scalar(_plain_value(text), text, span, raw, style)
        except ValueError:
            message = f"`{text[:40]}` is no number that can be reckoned with."
            self.note("yaml/number", message, span, "Quote it if it is a text.")
            return Broken(span)

    def items(self, event: Any, depth: int) -> Items:
        made: list[Value] = []
        for inner in self.events:
            if isinstance(inner, SequenceEndEvent):
                break
            made.append(self.value(inner, depth + 1))
        return Items(tuple(made), self.span(event))

    def fields(self, event: Any, depth: int) -> Fields:
        assert isinstance(event, MappingStartEvent)
        made: list[Field] = []
        seen: dict[str, Span] = {}
        for inner in self.events:
            if isinstance(inner, MappingEndEvent):
                break
            key = self.value(inner, depth + 1)
            self.cut_by_comment = False
            value = self.value(next(self.events), depth + 1)
            if isinstance(key, Broken):
                continue
            if not isinstance(key, Scalar):
                self.note("yaml/key", "A key must be a text, not a list or a mapping.", key.span)
                continue
            if self.cut_by_comment and key.text in trouble.EXPRESSION_KEYS:
                value = self.refuse_cut(value)
            made.append(Field(key.text, key.span, value))
        if event.flow_style:
            made = trouble.mend_split_expressions(made, self.problems)
        unique: list[Field] = []
        for field in made:
            if field.key == "<<":
                message = "A merge key (<<) is not part of this language."
                self.note("yaml/merge", message, field.key_span, "Write the keys out.")
            elif field.key in seen:
                message = (
                    f"`{field.key}` stands here a second time; the first is on line {seen[field.key].line}."
                )
                self.note("yaml/duplicate-key", message, field.key_span, "Keep one of them.")
            else:
                seen[field.key] = field.key_span
                unique.append(field)
        span = unique[0].key_span if unique and not event.flow_style else self.span(event)
        return Fields(tuple(unique), span)

    def refuse_cut(self, value: Value) -> Broken:
        """An expression with an open string, followed by a comment that was meant to be part of it."""
        message = "The # begins a comment and cuts this expression off."
        self.note(trouble.QUOTE, message, value.span, "Quote the whole expression.")
        return Broken(value.span)

    def span(self, event: Any, length: int = 1) -> Span:
        mark = event.start_mark
        return Span(self.file, self.first_line + mark.line, mark.column + 1, length)

    def note(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        self.problems.append(Problem(code=code, message=message, span=span, hint=hint))


def _plain_value(text: str) -> Plain:
    """The core type that an unquoted ``text`` stands for. Raises ValueError for a number beyond all
    measure."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _ENDLESS.fullmatch(text):
        raise ValueError(text)
    if not (_INTEGER.fullmatch(text) or _BASED.fullmatch(text) or _FLOAT.fullmatch(text)):
        return text
    if len(text) > LONGEST_NUMBER or re.search(r"[eE][-+]?[0-9]{3}", text):
        raise ValueError(text)
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    return Decimal(text)

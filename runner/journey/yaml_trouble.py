"""What a YAML parser says, put into the words of the author; and where in the file a part of a value stands.

The traps that expressions fall into get a diagnosis of their own: in ``{when: did("X", within="30d")}`` the
comma ends the value, ``when: "a" in contact.tags`` is no YAML, and in ``when: contact.room == "a #1"`` a
comment begins.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.problem import Problem, Span

if TYPE_CHECKING:
    import yaml

    from runner.journey.yaml import Field

LINE_BREAK = re.compile(r"\r\n|\r|\n")
EXPRESSION_KEYS = frozenset(
    {"when", "where", "if", "only_if", "value", "until", "per", "condition", "audience", "timezone"}
)
"""Keys that hold an expression, in any file of the language."""

QUOTE = "yaml/quote-expression"

_EXPRESSION_KEY = re.compile(
    r"(?:^|[\s{,\[-])(?P<key>" + "|".join(sorted(EXPRESSION_KEYS)) + r")\s*:\s+(?=\S)"
)
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|\r\n|.)", re.DOTALL)

_MESSAGES = (
    (
        "mapping values are not allowed",
        "A colon followed by a space may not stand here.",
        "Quote the value if the colon belongs to it; else look at how far the line is indented.",
    ),
    (
        "could not find expected ':'",
        "A key without a colon.",
        "Write `key: value`, with a space after the colon.",
    ),
    ("expected <block end>", "This line does not fit the ones before it.", "Look at how far it is indented."),
    (
        "did not find expected key",
        "This line does not fit the ones before it.",
        "Look at how far it is indented, and whether a value needs quotes.",
    ),
    (
        "did not find expected '-' indicator",
        "An item of a list must begin with `- `.",
        "Look at how far the line is indented.",
    ),
    (
        "did not find expected ',' or '}'",
        "Inside { } a comma or the closing } is missing.",
        "Quote a value that holds one of , [ ] { } or quotes.",
    ),
    (
        "did not find expected ',' or ']'",
        "Inside [ ] a comma or the closing ] is missing.",
        "Quote a value that holds one of , [ ] { } or quotes.",
    ),
    ("did not find expected node content", "A value is missing here, or a bracket is not closed.", None),
    ("found unexpected end of stream", "The quote that opens here is never closed.", None),
    (
        "block sequence entries are not allowed",
        "A list may not begin here.",
        "Begin it on a line of its own.",
    ),
    ("found duplicate anchor", "Anchors are not part of this language.", None),
    (
        "found unknown escape character",
        "There is no such escape within double quotes.",
        "Use single quotes, or write \\\\ for a backslash.",
    ),
)


def syntax_problem(error: yaml.MarkedYAMLError, file: str, text: str, first_line: int) -> Problem:
    """What to tell the author of a file that the parser gave up on."""
    said = error.problem or error.context or "it cannot be read"
    mark = error.problem_mark or error.context_mark
    if "end of stream" in said and error.context_mark is not None:
        mark = error.context_mark
    if mark is None:
        return Problem(
            code="yaml/syntax", message=f"This is no YAML: {said}.", span=Span(file, first_line, 1)
        )
    lines = LINE_BREAK.split(text)
    line = min(mark.line, len(lines) - 1)
    span = Span(file, first_line + line, mark.column + 1)
    if mark.column < len(lines[line]) and lines[line][mark.column] == "\t":
        return Problem(code="yaml/tab", message="A tab may not indent a line.", span=span, hint="Use spaces.")
    quoted = _unquoted_expression(lines[line], mark.column, file, first_line + line)
    if quoted is None and line > 0:
        quoted = _unquoted_expression(lines[line - 1], len(lines[line - 1]), file, first_line + line - 1)
    torn = None if quoted else _torn_value(lines[line], mark.column, file, first_line + line)
    colon = _unquoted_colon(lines[line], file, first_line + line) if "mapping values" in said else None
    if quoted:
        return quoted
    found = colon or torn
    if found:
        return found
    opening = error.context_mark
    if opening is not None and opening.line != mark.line and "flow" in str(error.context):
        bracket = lines[opening.line][opening.column : opening.column + 1]
        return Problem(
            code="yaml/syntax",
            message=f"The {bracket} that opens here is not closed, or a comma is missing.",
            span=Span(file, first_line + opening.line, opening.column + 1),
            hint="Quote a value that holds one of , [ ] { } or quotes.",
        )
    if "cannot start any token" in said:
        character = lines[line][mark.column : mark.column + 1]
        return Problem(
            code="yaml/syntax",
            message=f"A value may not begin with `{character}`.",
            span=span,
            hint="Quote the value.",
        )
    for part, message, hint in _MESSAGES:
        if part in said:
            return Problem(code="yaml/syntax", message=message, span=span, hint=hint)
    return Problem(code="yaml/syntax", message=f"This is no YAML: {said}.", span=span)


_QUOTED = re.compile(
    r"(?:^|[\s{,\[])(?:[A-Za-z_][\w-]*:|-)\s+(?P<value>\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*')[ \t]*"
)


def _torn_value(line: str, column: int, file: str, number: int) -> Problem | None:
    """The diagnosis for ``subject: "Hello {{ x|default("friend") }}"``, whose second quote ends the value; ``column``
    (from 0) is where the parser gave up."""
    match = next((each for each in _QUOTED.finditer(line) if each.end() == column), None)
    if match is None or line[column : column + 1] in (":", ""):
        return None
    mark, start = match["value"][0], match.start("value")
    end, last = match.end("value") - 1, line.rfind(mark)
    inside = line[start + 1 : last] if last > end else ""
    opens_another = line[end + 1 : end + 2] != " " or line[end - 1] == " "
    if mark == '"' and opens_another and inside and "'" not in inside:
        mended = inside.replace('"', "'")
        hint = f'Write single quotes inside: "{mended}"'
    elif mark == "'" and inside and '"' not in inside:
        hint = f'Write it between double quotes: "{inside}"'
    else:
        within_brackets = re.search(r"[\[{]", line[:start]) is not None
        hint = "Quote the value as a whole" + (
            "." if within_brackets else f": {quote(line[start:].rstrip())}"
        )
    message = "This quote ends the value, and text follows behind it."
    return Problem(code="yaml/quote", message=message, span=Span(file, number, end + 1), hint=hint)


def _unquoted_colon(line: str, file: str, number: int) -> Problem | None:
    """The diagnosis for ``title: Win back: again``, whose value needs quotes."""
    match = re.match(r"\s*(?:- )?(?P<key>[A-Za-z_][\w-]*):\s+(?P<value>[^\s'\"\[{|>].*: .*?)\s*$", line)
    if not match:
        return None
    return Problem(
        code="yaml/quote",
        message="YAML sees a second key in this value, because of its colon.",
        span=Span(file, number, match.start("value") + 1, len(match["value"])),
        hint=f"Quote the value: {match['key']}: {quote(match['value'])}",
    )


_TAG_FIRST = re.compile(r"(?P<key>[A-Za-z_][\w-]*):[ \t]+(?P<value>\{[{%].*?)\s*")


def mend_tags(lines: list[str], file: str, first_line: int) -> tuple[list[str], tuple[Problem, ...]]:
    """The lines of a front matter with the values in quotes that begin with a tag of Jinja, and one problem for each:
    ``subject: {{ trigger.title }}``, which YAML reads as a mapping."""
    mended, problems = [], []
    for number, line in enumerate(lines, first_line):
        match = _TAG_FIRST.fullmatch(line)
        if match:
            written = f"{match['key']}: {quote(match['value'])}"
            problems.append(
                Problem(
                    code="yaml/quote",
                    message="YAML sees a mapping in this value, because of its first brace.",
                    span=Span(file, number, match.start("value") + 1, len(match["value"])),
                    hint=f"Quote the value: {written}",
                )
            )
        mended.append(written if match else line)
    return mended, tuple(problems)


def _unquoted_expression(line: str, column: int, file: str, number: int) -> Problem | None:
    """The diagnosis for a line whose expression needs quotes, or None where it is something else.

    ``column`` (from 0) is where the parser gave up; the last expression that begins before it is the one
    meant.
    """
    match = next((m for m in reversed(list(_EXPRESSION_KEY.finditer(line))) if m.end() <= column + 1), None)
    value = line[match.end() :].strip() if match else ""
    if not match or not value:
        return None
    if "{" in line[: match.start("key")]:
        value = _without_flow_tail(value)
    opening = value[0]
    torn = opening in "\"'" and value.count(opening) >= 2 and not value.endswith(opening)
    if (
        not torn
        and opening not in "\"'"
        and not re.search(r"[\[\]{}]|: |,", value)
        and opening not in "%@`*&!"
    ):
        return None
    if opening in "[{" and not re.search(r"\bin\b|==", value):
        return None
    return Problem(
        code=QUOTE,
        message="YAML reads this expression in a way of its own.",
        span=Span(file, number, match.end() + 1, len(value)),
        hint=f"Quote the expression: {match['key']}: {quote(value)}",
    )


def _without_flow_tail(value: str) -> str:
    """``value`` up to where its mapping in braces goes on with another key, or closes."""
    depth = 0
    string = ""
    for index, character in enumerate(value):
        if string:
            string = "" if character == string else string
        elif character in "\"'":
            string = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
            if depth < 0:
                return value[:index].rstrip()
        elif character == "," and depth == 0 and re.match(r",\s*[\w-]+\s*:\s", value[index:]):
            return value[:index].rstrip()
    return value


def quote(expression: str) -> str:
    """``expression`` as a single-quoted YAML value."""
    return "'" + expression.replace("'", "''") + "'"


def mend_split_expressions(fields: list[Field], problems: list[Problem]) -> list[Field]:
    """Join what the commas of a flow mapping tore apart, and say so.

    In ``{when: did("X", within="30d"), reason: bought}`` YAML sees the keys ``when``, ``within="30d")``,
    ``reason``.
    """
    from runner.journey.yaml import Scalar

    mended: list[Field] = []
    rest = deque(fields)
    while rest:
        field = rest.popleft()
        value = field.value
        if (
            not isinstance(value, Scalar)
            or value.style is not None
            or not _is_expression(field.key, value.raw)
        ):
            mended.append(field)
            continue
        joined = value.raw
        torn: list[Field] = []
        while (
            _open_brackets(joined) > 0
            and rest
            and isinstance(rest[0].value, Scalar)
            and rest[0].value.raw == ""
        ):
            torn.append(rest.popleft())
            joined += ", " + torn[-1].key
        if not torn or _open_brackets(joined) != 0:
            mended.extend((field, *torn))
            continue
        last = torn[-1].key_span
        same_line = last.line == value.span.line
        length = last.column + last.length - value.span.column if same_line else value.span.length
        span = replace(value.span, length=length)
        problems.append(
            Problem(
                code=QUOTE,
                message="Inside { } the comma ends this expression.",
                span=span,
                hint=f"Quote the expression: {field.key}: {quote(joined)}",
            )
        )
        mended.append(replace(field, value=Scalar(joined, joined, span, joined)))
    return mended


def _is_expression(key: str, raw: str) -> bool:
    """Whether a value is meant as an expression: by its key, or by the ``=`` before it."""
    return key in EXPRESSION_KEYS or raw.startswith("=")


def _open_brackets(expression: str) -> int:
    """How many brackets are still open at the end, those within strings left out."""
    bare = re.sub(r"\"[^\"]*\"|'[^']*'", "", expression)
    return sum(bare.count(bracket) for bracket in "([{") - sum(bare.count(bracket) for bracket in ")]}")


def raw_offset(raw: str, style: str | None, text: str, offset: int) -> int:
    """Where in ``raw`` the code point ``text[offset]`` stands.

    Folding changes white space only, so every other character is found in order; an escape stands for one.
    """
    position = 0
    if style in ("|", ">"):
        header = LINE_BREAK.search(raw)
        position = header.end() if header else len(raw)
    elif style is not None:
        position = 1
    elif raw[: offset + 1] == text[: offset + 1]:
        return min(offset, len(raw))
    for index, character in enumerate(text):
        if not character.isspace():
            while position < len(raw) and raw[position].isspace():
                position += 1
        if index == offset:
            break
        if character.isspace() and not (position < len(raw) and raw[position].isspace()):
            continue
        width = 1
        if style == '"' and raw.startswith("\\", position):
            escape = _ESCAPE.match(raw, position)
            width = len(escape[0]) if escape else 1
        elif style == "'" and raw.startswith("''", position):
            width = 2
        position += width
    return min(position, len(raw))

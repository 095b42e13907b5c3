"""What a line of a file says: its parts, read and checked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, DecimalException
from typing import Any

from runner.journey.fit import clean_text
from runner.journey.longest import too_long

LONGEST_LINE = 1_048_576
"""Bytes. A longer line is rejected, so that a file without line ends cannot fill the memory."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_decode = json.JSONDecoder(parse_float=Decimal).decode


class BadLine(Exception):
    """Why a line is not taken, in words for its author."""


def parsed(line: bytes) -> dict[str, Any]:
    """The object that a line of NDJSON holds. Raises BadLine."""
    if len(line) > LONGEST_LINE:
        raise BadLine(f"longer than {LONGEST_LINE} bytes")
    try:
        record = _decode(line.decode().lstrip("\ufeff"))
    except UnicodeDecodeError as error:
        raise BadLine(f"not UTF-8 at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        raise BadLine(f"not JSON: {error.msg} at character {error.pos + 1}") from error
    except (DecimalException, ValueError, RecursionError) as error:
        raise BadLine("not JSON that can be read: a number or a nesting without bounds") from error
    if not isinstance(record, dict):
        raise BadLine("not a JSON object")
    return record


def noted(lines: Iterator[str], notes: list[str]) -> Iterator[str]:
    """The lines, each of which is put into ``notes`` as it is taken."""
    for line in lines:
        notes.append(line)
        yield line


def is_utf8(decoded: str) -> bool:
    """Whether what ``surrogateescape`` has made of bytes was UTF-8."""
    return decoded.isascii() or not _SURROGATE.search(decoded)


def key_of(value: object, name: str) -> str:
    """A key, a name or an id, under which something is found again. Raises BadLine."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**30:
        value = str(value)
    if value is None or value == "":
        raise BadLine(f"`{name}` is missing")
    if not isinstance(value, str) or not clean_text(value):
        raise BadLine(f"`{name}` is {shown(value)}, not text")
    if why := too_long(value):
        raise BadLine(f"`{name}` is {why}")
    return value


def object_of(record: Mapping[str, Any], name: str) -> Mapping[str, object]:
    """The object that is a member of ``record``, empty where there is none. Raises BadLine."""
    value = record.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadLine(f"`{name}` is {shown(value)}, not an object")
    return value


def unfolded(row: Mapping[str, str]) -> dict[str, object]:
    """Cells as values: lists and objects are written as JSON; tags by commas or blanks; all else stays
    text."""
    values: dict[str, object] = {}
    for name, cell in row.items():
        values[name] = cell
        if cell.startswith(("[", "{")):
            try:
                values[name] = _decode(cell)
            except (ValueError, DecimalException, RecursionError):
                continue
        elif name == "tags":
            values[name] = cell.replace(",", " ").split()
    return values


def shown(value: object) -> str:
    """A value as a message shows it."""
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"

"""Values that authors write: their stored form and their type."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from runner.journey.expression.tree import Literal, Stored
from runner.journey.values import (
    BOOLEAN,
    DATE,
    DATETIME,
    LARGEST,
    NONE,
    NUMBER,
    STRING,
    Kind,
    ValueType,
)

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
KINDS: dict[Kind, ValueType] = {
    Kind.STRING: STRING,
    Kind.NUMBER: NUMBER,
    Kind.BOOLEAN: BOOLEAN,
    Kind.DATE: DATE,
    Kind.DATETIME: DATETIME,
}
DESCRIPTIONS = {
    Kind.STRING: "a string",
    Kind.NUMBER: "a number",
    Kind.BOOLEAN: "true or false",
    Kind.DATE: "a date",
    Kind.DATETIME: "a date with time",
    Kind.LIST: "a list",
    Kind.OBJECT: "an object",
    Kind.DURATION: "a length of time",
    Kind.NONE: "None",
}


def stored_number(value: Decimal | int) -> int:
    """Whole millionths of ``value``. Raises ValueError, with a text for the author, where it has none."""
    try:
        exact = Decimal(value)
        if not exact.is_finite() or (exact and exact.adjusted() > 13):
            raise ValueError("numbers go up to 9,000,000,000,000")
        if exact and exact.adjusted() < -6:
            raise ValueError("numbers have at most six decimal places")
        sign, digits, exponent = exact.as_tuple()
        assert isinstance(exponent, int)
        shift = exponent + 6
        whole = int("".join(map(str, digits)))
        if shift < 0 and whole % 10**-shift:
            raise ValueError("numbers have at most six decimal places")
        millionths = whole * 10**shift if shift >= 0 else whole // 10**-shift
    except (InvalidOperation, OverflowError):
        raise ValueError("this is no number") from None
    if millionths > LARGEST:
        raise ValueError("numbers go up to 9,000,000,000,000")
    return int(-millionths if sign else millionths)


def stored_date(text: str) -> str | None:
    """``text`` where it is a date such as 2026-03-01, else None."""
    try:
        return text if _DATE.fullmatch(text) and date.fromisoformat(text) else None
    except ValueError:
        return None


def stored_datetime(text: str) -> str | None:
    """The stored form of an ISO 8601 date and time with offset, else None."""
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            return None
        return datetime_text(instant)
    except (ValueError, OverflowError):
        return None


def datetime_text(instant: datetime) -> str:
    """The stored form of an aware instant."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def text_problem(text: str) -> str | None:
    """Why ``text`` cannot be a stored string, or None where it can."""
    for character in text:
        if character == "\0" or "\ud800" <= character <= "\udfff":
            return f"a string cannot hold the character U+{ord(character):04X}"
    return None


def typed_literal(value: str | int | Decimal | bool | date | None, type: ValueType) -> Literal:
    """The literal of ``type`` for a value of a YAML file. Raises ValueError, with a text for the author."""
    if value is None:
        return Literal(None, NONE)
    stored: Stored = None
    if type.kind is Kind.STRING and isinstance(value, str):
        if problem := text_problem(value):
            raise ValueError(problem)
        if type.one_of and value not in type.one_of:
            raise ValueError(f'"{value}" is none of: {", ".join(type.one_of)}')
        stored = value
    elif type.kind is Kind.NUMBER and isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        stored = stored_number(value)
    elif type.kind is Kind.BOOLEAN and isinstance(value, bool):
        stored = value
    elif type.kind is Kind.DATE and isinstance(value, (str, date)) and not isinstance(value, datetime):
        stored = stored_date(value if isinstance(value, str) else value.isoformat())
    elif type.kind is Kind.DATETIME and isinstance(value, datetime) and value.tzinfo is not None:
        stored = datetime_text(value)
    elif type.kind is Kind.DATETIME and isinstance(value, str):
        stored = stored_datetime(value)
    if stored is None:
        example = {
            Kind.DATE: " such as 2026-03-01",
            Kind.DATETIME: " such as 2026-03-01T10:00:00+04:00",
            Kind.BOOLEAN: "",
        }.get(type.kind, "")
        raise ValueError(f"{value!r} is not {DESCRIPTIONS[type.kind]}{example}")
    return Literal(stored, KINDS[type.kind])

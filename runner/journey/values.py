"""The types of values, and how a value that arrives is made to fit its catalog type.

Stored form of a value, inside JSON, chosen so that SQLite and PostgreSQL compare and compute alike:

========== =====================================================================================
string     a JSON string without NUL or lone surrogates
number     a JSON integer: whole millionths, up to ±9·10¹⁸ (so ±9·10¹² with six decimal places)
boolean    true or false
date       ``"2026-03-01"``
datetime   ``"2026-03-01T10:00:00.000000Z"``, always UTC with six places: text order is time order
list       a JSON array of the above
object     a JSON object of the above
========== =====================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MILLIONTHS = 1_000_000
LARGEST = 9 * 10**18
"""The largest number, in millionths; what would exceed it is None."""


class Kind(StrEnum):
    """The kinds of values that expressions, attributes and properties have."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    LIST = "list"
    OBJECT = "object"
    DURATION = "duration"  # only inside expressions: days("14d")
    NONE = "none"  # only inside expressions: the literal None


@dataclass(frozen=True)
class ValueType:
    """The type of an attribute, a property or an expression."""

    kind: Kind
    one_of: tuple[str, ...] = ()
    items: ValueType | None = None
    """Of a list: the type of its members."""
    fields: Mapping[str, ValueType] = field(default_factory=dict)
    """Of an object: the types of its members."""


STRING = ValueType(Kind.STRING)
NUMBER = ValueType(Kind.NUMBER)
BOOLEAN = ValueType(Kind.BOOLEAN)
DATE = ValueType(Kind.DATE)
DATETIME = ValueType(Kind.DATETIME)
DURATION = ValueType(Kind.DURATION)
NONE = ValueType(Kind.NONE)

"""Types of values as builders ask for them."""

from __future__ import annotations

from datetime import time
from decimal import Decimal

from runner.journey.builder.notes import items_of, text_of
from runner.journey.expression.tree import Clock, Conditional, Literal, Name, Node, Shift
from runner.journey.values import BOOLEAN, STRING, Kind, ValueType
from runner.journey.yaml import Scalar, Value

WRITABLE = frozenset({Kind.STRING, Kind.NUMBER, Kind.BOOLEAN, Kind.DATE, Kind.DATETIME})
"""Single values: what a step can write, and what can tell runs apart."""


def literal_type(value: Scalar) -> ValueType | None:
    """The type of a literal by its form; None for null."""
    if isinstance(value.value, bool):
        return BOOLEAN
    if isinstance(value.value, int | Decimal):
        return ValueType(Kind.NUMBER)
    return STRING if isinstance(value.value, str) else None


def may_be_missing(node: Node) -> bool:
    """Whether the value of an expression can be None."""
    if isinstance(node, Clock):
        return False
    if isinstance(node, Literal):
        return node.value is None
    if isinstance(node, Shift):
        return may_be_missing(node.operand)
    if isinstance(node, Conditional):
        return may_be_missing(node.then) or may_be_missing(node.otherwise)
    return not (isinstance(node, Name) and node.source == "run" and node.path == ("entered_at",))


def a_kind(type: ValueType) -> str:
    """``type`` in words."""
    words = {
        Kind.STRING: "a text",
        Kind.BOOLEAN: "true or false",
        Kind.NONE: "None",
        Kind.OBJECT: "a mapping",
    }
    return words.get(type.kind, f"a {type.kind.value}")


DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def days_of(value: Value | None) -> frozenset[int]:
    """The weekdays of a list, 0 for Monday; all of them where there is none."""
    days = frozenset(DAYS.index(day) for item in items_of(value) if (day := text_of(item)) in DAYS)
    return days or frozenset(range(7))


def parse_time(text: str) -> time | None:
    """``HH:MM``; the schema has reported anything else."""
    try:
        return time.fromisoformat(text) if len(text) == 5 else None
    except ValueError:
        return None


def percent(hundredths: int) -> str:
    """Hundredths of a percent for people: 1250 is ``12.5``."""
    return f"{Decimal(hundredths) / 100:f}"

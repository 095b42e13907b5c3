"""The numbers and dates of the language where they are written out: what they come to, and on which line they lie.

Numbers are whole millionths. A date is the microseconds from the year 1 to its midnight, a datetime those to its
instant. Each operation on numbers rounds half away from zero, as docs/expressions.md says.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from runner.journey.expression import tree
from runner.journey.expression.literals import datetime_text
from runner.journey.expression.tree import Stored
from runner.journey.values import LARGEST, MILLIONTHS, Kind

DAY = 86_400_000_000
_BEGIN = datetime(1, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def rounded(numerator: int, denominator: int) -> int:
    """The quotient, half away from zero. ZeroDivisionError where there is none."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    if numerator < 0:
        return -((-2 * numerator + denominator) // (2 * denominator))
    return (2 * numerator + denominator) // (2 * denominator)


def unbounded(symbol: str, left: int, right: int) -> int:
    """What ``+ - * /`` of two numbers comes to, were there no largest number. ZeroDivisionError by zero."""
    match symbol:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return rounded(left * right, MILLIONTHS)
    return rounded(left * MILLIONTHS, right)


def computed(symbol: str, left: int, right: int) -> int | None:
    """What ``+ - * /`` of two numbers comes to; None on overflow and division by zero."""
    if symbol == "/" and right == 0:
        return None
    result = unbounded(symbol, left, right)
    return result if abs(result) <= LARGEST else None


def moment(stored: str) -> int:
    """The microseconds from the year 1 to a date's midnight, or a datetime's instant."""
    return (datetime.fromisoformat(stored).replace(tzinfo=UTC) - _BEGIN) // _MICROSECOND


def shifted(stored: str, kind: Kind, microseconds: int) -> str | None:
    """A date or datetime, so much later; None outside the years 1 to 9999."""
    try:
        moved = _BEGIN + (moment(stored) + microseconds) * _MICROSECOND
    except OverflowError:
        return None
    return moved.date().isoformat() if kind is Kind.DATE else datetime_text(moved)


def distance(microseconds: int) -> int:
    """A length of time as days with six places: what the difference of two dates comes to."""
    return rounded(microseconds, DAY // MILLIONTHS)


def place(literal: tree.Literal) -> int:
    """Where a number, a date or a datetime that is written out lies on its line."""
    if literal.type.kind is Kind.NUMBER:
        return cast(int, literal.value)
    return moment(cast(str, literal.value))


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compares(symbol: str, left: Stored, right: Stored) -> bool:
    """Whether ``symbol`` holds between two values of one kind in their stored form."""
    return _COMPARE[symbol](left, right)

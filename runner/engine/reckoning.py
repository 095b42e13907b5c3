"""How templates compare and reckon: as expressions do, so that one condition means one thing wherever it stands.

A value that is missing is None. Whatever it is compared with, the answer is false, of ``!=`` and ``not in`` as well;
what is reckoned with it is missing too. Numbers are decimals with six places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from jinja2 import TemplateRuntimeError

from runner.journey.values import LARGEST, MILLIONTHS

_PLACES = Decimal(1) / MILLIONTHS


def is_number(value: Any) -> bool:
    """Whether ``value`` is a number; a boolean is none."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def decimal(value: Any) -> Decimal:
    """A number, exactly as it is written."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


# Comparing ---------------------------------------------------------------------------------------------------------


class _Missing:
    """Stands for None on either side of a sign."""

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0

    def __lt__(self, other: object) -> bool:
        return False

    __le__ = __gt__ = __ge__ = __lt__


_MISSING = _Missing()


def comparable(value: Any) -> Any:
    """``value`` as one side of a comparison."""
    return _MISSING if value is None else value


@dataclass(frozen=True)
class _Holding:
    """What stands behind ``in``, or, where it is ``negated``, behind ``not in``."""

    container: Any
    negated: bool

    def __contains__(self, item: object) -> bool:
        if self.container is None or item is None or item is _MISSING:
            return False
        return (item in self.container) is not self.negated


def inside(container: Any) -> _Holding:
    """What stands behind ``in``."""
    return _Holding(container, negated=False)


def outside(container: Any) -> _Holding:
    """What stands behind ``not in``."""
    return _Holding(container, negated=True)


def forgiving(test: Any) -> Callable[..., bool]:
    """A test of Jinja (``is lt``, ``is odd``), which is false of what is missing."""

    def tested(value: Any, *others: Any) -> bool:
        return None not in (value, *others) and test(value, *others)

    return tested


# Reckoning ---------------------------------------------------------------------------------------------------------

_OPERATIONS: Mapping[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "//": lambda left, right: left // right,
    "%": lambda left, right: left % right,
}
OPERATORS = frozenset({*_OPERATIONS, "**"})


def reckoned(operator: str, left: Any, right: Any) -> Decimal | None:
    """What two numbers make; None where one of them is missing, where nothing can be divided so, and where it is
    larger than numbers are. Raises TemplateRuntimeError for what is no number."""
    if operator not in _OPERATIONS:
        raise TemplateRuntimeError(f"`{operator}` is not something that a template may use")
    if not all(each is None or is_number(each) for each in (left, right)):
        raise TemplateRuntimeError(f"`{operator}` is for numbers here")
    if left is None or right is None:
        return None
    try:
        made = _OPERATIONS[operator](decimal(left), decimal(right)).quantize(_PLACES, ROUND_HALF_UP)
    except (InvalidOperation, ZeroDivisionError):
        return None
    return made if abs(made) * MILLIONTHS <= LARGEST else None


def signed(operator: str, value: Any) -> Any:
    """A number with its sign turned, or left; None stays None. Raises TemplateRuntimeError for what is no number."""
    if value is None:
        return None
    if not is_number(value):
        raise TemplateRuntimeError(f"`{operator}` is for numbers here")
    return -value if operator == "-" else value

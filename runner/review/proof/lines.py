"""What a comparison says of the difference of two values that are read.

``contact.renewal_date - today <= 14`` bounds a difference of two dates, ``trigger.total * 0.19 > 10`` that of a number
from 0. What a number goes through on its way is monotone, so the bound is found by looking where it turns, rounding
included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from runner.journey.expression import tree
from runner.journey.expression.tree import Node
from runner.journey.values import Kind
from runner.review.proof.arithmetic import DAY, distance, place, unbounded
from runner.review.proof.differences import ZERO, Bound, Key
from runner.review.proof.formula import Order

_FAR = 1 << 80
"""Beyond any difference of values."""
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}


@dataclass(frozen=True)
class Limit:
    """``left - right`` keeps ``bound``."""

    left: Key
    right: Key
    bound: Bound


@dataclass(frozen=True)
class Apart:
    """``left - right`` is not ``value``."""

    left: Key
    right: Key
    value: int


@dataclass(frozen=True)
class _Step:
    """What is done with a number: an operation with ``number``, a sign, or a distance in days."""

    operator: str
    number: int = 0
    reversed: bool = False
    """The number stands to the left."""

    def apply(self, value: int) -> int:
        if self.operator == "days":
            return distance(value)
        one, other = (self.number, value) if self.reversed else (value, self.number)
        return unbounded(self.operator, one, other)

    @property
    def rises(self) -> bool:
        """Whether the result grows with the value."""
        if self.operator in "*/":
            return self.number > 0
        return not (self.operator == "-" and self.reversed)


@dataclass(frozen=True)
class _Line:
    """``plus - minus`` after ``steps``. It is a whole multiple of ``grain``, if it is there."""

    plus: Key
    minus: Key = ZERO
    steps: tuple[_Step, ...] = ()
    grain: int = 1

    def then(self, step: _Step) -> _Line:
        return replace(self, steps=(*self.steps, step))

    @property
    def moved(self) -> int | None:
        """By how much ``plus - minus`` is moved, where nothing else is done with it."""
        if any(step.operator not in "+-" or not step.rises for step in self.steps):
            return None
        return _apply(self.steps, 0)


def _apply(steps: tuple[_Step, ...], value: int) -> int:
    for step in steps:
        value = step.apply(value)
    return value


def constraints(claim: Order, ranks: Mapping[str, int]) -> Iterator[Limit | Apart]:
    """What ``claim`` says of differences. ``ranks`` puts the texts that are written out in their order."""
    operator, left, right = claim.operator, claim.left, claim.right
    if isinstance(left, tree.Literal):
        operator, left, right = _MIRRORED[operator], right, left
    if left.type.kind is Kind.STRING:
        number = ranks[str(right.value)] if isinstance(right, tree.Literal) else None
        yield from _bounded(operator, left, ZERO if number is not None else right, number or 0)
        return
    line = _line(left)
    if isinstance(right, tree.Literal):
        yield from _compared(operator, line, place(right))
        return
    other = _line(right)
    joined = _joined(line, other)
    if joined is None:
        yield from _bounded(operator, left, right, 0)
    else:
        yield from _bounded(operator, *joined)


def _bounded(operator: str, left: Key, right: Key, value: int) -> Iterator[Limit | Apart]:
    """``left - right`` compared with ``value``."""
    match operator:
        case "==":
            yield Limit(left, right, Bound(value))
            yield Limit(right, left, Bound(-value))
        case "!=":
            yield Apart(left, right, value)
        case "<" | "<=":
            yield Limit(left, right, Bound(value, operator == "<"))
        case _:
            yield Limit(right, left, Bound(-value, operator == ">"))


def _joined(one: _Line, other: _Line) -> tuple[Key, Key, int] | None:
    """``one`` compared with ``other``, as a difference of two values compared with a number."""
    if one.moved is None or other.moved is None:
        return None
    pair = _pair((one.plus, other.minus), (one.minus, other.plus))
    return None if pair is None else (*pair, other.moved - one.moved)


def _compared(operator: str, line: _Line, number: int) -> Iterator[Limit | Apart]:
    """``line`` compared with ``number``."""
    if line.moved is not None:
        yield from _bounded(operator, line.plus, line.minus, number - line.moved)
        return
    rises = sum(not step.rises for step in line.steps) % 2 == 0
    left, right = (line.plus, line.minus) if rises else (line.minus, line.plus)
    # From `least` to `most` the line comes to `number`; there may be no such place.
    least, below = _reaches(line.steps, number, rises), _reaches(line.steps, number + 1, rises)
    least, most = -(-least // line.grain) * line.grain, (below - 1) // line.grain * line.grain
    if operator in ("==", ">="):
        yield Limit(right, left, Bound(-least))
    if operator in ("==", "<="):
        yield Limit(left, right, Bound(most))
    if operator == ">":
        yield Limit(right, left, Bound(-most - line.grain))
    if operator == "<":
        yield Limit(left, right, Bound(least - line.grain))
    if operator == "!=" and least == most:
        yield Apart(left, right, least)


@lru_cache(maxsize=10_000)
def _reaches(steps: tuple[_Step, ...], number: int, rises: bool) -> int:
    """The least value that ``steps`` bring to ``number`` or more; of a line that falls, the least negative one."""
    low, high = -_FAR, _FAR
    while high - low > 1:
        middle = (low + high) // 2
        if _apply(steps, middle if rises else -middle) >= number:
            high = middle
        else:
            low = middle
    return high


# From a node to its line ------------------------------------------------------------------------------------------


def _line(node: Node) -> _Line:
    """The line of a number, a date or a datetime; one of its own, where no other is known."""
    match node:
        case tree.Literal():
            return _Line(ZERO, steps=(_Step("+", place(node)),))
        case tree.Shift(operand=operand, microseconds=microseconds):
            return _line(operand).then(_Step("+", microseconds))
        case tree.Difference(left=left, right=right):
            apart = _summed(_line(left), _line(right), -1)
            if apart is not None:
                grain = DAY if left.type.kind is Kind.DATE else 1
                return replace(apart.then(_Step("days")), grain=grain)
        case tree.Negative(operand=operand):
            return _line(operand).then(_Step("-", reversed=True))
        case tree.Arithmetic():
            return _computed_line(node) or _Line(node)
    return _Line(node)


def _computed_line(node: tree.Arithmetic) -> _Line | None:
    operator, left, right = node.operator, node.left, node.right
    for one, other, is_reversed in ((left, right, False), (right, left, True)):
        if isinstance(other, tree.Literal) and (operator in "+-" or other.value != 0):
            if operator == "/" and is_reversed:
                return None  # it jumps where the divisor is 0
            return _line(one).then(_Step(operator, place(other), is_reversed))
    if operator in "+-":
        return _summed(_line(left), _line(right), 1 if operator == "+" else -1)
    return None


def _summed(one: _Line, other: _Line, sign: int) -> _Line | None:
    """The sum of two lines, or their difference, where that is still a difference of two values."""
    if one.moved is None or other.moved is None:
        return None
    added = (other.plus, other.minus) if sign > 0 else (other.minus, other.plus)
    pair = _pair((one.plus, added[0]), (one.minus, added[1]))
    if pair is None:
        return None
    return _Line(*pair, steps=(_Step("+", one.moved + sign * other.moved),))


def _pair(plus: tuple[Key, Key], minus: tuple[Key, Key]) -> tuple[Key, Key] | None:
    """The one value that is left on each side, once what stands on both is taken away."""
    above = [key for key in plus if key != ZERO]
    below = [key for key in minus if key != ZERO]
    for key in list(above):
        if key in below:
            above.remove(key)
            below.remove(key)
    if len(above) > 1 or len(below) > 1:
        return None
    return above[0] if above else ZERO, below[0] if below else ZERO

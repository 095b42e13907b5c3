"""How far apart values may lie: upper bounds of differences, closed under adding them up.

The method is that of difference bound matrices (Dill 1989, "Timing assumptions and verification of finite-state
concurrent systems"): bounds that contradict each other add up to a difference of a value to itself below zero.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from math import gcd

ZERO = 0
"""The key of the value 0, from which single values are counted."""

Key = Hashable


@dataclass(frozen=True)
class Bound:
    """A difference is at most ``value``, or less where ``strict``."""

    value: int
    strict: bool = False


# Within this module a bound is one number, twice its value and one more unless it is strict: the tighter of two is the
# smaller, and no difference of a value to itself is below ``_NOTHING``.
_NOTHING = 1


def _plain(bound: Bound) -> int:
    return 2 * bound.value + (not bound.strict)


def _sum(one: int, other: int) -> int:
    """The bound of the sum of two differences: strict where one of them is."""
    return one + other - ((one | other) & 1)


class Differences:
    """Upper bounds of ``x - y`` for pairs of values. A value with a ``step`` is a whole multiple of it; with None it
    may be any."""

    def __init__(self) -> None:
        self._places: dict[Key, int] = {ZERO: 0}
        self._bounds: list[dict[int, int]] = [{}]
        """Of the place of ``x``, by that of ``y``."""
        self._steps: list[int | None] = [0]
        self._unequal: list[tuple[int, int, int]] = []

    def copy(self) -> Differences:
        """The same, to be changed by itself."""
        other = Differences()
        other._places = dict(self._places)
        other._bounds = [dict(row) for row in self._bounds]
        other._steps = list(self._steps)
        other._unequal = list(self._unequal)
        return other

    def knows(self, key: Key) -> bool:
        return key in self._places

    def add(self, key: Key, step: int | None) -> None:
        """A value of which nothing is known yet."""
        self._places[key] = len(self._bounds)
        self._steps.append(step)
        self._bounds.append({})

    def limit(self, left: Key, right: Key, bound: Bound) -> bool:
        """``left - right`` keeps ``bound``. False where that contradicts what is known."""
        return self._limit(self._places[left], self._places[right], _plain(bound))

    def _limit(self, left: int, right: int, bound: int) -> bool:
        if left == right:
            return bound >= _NOTHING
        bound = self._stepped(left, right, bound)
        back = self._bounds[right].get(left)
        if back is not None and _sum(back, bound) < _NOTHING:
            return False
        known = self._bounds[left].get(right)
        if known is not None and known <= bound:
            return True
        before = [(place, row[left]) for place, row in enumerate(self._bounds) if left in row]
        after = list(self._bounds[right].items())
        for one, first in [(left, _NOTHING), *before]:
            row, to_right = self._bounds[one], _sum(first, bound)
            for other, last in [(right, _NOTHING), *after]:
                reached = self._stepped(one, other, _sum(to_right, last))
                if one == other:
                    if reached < _NOTHING:
                        return False
                elif other not in row or reached < row[other]:
                    row[other] = reached
        return self._apart()

    def refutes(self, left: Key, right: Key, bound: Bound) -> bool:
        """Whether ``limit`` would be in vain, as far as that is seen at once."""
        if left == right:
            return _plain(bound) < _NOTHING
        one, other = self._places.get(left), self._places.get(right)
        if one is None or other is None:
            return False
        back = self._bounds[other].get(one)
        return back is not None and _sum(back, self._stepped(one, other, _plain(bound))) < _NOTHING

    def part(self, left: Key, right: Key, value: int) -> bool:
        """``left - right`` is not ``value``. False where that contradicts what is known."""
        if left == right:
            return value != 0
        self._unequal.append((self._places[left], self._places[right], value))
        return self._apart()

    def _apart(self) -> bool:
        """What may not be ``value`` and is at most so is less. False where it can only be ``value``."""
        for left, right, value in self._unequal:
            at_most = self._bounds[left].get(right) == _plain(Bound(value))
            at_least = self._bounds[right].get(left) == _plain(Bound(-value))
            if at_most and at_least:
                return False
            if at_most:
                return self._limit(left, right, _plain(Bound(value, strict=True)))
            if at_least:
                return self._limit(right, left, _plain(Bound(-value, strict=True)))
        return True

    def _stepped(self, left: int, right: int, bound: int) -> int:
        """The same bound of a difference that is a whole multiple of something."""
        one, other = self._steps[left], self._steps[right]
        step = 0 if one is None or other is None else gcd(one, other)
        if not step:
            return bound
        value = (bound - 1) // 2
        return 2 * (value - value % step) + 1

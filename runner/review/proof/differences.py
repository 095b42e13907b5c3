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

    def plus(self, other: Bound) -> Bound:
        return Bound(self.value + other.value, self.strict or other.strict)

    def tighter(self, other: Bound | None) -> bool:
        return other is None or (self.value, not self.strict) < (other.value, not other.strict)

    @property
    def contradicts(self) -> bool:
        """Whether no difference of a value to itself can be so small."""
        return self.value < 0 or (self.value == 0 and self.strict)


class Differences:
    """Upper bounds of ``x - y`` for pairs of values. A value with a ``step`` is a whole multiple of it; with None it
    may be any."""

    def __init__(self) -> None:
        self._bounds: dict[Key, dict[Key, Bound]] = {ZERO: {}}
        self._steps: dict[Key, int | None] = {ZERO: 0}
        self._unequal: list[tuple[Key, Key, int]] = []

    def copy(self) -> Differences:
        """The same, to be changed by itself."""
        other = Differences()
        other._bounds = {key: dict(row) for key, row in self._bounds.items()}
        other._steps = dict(self._steps)
        other._unequal = list(self._unequal)
        return other

    def knows(self, key: Key) -> bool:
        return key in self._steps

    def add(self, key: Key, step: int | None) -> None:
        """A value of which nothing is known yet."""
        self._steps[key] = step
        self._bounds[key] = {}

    def limit(self, left: Key, right: Key, bound: Bound) -> bool:
        """``left - right`` keeps ``bound``. False where that contradicts what is known."""
        if left == right:
            return not bound.contradicts
        bound = self._stepped(left, right, bound)
        back = self._bounds[right].get(left)
        if back is not None and back.plus(bound).contradicts:
            return False
        if not bound.tighter(self._bounds[left].get(right)):
            return True
        before = [(key, row[left]) for key, row in self._bounds.items() if left in row]
        after = list(self._bounds[right].items())
        for one, first in [(left, Bound(0)), *before]:
            for other, last in [(right, Bound(0)), *after]:
                reached = self._stepped(one, other, first.plus(bound).plus(last))
                if one == other:
                    if reached.contradicts:
                        return False
                elif reached.tighter(self._bounds[one].get(other)):
                    self._bounds[one][other] = reached
        return self._apart()

    def refutes(self, left: Key, right: Key, bound: Bound) -> bool:
        """Whether ``limit`` would be in vain, as far as that is seen at once."""
        if left == right:
            return bound.contradicts
        back = self._bounds.get(right, {}).get(left)
        return back is not None and back.plus(self._stepped(left, right, bound)).contradicts

    def part(self, left: Key, right: Key, value: int) -> bool:
        """``left - right`` is not ``value``. False where that contradicts what is known."""
        if left == right:
            return value != 0
        self._unequal.append((left, right, value))
        return self._apart()

    def _apart(self) -> bool:
        """What may not be ``value`` and is at most so is less. False where it can only be ``value``."""
        for left, right, value in self._unequal:
            most, least = self._bounds[left].get(right), self._bounds[right].get(left)
            at_most, at_least = most == Bound(value), least == Bound(-value)
            if at_most and at_least:
                return False
            if at_most:
                return self.limit(left, right, Bound(value, strict=True))
            if at_least:
                return self.limit(right, left, Bound(-value, strict=True))
        return True

    def _stepped(self, left: Key, right: Key, bound: Bound) -> Bound:
        """The same bound of a difference that is a whole multiple of something."""
        one, other = self._steps.get(left), self._steps.get(right)
        step = 0 if one is None or other is None else gcd(one, other)
        if not step:
            return bound
        value = bound.value - 1 if bound.strict else bound.value
        return Bound(value - value % step)

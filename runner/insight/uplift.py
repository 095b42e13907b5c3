"""How much more one group of people did than another, and how sure that is: two standard intervals of 95 %."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

Z = 1.959963984540054
"""The normal distribution holds 95 % between -Z and Z."""
LEAST_PEOPLE = 30
"""People that each side must have before anything is said about rates."""
LEAST_BUYERS = 30
"""People of each side who must have reached the goal before anything is said about money: sums of few amounts, of which
some are large, are not normally distributed."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """``value`` is what the treated have above the others; in 95 of 100 such comparisons the truth lies between ``low``
    and ``high``."""

    value: float
    low: float
    high: float

    def times(self, people: int) -> Difference:
        """The same for so many people together."""
        return Difference(value=self.value * people, low=self.low * people, high=self.high * people)


def wilson(reached: int, people: int) -> tuple[float, float]:
    """The interval in which a rate lies of which ``reached`` of ``people`` were seen (E. B. Wilson, 1927)."""
    rate, square = reached / people, Z * Z
    middle = rate + square / (2 * people)
    spread = Z * sqrt(rate * (1 - rate) / people + square / (4 * people * people))
    whole = 1 + square / people
    return (middle - spread) / whole, (middle + spread) / whole


def rate_difference(reached: int, people: int, others_reached: int, others: int) -> Difference:
    """The difference of two rates, -1 to 1 (R. G. Newcombe, Statistics in Medicine 17, 1998, 873-890, method 10). Both
    groups must have somebody in them."""
    rate, other_rate = reached / people, others_reached / others
    (low, high), (other_low, other_high) = wilson(reached, people), wilson(others_reached, others)
    value = rate - other_rate
    return Difference(
        value=value,
        low=value - sqrt((rate - low) ** 2 + (other_high - other_rate) ** 2),
        high=value + sqrt((high - rate) ** 2 + (other_rate - other_low) ** 2),
    )


def mean_difference(
    total: float, squares: float, people: int, others_total: float, others_squares: float, others: int
) -> Difference:
    """The difference of two means, from the sums of the values and of their squares, each with a variance of its own;
    the normal approximation (B. L. Welch, Biometrika 34, 1947, for many people). Each group must have two people."""
    value = total / people - others_total / others
    spread = Z * sqrt(
        _variance(total, squares, people) / people + _variance(others_total, others_squares, others) / others
    )
    return Difference(value=value, low=value - spread, high=value + spread)


def _variance(total: float, squares: float, people: int) -> float:
    return max(0.0, (squares - total * total / people) / (people - 1))

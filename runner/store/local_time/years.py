"""On which day a date falls in another year, in SQL, by whole numbers alone.

Days are numbered from 1 January 1970; years begin on 1 March, so that a leap day is the last of its year, and what
falls on it falls on the last day of every other year: on 28 February. (After Howard Hinnant, "chrono-Compatible
Low-Level Date Algorithms", 2013.) For the days of the years 1 to 9999.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, ColumnElement, and_, case

from runner.store.types import constant

Whole = ColumnElement[int]

_BEFORE_1970 = 719_468
"""Days from 1 March of the year 0 to 1 January 1970."""
_CENTURIES = 146_097
"""Days of 400 years, after which all begins anew."""


def year_of(day: Whole) -> Whole:
    """The year, from its 1 March on, in which a day lies. ``day`` is mentioned often: let it be a column."""
    counted = day + constant(_BEFORE_1970)
    of_400 = counted.op("%", precedence=8, return_type=BigInteger())(constant(_CENTURIES))
    leaps = divided(of_400, 1_460) - divided(of_400, 36_524) + divided(of_400, 146_096)
    return divided(of_400 - leaps, 365) + divided(counted, _CENTURIES) * constant(400)


def day_of_year(day: Whole) -> Whole:
    """How many days before it lie in the same year: 0 is 1 March. ``day`` is mentioned often: let it be a column."""
    return day - _first_of(year_of(day))


def falls_on(year: Whole, place: Whole) -> Whole:
    """The day of ``year`` on which falls what has ``place`` in its own (``day_of_year``). ``year`` is mentioned often:
    let it be a column."""
    days = _first_of(year + constant(1)) - _first_of(year)
    missing = and_(place == constant(365), days == constant(365))
    return _first_of(year) + place - case((missing, constant(1)), else_=constant(0))


def divided(dividend: Whole, divisor: int) -> Whole:
    """Integer division of a dividend that is not negative."""
    return dividend.op("/", precedence=8, return_type=BigInteger())(constant(divisor))


def _first_of(year: Whole) -> Whole:
    leaps = divided(year, 4) - divided(year, 100) + divided(year, 400)
    return year * constant(365) + leaps - constant(_BEFORE_1970)

"""When a length of business hours is over."""

from __future__ import annotations

from datetime import time

from sqlalchemy import BigInteger, ColumnElement, case, cast

from runner.journey.duration import DAY, MICROSECONDS
from runner.journey.hours import BusinessHours
from runner.store.types import constant


def within_hours(local: ColumnElement[int], length: int, hours: BusinessHours) -> ColumnElement[int]:
    """The local time at which ``length`` of business hours are over that begin to count at the local time ``local``, in
    microseconds.

    Business time is counted from a Monday: whole weeks, the working days of this week, and the part of today. Then it
    is turned back into a time of the wall clock.
    """
    opens, days = _since_midnight(hours.begins), hours.days
    worked = _since_midnight(hours.ends) - opens
    # Counted from Monday, 5 January 1970, less many weeks, so that nothing is negative.
    origin = 4 * DAY - 10_000 * 7 * DAY
    since = local - constant(origin)

    def divided(value: ColumnElement[int], by: int) -> ColumnElement[int]:
        return value.op("/", precedence=8, return_type=BigInteger())(constant(by))

    number = divided(since, DAY)
    weekday, time_of_day = number % constant(7), since - number * constant(DAY)
    before = {constant(each): constant(sum(other < each for other in days)) for each in range(7)}
    today = case(
        (time_of_day <= constant(opens), constant(0)),
        (time_of_day >= constant(opens + worked), constant(worked)),
        else_=time_of_day - constant(opens),
    )
    is_workday = case({constant(each): constant(int(each in days)) for each in range(7)}, value=weekday)
    passed = (
        divided(number, 7) * constant(len(days) * worked)
        # PostgreSQL would multiply in 32 bits where the hours of a day are few.
        + cast(case(before, value=weekday), BigInteger()) * constant(worked)
        + is_workday * today
    )
    # At the end of a day's hours, not at the beginning of the next day's.
    over = passed + constant(length - 1)
    week, rest = divided(over, len(days) * worked), over % constant(len(days) * worked)
    which = divided(rest, worked)
    on = case({constant(place): constant(each) for place, each in enumerate(sorted(days))}, value=which)
    at = (week * constant(7) + on) * constant(DAY) + constant(opens) + (rest - which * constant(worked))
    return at + constant(1 + origin)


def _since_midnight(at: time) -> int:
    return at.hour * MICROSECONDS["h"] + at.minute * MICROSECONDS["m"]

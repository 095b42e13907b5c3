"""Hours of the day in SQL: whether the wall clock stands within them, and when they begin or end.

Everything is in whole microseconds, as in ``localtime.py``. An hour that occurs twice is within the hours both times.
"""

from __future__ import annotations

from datetime import time

from sqlalchemy import ColumnElement, and_, case, or_

from runner.journey.duration import DAY, Duration
from runner.journey.model import LocalTimes
from runner.store.local_time.localtime import (
    EVERY_DAY,
    due_after,
    midnight,
    utc_microseconds,
    weekday,
)
from runner.store.types import constant

Microseconds = ColumnElement[int]
HOUR = 3_600_000_000


def since_midnight(at: time) -> int:
    """Microseconds."""
    return (at.hour * 60 + at.minute) * 60_000_000


def within(
    local: Microseconds, begins: time, ends: time, days: frozenset[int] = EVERY_DAY
) -> ColumnElement[bool]:
    """Whether ``local`` lies from ``begins`` to before ``ends``, hours that begin on one of ``days``. They go over
    midnight where ``ends`` is not later than ``begins``."""
    shown = local - midnight(local)
    begun, not_over = shown >= constant(since_midnight(begins)), shown < constant(since_midnight(ends))

    def on(day: Microseconds) -> list[ColumnElement[bool]]:
        return [] if days == EVERY_DAY else [weekday(day).in_([constant(each) for each in sorted(days)])]

    if begins < ends:
        return and_(begun, not_over, *on(local))
    return or_(and_(begun, *on(local)), and_(not_over, *on(local - constant(DAY))))


def opening(
    utc: Microseconds, zone: ColumnElement[str], begins: time, days: frozenset[int] = EVERY_DAY
) -> Microseconds:
    """The next instant behind ``utc`` at which the wall clock shows ``begins``, on one of ``days``."""
    # Hours that do not exist on a day begin, and are over, at the instant at which the clock jumps.
    return due_after(utc + constant(1), zone, Duration(), LocalTimes(at=begins, days=days))


def showing(
    utc: Microseconds, local: Microseconds, zone: ColumnElement[str], shown: Microseconds
) -> Microseconds:
    """The next instant behind ``utc``, when the wall clock shows ``local``, at which it shows ``shown``, in
    microseconds since midnight. Where it shows that twice, and ``utc`` lies between, it is the second time."""
    today = midnight(local) + shown
    ahead = case((today > local, today), else_=today + constant(DAY))
    instant = utc_microseconds(ahead, zone)
    return case((instant > utc, instant), else_=utc + ahead - local)

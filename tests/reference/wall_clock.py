"""Local time by zoneinfo, one instant at a time: what the engine's tables of zones are compared with."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from runner.journey.duration import Duration
from runner.journey.hours import BusinessHours
from runner.journey.model import LocalTimes

MICROSECOND = timedelta(microseconds=1)
MIDNIGHT = time()
ANY_DAY = frozenset(range(7))
A_WEEK_AND_MORE = range(9)
"""Days to look at from the one before: each allowed weekday is among them."""


def elapsed(duration: Duration) -> timedelta:
    """The length with days of 24 hours."""
    return timedelta(microseconds=duration.elapsed)


def instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant at which the wall clock shows ``wall`` (naive): the first if it does so twice, the next valid instant
    if it never does."""
    early = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if early.astimezone(zone).replace(tzinfo=None) == wall:
        return early
    # In a gap: look for the instant at which the clock jumps over `wall`.
    before, after = early - timedelta(days=1), early + timedelta(days=1)
    while after - before > MICROSECOND:
        middle = before + (after - before) // 2
        if middle.astimezone(zone).replace(tzinfo=None) < wall:
            before = middle
        else:
            after = middle
    return after


def wall_of(instant: datetime, zone: ZoneInfo) -> datetime:
    """What the wall clock shows, naive."""
    return instant.astimezone(zone).replace(tzinfo=None)


def due_after(begins: datetime, zone: ZoneInfo, duration: Duration, local: LocalTimes | None) -> datetime:
    """Calendar days on the wall clock, then elapsed time, then the next allowed local time at or after that."""
    ends = begins
    if duration.days:
        ends = instant_of(wall_of(ends, zone) + timedelta(days=duration.days), zone)
    ends += timedelta(microseconds=duration.microseconds)
    return ends if local is None else next_allowed(ends, zone, local.at, local.days)


def due_on(day: date, zone: ZoneInfo, offset: Duration, local: LocalTimes | None) -> datetime:
    """On a date, ``offset`` days on, at the local time, moved to the next allowed weekday; then elapsed time."""
    at = local.at if local is not None and local.at is not None else MIDNIGHT
    days = local.days if local is not None else ANY_DAY
    day += timedelta(days=offset.days)
    while day.weekday() not in days:
        day += timedelta(days=1)
    ends = instant_of(datetime.combine(day, at), zone)
    if not offset.microseconds:
        return ends
    return next_allowed(ends + timedelta(microseconds=offset.microseconds), zone, None, days)


def due_within(hours: BusinessHours, begins: datetime, length: timedelta) -> datetime:
    """When so much time has passed of those hours, a day of work after the other."""
    zone = ZoneInfo(hours.timezone)
    day = wall_of(begins, zone).date()
    while True:
        opens, closes = (instant_of(datetime.combine(day, at), zone) for at in (hours.begins, hours.ends))
        opens = max(opens, begins)
        if day.weekday() in hours.days and opens < closes:
            if length <= closes - opens:
                return opens + length
            length -= closes - opens
        day += timedelta(days=1)


def next_allowed(instant: datetime, zone: ZoneInfo, at: time | None, days: frozenset[int]) -> datetime:
    """The first instant at or after ``instant`` at local time ``at`` of an allowed day; without ``at``, at any time of
    an allowed day."""
    today = wall_of(instant, zone).date()
    if at is None and today.weekday() in days:
        return instant
    candidates = (
        instant_of(datetime.combine(today + timedelta(days=ahead - 1), at or MIDNIGHT), zone)
        for ahead in A_WEEK_AND_MORE
        if (today + timedelta(days=ahead - 1)).weekday() in days
    )
    return next(candidate for candidate in candidates if candidate >= instant)

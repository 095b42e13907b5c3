"""The wall clock of a zone in Python, for what concerns whole zones: as the tables have it, so that both agree.

A local time that occurs twice is the first of the two; one that does not exist is the next valid instant.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from runner.journey.cron import Cron
from runner.store.local_time.zones import periods, readings
from runner.store.types import EPOCH, from_microseconds, to_microseconds


@dataclass(frozen=True, kw_only=True)
class Firing:
    """A schedule fires at the instant ``at``, for the local time ``nominal`` (``2026-03-02T09:00``)."""

    at: datetime
    nominal: str


@lru_cache(maxsize=1024)
def _period_begins(zone: str) -> tuple[int, ...]:
    return tuple(period.begins for period in periods(zone))


@lru_cache(maxsize=1024)
def _reading_begins(zone: str) -> tuple[int, ...]:
    return tuple(reading.begins for reading in readings(zone))


def local_time(instant: datetime, zone: str) -> datetime:
    """What the wall clock of a known zone shows at an aware instant; naive."""
    utc = to_microseconds(instant)
    period = periods(zone)[bisect_right(_period_begins(zone), utc) - 1]
    return from_microseconds(utc + period.offset).replace(tzinfo=None)


def instant_at(local: datetime, zone: str) -> datetime:
    """When the wall clock of a known zone shows the naive ``local`` (the first, or the next valid instant)."""
    shown = to_microseconds(local.replace(tzinfo=EPOCH.tzinfo))
    reading = readings(zone)[bisect_right(_reading_begins(zone), shown) - 1]
    utc = reading.instant if reading.offset is None else shown - reading.offset
    assert utc is not None
    return from_microseconds(utc)


@lru_cache(maxsize=4096)
def next_firing(cron: Cron, zone: str, after: datetime) -> Firing | None:
    """When ``cron`` next fires in a known zone, later than ``after``. Local times that fall on one instant, since the
    clock leaves them out, fire once, for the last of them. None where it never does."""
    local = cron.next_after(local_time(after, zone))
    while local is not None:
        at = instant_at(local, zone)
        following = cron.next_after(local)
        if at > after and (following is None or instant_at(following, zone) != at):
            return Firing(at=at, nominal=local.isoformat(timespec="minutes"))
        local = following
    return None


def last_firing(cron: Cron, zone: str, first: Firing, until: datetime) -> Firing:
    """The last firing of those from ``first`` on that are not later than ``until``."""
    found = first
    while (following := next_firing(cron, zone, found.at)) is not None and following.at <= until:
        found = following
    return found

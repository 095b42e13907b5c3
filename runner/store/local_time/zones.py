"""Time zones as tables, so that SQL can go from UTC to the wall clock and back."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from itertools import groupby, pairwise

from sqlalchemy import Connection, delete, select

from runner.journey.zone_names import known_zone, known_zones
from runner.store import tables
from runner.store.insert import insert_new
from runner.store.types import to_microseconds

__all__ = [
    "ensure_zones",
    "known_zone",
    "known_zones",
    "outdated_zones",
    "periods",
    "readings",
    "refresh_zones",
]

FIRST = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime(2101, 1, 1, tzinfo=UTC)
"""Changes of offset are known from ``FIRST`` to ``LAST``; before and after, the nearest known offset is
used."""

SINCE_EVER = -(10**17)
"""Where the first row of a zone begins: µs since 1970, before the year 1."""

_STEP = timedelta(days=6)
"""No zone has gone to another offset and back within so short a time."""
_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)
_NONE = timedelta()


@dataclass(frozen=True)
class Period:
    """From ``begins`` (µs, UTC) local time is UTC plus ``offset`` (µs); ``earliest`` is ``begins`` on the
    wall clock of the period before."""

    begins: int
    offset: int
    earliest: int


@dataclass(frozen=True)
class Reading:
    """From local time ``begins`` (µs) on, UTC is local time less ``offset``; in a gap it is ``instant``."""

    begins: int
    offset: int | None
    instant: int | None


@cache
def _noons() -> tuple[datetime, ...]:
    """Local times to sample the offset at. Nowhere does the clock change at noon."""
    noon = FIRST.replace(hour=12, tzinfo=None)
    return tuple(noon + number * _STEP for number in range((LAST - FIRST) // _STEP))


@lru_cache(maxsize=1024)
def periods(name: str) -> tuple[Period, ...]:
    """The offsets of a known zone, in order of time."""
    zone = zoneinfo.ZoneInfo(name)
    noons = _noons()
    offsets = [zone.utcoffset(noon) or _NONE for noon in noons]
    previous = offsets[0] // _MICROSECOND
    found = [Period(SINCE_EVER, previous, SINCE_EVER + previous)]
    for number, (before, after) in enumerate(pairwise(offsets)):
        if before != after:
            begins = to_microseconds(_change(noons[number], noons[number + 1], zone))
            offset = after // _MICROSECOND
            found.append(Period(begins, offset, begins + previous))
            previous = offset
    return tuple(found)


def _change(noon: datetime, later_noon: datetime, zone: zoneinfo.ZoneInfo) -> datetime:
    """The whole second at which the offset of the later of two local times begins."""
    before = noon.replace(tzinfo=zone).astimezone(UTC)
    after = later_noon.replace(tzinfo=zone).astimezone(UTC)
    offset = after.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + timedelta(seconds=(after - before) // _SECOND // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


@lru_cache(maxsize=1024)
def readings(name: str) -> tuple[Reading, ...]:
    """How local times of a known zone are read: the first occurrence of what occurs twice, the next valid
    instant for what does not exist."""
    all_periods = periods(name)
    found = [Reading(SINCE_EVER + all_periods[0].offset, all_periods[0].offset, None)]
    for before, after in pairwise(all_periods):
        if after.offset > before.offset:
            found.append(Reading(after.earliest, None, after.begins))
            found.append(Reading(after.begins + after.offset, after.offset, None))
        else:
            found.append(Reading(after.earliest, after.offset, None))
    return tuple(found)


def ensure_zones(connection: Connection, names: Iterable[str]) -> None:
    """Write the zones that the database does not have yet. Raises KeyError for an unknown one.

    Two sessions may write the same zone at once; the second finds the rows there.
    """
    wanted = set(names)
    if not wanted:
        return
    zone = tables.zone_offset.c.zone
    # Every zone has its first row, so this finds each by one look into the primary key.
    present = connection.execute(
        select(zone).where(zone.in_(sorted(wanted)), tables.zone_offset.c.begins == SINCE_EVER)
    ).scalars()
    missing = sorted(wanted - set(present))
    for name in missing:
        if not known_zone(name):
            raise KeyError(name)
    if missing:
        _write(connection, missing)


def outdated_zones(connection: Connection) -> tuple[str, ...]:
    """The stored zones whose clock changes are not those that this machine knows, by name. Zones that this machine does
    not know at all are left out. Reads every stored zone: a second or two with all there are."""
    offset = tables.zone_offset
    rows = connection.execute(
        select(offset.c.zone, offset.c.begins, offset.c.offset, offset.c.earliest).order_by(
            offset.c.zone, offset.c.begins
        )
    )
    stored = {
        name: tuple(Period(row.begins, row.offset, row.earliest) for row in of_zone)
        for name, of_zone in groupby(rows, key=lambda row: str(row.zone))
    }
    return tuple(name for name, known in stored.items() if known_zone(name) and known != periods(name))


def refresh_zones(connection: Connection) -> tuple[str, ...]:
    """Write the outdated zones anew, as this machine knows them; answers which. Waits that were computed before keep
    their instants until their contact changes."""
    outdated = outdated_zones(connection)
    if outdated:
        for table in (tables.zone_local, tables.zone_offset):
            connection.execute(delete(table).where(table.c.zone.in_(outdated)))
        _write(connection, outdated)
    return outdated


def _write(connection: Connection, names: Sequence[str]) -> None:
    connection.execute(
        insert_new(connection, tables.zone_local),
        [
            {"zone": name, "begins": row.begins, "offset": row.offset, "instant": row.instant}
            for name in names
            for row in readings(name)
        ],
    )
    connection.execute(
        insert_new(connection, tables.zone_offset),
        [
            {"zone": name, "begins": row.begins, "offset": row.offset, "earliest": row.earliest}
            for name in names
            for row in periods(name)
        ],
    )

"""SQL's wall clock agrees with ``zoneinfo``, in every zone, on both databases."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, ColumnElement, Connection, MetaData, Table, Text, insert, select

from runner.journey.builder.catalog import zone_problem
from runner.journey.catalog import Catalog
from runner.journey.duration import DAY, Duration
from runner.journey.fit import fit_traits
from runner.store import tables
from runner.store.database import Database
from runner.store.local_time import zones
from runner.store.local_time.localtime import (
    due_after,
    due_on,
    local_microseconds,
    midnight,
    utc_microseconds,
)
from runner.store.types import from_microseconds, to_microseconds

ALL_ZONES = sorted(zones.known_zones())
ODD_ZONES = [
    "Africa/Casablanca",  # summer time suspended for Ramadan
    "America/Havana",  # goes back to midnight
    "America/St_Johns",  # went back a minute after midnight until 2011
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Tbilisi",
    "Australia/Lord_Howe",  # half an hour
    "Europe/Berlin",
    "Pacific/Apia",  # left out a day in 2011
    "UTC",
]
MINUTE = 60_000_000
EVERY_DAY = frozenset(range(7))

probe = Table(
    "probe",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    Column("zone", Text),
    Column("moment", BigInteger),
    prefixes=["TEMPORARY"],
)


# The reference: plain Python over zoneinfo -------------------------------------------------------


def local_of(utc: int, zone: str) -> int:
    shown = from_microseconds(utc).astimezone(zoneinfo.ZoneInfo(zone))
    return to_microseconds(shown.replace(tzinfo=UTC))


def utc_of(local: int, zone: str) -> int:
    """The first occurrence, or the next valid instant."""
    named = from_microseconds(local).replace(tzinfo=zoneinfo.ZoneInfo(zone), fold=0)
    utc = to_microseconds(named.astimezone(UTC))
    if local_of(utc, zone) == local:
        return utc
    # In a gap: the change lies between the readings by the two offsets, which are in `utc` swapped.
    before, after = to_microseconds(named.replace(fold=1).astimezone(UTC)) - DAY, utc + DAY
    jump = local_of(after, zone) - after
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (before, middle) if local_of(middle, zone) - middle == jump else (middle, after)
    return after


def weekday(local: int) -> int:
    return (local // DAY + 3) % 7


def next_at(utc: int, zone: str, at: int, days: frozenset[int]) -> int:
    first_day = local_of(utc, zone) // DAY - 2
    candidates = (day * DAY + at for day in range(first_day, first_day + 14))
    return min(
        instant for local in candidates if weekday(local) in days and (instant := utc_of(local, zone)) >= utc
    )


def next_day(utc: int, zone: str, days: frozenset[int]) -> int:
    shown = local_of(utc, zone)
    if weekday(shown) in days:
        return utc
    first_day = shown // DAY + 1
    local = next(day * DAY for day in range(first_day, first_day + 8) if weekday(day * DAY) in days)
    # Midnight may have been shown for the first time already: then the first minute that is still to come.
    return next(
        instant for minute in range(24 * 60) if (instant := utc_of(local + minute * MINUTE, zone)) >= utc
    )


def expected_after(utc: int, zone: str, duration: Duration, at: time | None, days: frozenset[int]) -> int:
    if duration.days:
        utc = utc_of(local_of(utc, zone) + duration.days * DAY, zone)
    utc += duration.microseconds
    if at is not None:
        return next_at(utc, zone, since_midnight(at), days)
    return next_day(utc, zone, days)


def since_midnight(at: time) -> int:
    length = timedelta(hours=at.hour, minutes=at.minute, seconds=at.second, microseconds=at.microsecond)
    return length // timedelta(microseconds=1)


# The probes ------------------------------------------------------------------------------------------------


def ask(
    connection: Connection,
    moments: Sequence[tuple[str, int]],
    *answers: ColumnElement[int],
) -> list[tuple[int, ...]]:
    """The answers for each (zone, moment), in order."""
    probe.drop(connection, checkfirst=True)
    probe.create(connection)
    connection.execute(
        insert(probe),
        [{"id": number, "zone": zone, "moment": moment} for number, (zone, moment) in enumerate(moments)],
    )
    return [
        tuple(row) for row in connection.execute(select(*answers).select_from(probe).order_by(probe.c.id))
    ]


def around_changes(zone: str, first: datetime, last: datetime) -> Iterator[int]:
    """Instants before, at and after each change of offset between two instants, and one far from any."""
    yield to_microseconds(first)
    for period in zones.periods(zone):
        if to_microseconds(first) <= period.begins <= to_microseconds(last):
            for shift in (-25 * 60, -61, -30, -1, 0, 1, 29, 59, 61, 23 * 60, 48 * 60):
                yield period.begins + shift * MINUTE
            yield period.begins - 1


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# The tests -------------------------------------------------------------------------------------------------


def test_periods_are_those_of_zoneinfo() -> None:
    for zone in ODD_ZONES:
        for period in zones.periods(zone)[1:]:
            assert local_of(period.begins, zone) - period.begins == period.offset
            assert local_of(period.begins - 1, zone) - (period.begins - 1) == period.earliest - period.begins


def test_every_zone_there_and_back(database: Database) -> None:
    moments = [
        (zone, moment)
        for zone in ALL_ZONES
        for moment in around_changes(zone, instant("2024-01-01"), instant("2027-12-31"))
    ]
    with database.begin() as connection:
        zones.ensure_zones(connection, ALL_ZONES)
        found = ask(
            connection,
            moments,
            local_microseconds(probe.c.moment, probe.c.zone),
            utc_microseconds(probe.c.moment, probe.c.zone),
        )
    assert found == [(local_of(moment, zone), utc_of(moment, zone)) for zone, moment in moments]


WAITS = [
    (Duration(microseconds=60 * MINUTE), None, EVERY_DAY),
    (Duration(days=3), None, EVERY_DAY),
    (Duration(days=-7), None, EVERY_DAY),
    (Duration(days=1, microseconds=90 * MINUTE), None, EVERY_DAY),
    (Duration(), time(9), EVERY_DAY),
    (Duration(), time(0), EVERY_DAY),
    (Duration(), time(2, 30), frozenset({0, 6})),
    (Duration(), time(0, 0, 30), frozenset({5, 6, 0})),
    (Duration(days=1), time(9), frozenset({0, 1, 2})),
    (Duration(days=1), time(2, 30), EVERY_DAY),
    (Duration(), None, frozenset({0, 5})),
    (Duration(days=2), None, frozenset({6})),
    (Duration(days=1, microseconds=MINUTE), time(23, 59), frozenset({4, 6})),
]


def test_waits_end_as_the_reference_says(database: Database) -> None:
    from runner.journey.model import LocalTimes

    moments = [
        (zone, moment)
        for zone in ODD_ZONES
        for moment in around_changes(zone, instant("2009-01-01"), instant("2012-12-31"))
    ]
    answers = [
        due_after(probe.c.moment, probe.c.zone, duration, LocalTimes(at=at, days=days))
        for duration, at, days in WAITS
    ]
    with database.begin() as connection:
        zones.ensure_zones(connection, ODD_ZONES)
        found = ask(connection, moments, *answers)
    for (zone, moment), row in zip(moments, found, strict=True):
        for (duration, at, days), due in zip(WAITS, row, strict=True):
            expected = expected_after(moment, zone, duration, at, days)
            assert due == expected, (zone, from_microseconds(moment), duration, at, days)


def test_waits_until_a_date_end_as_the_reference_says(database: Database) -> None:
    waits = [
        (Duration(), None, EVERY_DAY),
        (Duration(days=-5), None, EVERY_DAY),
        (Duration(days=-7), time(9), frozenset({0, 2})),
        (Duration(microseconds=-120 * MINUTE), time(1), EVERY_DAY),
        (Duration(days=1, microseconds=30 * MINUTE), time(2), frozenset({1, 6})),
    ]
    dates = [
        (zone, local_of(moment, zone) // DAY * DAY)
        for zone in ODD_ZONES
        for moment in around_changes(zone, instant("2009-01-01"), instant("2012-12-31"))
    ]
    with database.begin() as connection:
        zones.ensure_zones(connection, ODD_ZONES)
        found = ask(
            connection,
            dates,
            *(
                due_on(midnight(probe.c.moment + 5), probe.c.zone, offset, at, days)
                for offset, at, days in waits
            ),
        )
    for (zone, date), row in zip(dates, found, strict=True):
        for (offset, at, days), due in zip(waits, row, strict=True):
            day = date // DAY + offset.days
            day = next(d for d in range(day, day + 7) if weekday(d * DAY) in days)
            expected = utc_of(day * DAY + since_midnight(at or time(0)), zone) + offset.microseconds
            if offset.microseconds:
                expected = next_day(expected, zone, days)
            assert due == expected, (zone, from_microseconds(date), offset, at, days)


@pytest.fixture(scope="module")
def filled() -> Iterator[Database]:
    """A database that knows every zone."""
    with Database.scratch() as database:
        with database.begin() as connection:
            zones.ensure_zones(connection, ALL_ZONES)
        yield database


@settings(deadline=None, max_examples=300)
@given(
    zone=st.sampled_from(ALL_ZONES),
    moment=st.integers(-10 * 365 * DAY, 90 * 365 * DAY).map(from_microseconds),
    at=st.none() | st.times(),
    days=st.frozensets(st.integers(0, 6), min_size=1),
    shift=st.integers(-30, 30),
    elapsed=st.integers(-DAY, DAY),
)
def test_any_wait_in_any_zone(
    filled: Database,
    zone: str,
    moment: datetime,
    at: time | None,
    days: frozenset[int],
    shift: int,
    elapsed: int,
) -> None:
    from runner.journey.model import LocalTimes

    # Before 1970 the offset of 1970 stands in; keep to instants whose waits lie in known time or in UTC.
    if moment.year < 1971:
        zone = "UTC"
    utc = to_microseconds(moment)
    duration = Duration(shift, elapsed)
    with filled.begin() as connection:
        [(due,)] = ask(
            connection,
            [(zone, utc)],
            due_after(probe.c.moment, probe.c.zone, duration, LocalTimes(at=at, days=days)),
        )
    assert due == expected_after(utc, zone, duration, at, days)


def test_a_look_up_is_served_by_the_primary_key(sqlite_database: Database) -> None:
    statement = select(
        local_microseconds(probe.c.moment, probe.c.zone), utc_microseconds(probe.c.moment, probe.c.zone)
    ).select_from(probe)
    with sqlite_database.begin() as connection:
        probe.create(connection)
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement.compile(connection)}").all()
    text = "\n".join(row.detail for row in plan)
    assert text.count("(zone=? AND begins<?)") == 2
    assert text.count("(zone=? AND begins=?)") == 2
    assert "SCAN zone" not in text
    assert "TEMP B-TREE" not in text


def test_zones_are_written_once(database: Database) -> None:
    count = select(tables.zone_offset.c.zone).where(tables.zone_offset.c.zone == "Europe/Berlin")
    with database.begin() as connection:
        zones.ensure_zones(connection, ["Europe/Berlin"])
        once = len(connection.execute(count).all())
        zones.ensure_zones(connection, ["Europe/Berlin", "UTC"])
        assert len(connection.execute(count).all()) == once > 100
        with pytest.raises(KeyError):
            zones.ensure_zones(connection, ["Europe/Atlantis"])


def test_zone_names_are_exact() -> None:
    assert zones.known_zone("Europe/Berlin")
    assert not zones.known_zone("europe/berlin")
    assert not zones.known_zone("../etc/passwd")
    assert not zones.known_zone("")


@pytest.mark.parametrize("name", ["localtime", "Factory", "posixrules", "posix/Europe/Berlin"])
def test_what_is_the_clock_of_no_place_is_no_zone(name: str) -> None:
    assert not zones.known_zone(name)
    trouble = zone_problem(name)
    assert trouble is not None
    assert trouble[0] == f'Unknown time zone "{name}".'
    fitted = fit_traits(Catalog(), {"timezone": name})
    assert fitted.properties == {"timezone": None}
    assert fitted.rejected["timezone"].why == "no time zone of the IANA database"

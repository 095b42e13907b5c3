"""Time in every zone, over every change of its clock from 2000 to 2040: waits never end early, keep the wall clock, and
end only where they may; a schedule fires once for each local time; and what hangs on local time moves with its contact.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import select
from test_localtime import ODD_ZONES, ask, expected_after, local_of, probe, since_midnight, utc_of, weekday

from runner.engine.apply import apply_project
from runner.engine.tick import EXACT
from runner.engine.versions import load_versions
from runner.journey.catalog import IDENTIFIED
from runner.journey.cron import parse_cron
from runner.journey.duration import DAY, Duration
from runner.journey.model import LocalTimes
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.local_time import zones
from runner.store.local_time.localtime import due_after, due_on, midnight
from runner.store.local_time.wall_clock import instant_at, local_time, next_firing
from runner.store.people.arrival import Arrival
from runner.store.tables import contact, run
from runner.store.types import from_microseconds, to_microseconds
from tests.shop import FILES, START, Shop

FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2040, 12, 31, tzinfo=UTC)
MINUTE = 60_000_000
HOUR = 60 * MINUTE
EVERY_DAY = frozenset(range(7))


def alike() -> list[list[str]]:
    """All zones of the IANA database, those together whose clocks have shown the same since 1970."""
    groups: dict[tuple[zones.Period, ...], list[str]] = defaultdict(list)
    for name in sorted(zones.known_zones()):
        groups[zones.periods(name)].append(name)
    return list(groups.values())


GROUPS = alike()


def changes(zone: str) -> Iterator[int]:
    for period in zones.periods(zone)[1:]:
        if to_microseconds(FIRST) <= period.begins <= to_microseconds(LAST):
            yield period.begins


def moments() -> list[tuple[str, int]]:
    """Of one zone of each group: instants around each change of its clock, other ones for each."""
    chance = random.Random(2026)
    found = []
    for zone, *_ in GROUPS:
        found.append((zone, to_microseconds(FIRST)))
        for change in changes(zone):
            shifts = (chance.randint(-49 * 60, -60), chance.randint(-59, 0), chance.randint(1, 180))
            found += [(zone, change + minutes * MINUTE) for minutes in shifts]
    return found


def in_gap(local: int, zone: str) -> bool:
    """Whether the wall clock never shows this time."""
    return local_of(utc_of(local, zone), zone) != local


def is_at(due: int, nominal: int, zone: str) -> bool:
    """Whether ``due`` is when the clock shows ``nominal``, the first time, or when it leaves it out."""
    shown = local_of(due, zone)
    if shown == nominal:
        return due == utc_of(nominal, zone)
    return in_gap(nominal, zone) and local_of(due - 1, zone) < nominal < shown


def test_every_zone_is_that_of_the_machine() -> None:
    chance = random.Random(7)
    for first, *others in GROUPS:
        seen = [change + shift for change in changes(first) for shift in (-1, 0)] or [to_microseconds(FIRST)]
        for moment in chance.sample(seen, min(len(seen), 40)):
            shown = local_of(moment, first)
            assert all(local_of(moment, other) == shown for other in others), (first, others, moment)


NINE, NIGHT = time(9), time(2, 30)
WEEKEND = frozenset({5, 6})


def test_waits_in_every_zone(sqlite_database: Database) -> None:
    found = moments()
    at, zone = probe.c.moment, probe.c.zone
    with sqlite_database.begin() as connection:
        zones.ensure_zones(connection, [names[0] for names in GROUPS])
        rows = ask(
            connection,
            found,
            due_after(at, zone, Duration(microseconds=36 * HOUR)),
            due_after(at, zone, Duration(days=1)),
            due_after(at, zone, Duration(), LocalTimes(at=NIGHT, days=EVERY_DAY)),
            due_after(at, zone, Duration(days=1), LocalTimes(at=NINE, days=WEEKEND)),
            due_on(midnight(at), zone, Duration(days=1), NIGHT),
        )
    assert len(found) > 10_000
    for (name, moment), (elapsed, day, night, weekend, until) in zip(found, rows, strict=True):
        where = (name, from_microseconds(moment))
        shown = local_of(moment, name)
        assert elapsed == moment + 36 * HOUR, where
        assert day > moment, where
        assert is_at(day, shown + DAY, name), where
        # The next half past two: not before now, at that time, and there was none between.
        assert night >= moment, where
        nominal = next(
            candidate
            for candidate in (
                shown // DAY * DAY + days * DAY + since_midnight(NIGHT) for days in range(-2, 4)
            )
            if utc_of(candidate, name) >= moment
        )
        assert is_at(night, nominal, name), where
        assert weekend >= day, where
        assert weekday(local_of(weekend, name)) in WEEKEND, where
        assert local_of(weekend, name) % DAY == since_midnight(NINE), where
        assert weekend - day < 8 * DAY, where
        assert is_at(until, moment // DAY * DAY + DAY + since_midnight(NIGHT), name), where


@pytest.mark.parametrize("line", ["*/30 * * * *", "30 2 * * *"])
def test_a_schedule_fires_once_for_each_local_time(line: str) -> None:
    cron = parse_cron(line)
    for zone, *_ in GROUPS:
        for change in changes(zone):
            begin = from_microseconds(change) - timedelta(hours=25 if line.startswith("30") else 1)
            until = begin + (timedelta(hours=49) if line.startswith("30") else timedelta(minutes=150))
            after, nominals, last = begin, [], begin
            while (firing := next_firing.__wrapped__(cron, zone, after)) is not None and firing.at <= until:
                nominal = to_microseconds(datetime.fromisoformat(firing.nominal).replace(tzinfo=UTC))
                assert is_at(to_microseconds(firing.at), nominal, zone), (zone, firing)
                assert firing.at > last or firing.at > begin, (zone, firing)
                nominals.append(firing.nominal)
                after = last = firing.at
            assert len(set(nominals)) == len(nominals), (zone, nominals)
            # None is left out, but for those that the clock leaves out and that fall on the next one's instant.
            expected, local = [], local_time(begin, zone)
            while (local := cron.next_after(local)) and instant_at(local, zone) <= until:  # type: ignore[assignment]
                if instant_at(local, zone) > begin:
                    expected.append((instant_at(local, zone), local.isoformat(timespec="minutes")))
            assert nominals == list(dict(expected).values()), (zone, from_microseconds(change))


JOURNEY = """
journey: {name}
language: 1
title: A wait
topic: offers
trigger: {{event: Signed Up}}
steps:
  - id: pause
    wait: {wait}
"""
WAITS = {
    "elapsed": "36h",
    "local": '{for: 2d, at: "09:30"}',
    "weekend": '{for: 1h, at: "02:30", days: [sat, sun]}',
    "date": '{until: contact.born, at: "09:30", if_missing: exit}',
    "fixed": '{for: 1d, at: "09:30", timezone: Europe/Berlin}',
}


def test_local_times_move_with_their_contact_and_elapsed_times_do_not(database: Database) -> None:
    """Everybody moves to another zone while waiting, five hours after the wait began."""
    files = dict(FILES)
    for name, wait in WAITS.items():
        files[f"journeys/{name}/journey.yaml"] = JOURNEY.format(name=name, wait=wait)
    shop = Shop(database)
    project = load_project(files)
    assert not project.problems, project.problems
    apply_project(database, project, now=START - timedelta(days=1), author="tests", git_commit=None)
    shop.versions = load_versions(database)
    chance = random.Random(5)
    names = [zone for zone, *_ in GROUPS]
    people = {f"p{n}": (chance.choice(names), chance.choice(names)) for n in range(150)}
    # In the days before the clocks change in Europe; America's have changed already.
    begin = datetime(2026, 3, 25, 10, 17, tzinfo=UTC)
    moved = begin + timedelta(hours=5)
    arrivals = []
    for key, (before, after) in people.items():
        for at, zone in ((begin - timedelta(hours=1), before), (moved, after)):
            properties = {"timezone": zone, "born": "2026-03-29"}
            arrivals.append(
                Arrival(
                    contact=key,
                    name=IDENTIFIED,
                    at=at,
                    properties=properties,
                    undeclared={},
                    dedup_key=f"{key} {at}",
                )
            )
        arrivals.append(shop.event(key, "Signed Up", begin, plan="pro", seats=1))
    shop.arrive(arrivals)
    shop.tick(moved, EXACT)
    rows = select(contact.c.key, run.c.journey, run.c.due_at).join(
        contact, (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact)
    )
    with database.read() as connection:
        due = {(row.key, row.journey): row.due_at for row in connection.execute(rows)}
    began, half_past = to_microseconds(begin), time(9, 30)
    for key, (_, zone) in people.items():
        expected = {
            "elapsed": began + 36 * HOUR,
            "local": expected_after(began, zone, Duration(days=2), half_past, EVERY_DAY),
            "weekend": expected_after(began, zone, Duration(microseconds=HOUR), NIGHT, WEEKEND),
            "date": utc_of(
                to_microseconds(datetime(2026, 3, 29, tzinfo=UTC)) + since_midnight(half_past), zone
            ),
            "fixed": expected_after(began, "Europe/Berlin", Duration(days=1), half_past, EVERY_DAY),
        }
        found = {name: to_microseconds(due[key, name]) for name in WAITS}
        assert found == expected, (key, zone)


def test_a_schedule_fires_for_everybody_once_each_day(database: Database) -> None:
    """At half past two by each contact's clock, over the days on which the clocks change in Europe."""
    files = dict(FILES)
    files["journeys/night/journey.yaml"] = JOURNEY.format(name="night", wait="1m").replace(
        "{event: Signed Up}", '{schedule: "30 2 * * *", timezone: contact}'
    )
    shop = Shop(database)
    project = load_project(files)
    assert not project.problems, project.problems
    begin, until = datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC)
    for zone in ODD_ZONES:
        shop.identify(zone, begin, timezone=zone)
    apply_project(database, project, now=begin, author="tests", git_commit=None)
    shop.versions = load_versions(database)
    shop.tick(until, EXACT)
    rows = select(contact.c.key, run.c.entered_at, run.c.entry_key).join(
        contact, (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact)
    )
    with database.read() as connection:
        entered = {(row.key, row.entry_key): row.entered_at for row in connection.execute(rows)}
    expected = {}
    for zone in ODD_ZONES:
        for day in range(27, 32):
            nominal = datetime.fromisoformat(f"2026-03-{day} 02:30").replace(tzinfo=UTC)
            at = from_microseconds(utc_of(to_microseconds(nominal), zone))
            if begin < at <= until:
                expected[zone, f"schedule:2026-03-{day}T02:30"] = at
    assert entered == expected

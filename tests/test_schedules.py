"""Schedules fire at local times, once each, over restarts and several runners."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from runner.engine.apply import apply_project
from runner.engine.tick import EXACT, LIVE, Pace
from runner.engine.versions import load_versions
from runner.journey.catalog import IDENTIFIED
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.tables import contact, journey, run
from tests.shop import FILES, START, Shop

WEEKLY = """
journey: weekly
language: 1
title: Every day at nine
topic: offers
trigger: {TRIGGER}
steps:
  - id: done
    exit: done
"""


def files(trigger: str) -> dict[str, str]:
    return {**FILES, "journeys/weekly/journey.yaml": WEEKLY.replace("{TRIGGER}", trigger)}


class Diary(Shop):
    """A shop in which the journey `weekly` is applied at START."""

    def __init__(self, database: Database, trigger: str) -> None:
        self.database = database
        self.apply(trigger, START)

    def apply(self, trigger: str, now: datetime) -> None:
        project = load_project(files(trigger))
        assert not project.problems, project.problems
        self.catalog = project.catalog
        apply_project(self.database, project, now=now, author="tests", git_commit=None)
        self.versions = load_versions(self.database)

    def move(self, key: str, zone: str, at: datetime) -> None:
        """Somebody lives in another zone from ``at`` on."""
        said = {"timezone": zone}
        moves = Arrival(
            contact=key, name=IDENTIFIED, at=at, properties=said, undeclared={}, dedup_key=f"{key} {at}"
        )
        self.arrive([moves])

    def entries(self) -> list[tuple[str, str]]:
        """Contact and UTC instant of each entry, in order."""
        rows = select(contact.c.key, run.c.entered_at).join(
            contact, (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact)
        )
        with self.database.read() as connection:
            found = connection.execute(rows.where(run.c.journey == "weekly")).all()
        return sorted((row.key, f"{row.entered_at.astimezone(UTC):%m-%d %H:%M}") for row in found)

    def live(self, first: datetime, last: datetime, step: timedelta = timedelta(minutes=10)) -> None:
        now = first
        while now <= last:
            self.tick(now)
            now += step


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_it_fires_for_everybody_in_the_zone_of_the_catalog(database: Database) -> None:
    diary = Diary(database, '{schedule: "0 9 * * *"}')
    for key in ("ana", "ben"):
        diary.identify(key)
    diary.live(START, at("2026-03-03 12:00"))
    assert diary.entries() == [(key, f"03-0{day} 05:00") for key in ("ana", "ben") for day in (2, 3)]


def test_it_fires_for_the_audience_alone(database: Database) -> None:
    diary = Diary(database, '{schedule: "0 9 * * MON", audience: contact.vip, timezone: UTC}')
    diary.identify("ana", vip=True)
    diary.identify("ben")
    diary.live(START, at("2026-03-03 12:00"))
    assert diary.entries() == [("ana", "03-02 09:00")]


def test_an_event_starts_it_as_well(database: Database) -> None:
    diary = Diary(database, '[{schedule: "0 9 * * MON", timezone: UTC}, {event: Signed Up}]')
    diary.identify("ana")
    diary.sign_up("ben", at=at("2026-03-01 10:20"))
    diary.live(at("2026-03-01 10:30"), at("2026-03-03 12:00"))
    assert diary.entries() == [
        ("ana", "03-02 09:00"),
        ("ben", "03-01 10:20"),
    ]


@pytest.mark.parametrize("pace", [LIVE, EXACT])
def test_it_fires_by_each_contacts_own_clock(database: Database, pace: Pace) -> None:
    diary = Diary(database, '{schedule: "0 9 * * MON", timezone: contact}')
    diary.identify("ana", timezone="Asia/Tokyo")
    diary.identify("ben", timezone="America/New_York")
    diary.identify("cid")
    # At this very instant it is nine where dan comes to; where he was, it is night.
    diary.identify("dan", timezone="Pacific/Honolulu")
    diary.move("dan", "America/New_York", at("2026-03-02 14:00"))
    if pace is LIVE:
        diary.live(START, at("2026-03-03 12:00"))
    else:
        diary.tick(at("2026-03-03 12:00"), pace)
    assert diary.entries() == [
        ("ana", "03-02 00:00"),
        ("ben", "03-02 14:00"),
        ("cid", "03-02 05:00"),
        ("dan", "03-02 14:00"),
    ]


def test_who_comes_into_a_zone_after_it_has_fired_there_is_not_fired_for(database: Database) -> None:
    """Also where somebody else came in time, to a zone in which nobody was, and both are looked at in one tick."""
    diary = Diary(database, '{schedule: "0 9 * * MON", timezone: contact}')
    for key in ("ana", "ben"):
        diary.identify(key, timezone="Pacific/Honolulu")
    diary.tick(at("2026-03-02 13:50"), LIVE)
    diary.move("ana", "America/New_York", at("2026-03-02 13:59"))
    diary.move("ben", "America/New_York", at("2026-03-02 14:01"))
    diary.tick(at("2026-03-02 14:02"), LIVE)
    diary.tick(at("2026-03-02 14:03"), LIVE)
    assert diary.entries() == [("ana", "03-02 14:00")]


def test_a_large_firing_comes_in_parts(database: Database) -> None:
    diary = Diary(database, '{schedule: "0 9 * * MON"}')
    people = [f"p{number}" for number in range(30)]
    for key in people:
        diary.identify(key)
    pace = Pace(contacts=7)
    diary.tick(at("2026-03-02 05:00"), pace)
    assert [key for key, _ in diary.entries()] == sorted(people)


@pytest.mark.parametrize("zone", ["UTC", "contact"])
def test_partitions_that_have_nobody_do_not_hold_up_the_others(database: Database, zone: str) -> None:
    """One partition at a time, in virtual time: a schedule that begins where nobody is ends no round of ticks."""
    diary = Diary(database, f'{{schedule: "0 9 * * MON", timezone: {zone}}}')
    diary.identify("ana", timezone="UTC")
    diary.tick(at("2026-03-02 10:00"), replace(EXACT, contacts=1))
    assert diary.entries() == [("ana", "03-02 09:00")]


CAUGHT_UP: dict[str, list[str]] = {
    "skip": ["03-05 05:00"],
    "once": ["03-04 10:00", "03-05 05:00"],
    "all": ["03-04 10:00", "03-04 10:00", "03-04 10:00", "03-05 05:00"],
}


@pytest.mark.parametrize("policy", CAUGHT_UP)
def test_firings_that_were_missed(database: Database, policy: str) -> None:
    """The daemon was away from the first of March to the fourth."""
    diary = Diary(database, f'{{schedule: "0 9 * * *", catch_up: {policy}}}')
    diary.identify("ana")
    diary.tick(START)
    diary.live(at("2026-03-04 10:00"), at("2026-03-05 12:00"))
    assert [entered for _, entered in diary.entries()] == CAUGHT_UP[policy]


def test_a_new_schedule_fires_for_what_comes_and_one_that_is_gone_no_more(database: Database) -> None:
    diary = Diary(database, '{schedule: "0 9 * * *", timezone: UTC}')
    diary.identify("ana")
    diary.live(START, at("2026-03-02 09:30"))
    diary.apply('{schedule: "0 8,10 * * *", timezone: UTC}', at("2026-03-02 09:35"))
    diary.live(at("2026-03-02 09:40"), at("2026-03-03 09:30"))
    assert [entered for _, entered in diary.entries()] == ["03-02 09:00", "03-02 10:00", "03-03 08:00"]


def test_a_paused_journey_lets_its_firings_pass(database: Database) -> None:
    diary = Diary(database, '{schedule: "0 9 * * *", timezone: UTC}')
    diary.identify("ana")
    diary.tick(START)
    with database.begin() as connection:
        connection.execute(update(journey).values(state="paused"))
    diary.versions = load_versions(database)
    diary.live(START, at("2026-03-02 12:00"))
    with database.begin() as connection:
        connection.execute(update(journey).values(state="live"))
    diary.versions = load_versions(database)
    diary.live(at("2026-03-02 12:10"), at("2026-03-03 12:00"))
    assert [entered for _, entered in diary.entries()] == ["03-03 09:00"]

"""Date triggers follow the date and the zone of each contact, and come once a date."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import BigInteger, func, literal, select

from runner.engine.apply import apply_project
from runner.engine.pausing import pause_journey, resume_journey
from runner.engine.tick import EXACT, LIVE, Pace
from runner.engine.versions import load_versions
from runner.journey.catalog import IDENTIFIED
from runner.journey.fit import fit_traits
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.local_time.years import day_of_year, falls_on, year_of
from runner.store.people.arrival import Arrival
from runner.store.people.events import store_events
from runner.store.tables import appointment, contact, event, run
from tests.shop import CATALOG, FILES, Shop

BIRTHDAY = """
journey: birthday
language: 1
title: A date of the contact
topic: offers
trigger: {TRIGGER}
steps:
  - id: done
    exit: done
"""
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Diary(Shop):
    """A shop in which the journey `birthday` was applied at the beginning of 2026, or at ``begin``."""

    def __init__(self, database: Database, trigger: str, begin: datetime = BEGIN) -> None:
        self.database = database
        self.heard = 0
        self.apply(trigger, begin)

    def apply(self, trigger: str, now: datetime) -> None:
        files = {**FILES, "journeys/birthday/journey.yaml": BIRTHDAY.replace("{TRIGGER}", trigger)}
        files["journeys/catalog.yaml"] = CATALOG.replace("points:", "renews: {type: datetime}\n  points:")
        project = load_project(files)
        assert not project.problems, project.problems
        self.catalog = project.catalog
        apply_project(self.database, project, now=now, author="tests", git_commit=None)
        self.versions = load_versions(self.database)

    def tell(self, key: str, when: datetime, **traits: Any) -> None:
        """The contact is identified at that instant, as it happens."""
        self.heard += 1
        fitted = fit_traits(self.catalog, traits)
        made = Arrival(
            contact=key,
            name=IDENTIFIED,
            at=when,
            properties=fitted.properties,
            undeclared={},
            dedup_key=f"told {self.heard}",
        )
        self.arrive([made])

    def entries(self) -> list[str]:
        """Contact, UTC instant and date of each entry, in order of time."""
        rows = select(contact.c.key, run.c.entered_at, run.c.trigger).join(
            contact, (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact)
        )
        with self.database.read() as connection:
            found = connection.execute(rows.where(run.c.journey == "birthday")).all()
        return [
            f"{row.key} {row.entered_at.astimezone(UTC):%Y-%m-%d %H:%M} {row.trigger['date']}"
            for row in sorted(found, key=lambda row: (row.entered_at, row.key))
        ]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


YEARLY = "{date: contact.born, every: year, offset: -7d, at: '09:00'}"


def test_a_date_of_every_year_comes_every_year(database: Database) -> None:
    diary = Diary(database, YEARLY)
    diary.tell("ana", at("2026-02-01"), born="1990-03-10", timezone="Europe/Berlin")
    diary.tell("ben", at("2026-02-01"), born="1988-01-03", timezone="America/New_York")
    diary.tell("cid", at("2026-02-01"))
    diary.tick(at("2028-06-01"), EXACT)
    assert diary.entries() == [
        "ana 2026-03-03 08:00 2026-03-10",
        "ben 2026-12-27 14:00 2027-01-03",
        "ana 2027-03-03 08:00 2027-03-10",
        "ben 2027-12-27 14:00 2028-01-03",
        "ana 2028-03-03 08:00 2028-03-10",
    ]


def test_the_29th_of_february_is_the_28th_in_other_years(database: Database) -> None:
    diary = Diary(database, "{date: contact.born, every: year}")
    diary.tell("ana", at("2026-01-05"), born="2000-02-29", timezone="UTC")
    diary.tick(at("2029-01-01"), EXACT)
    assert diary.entries() == [
        "ana 2026-02-28 00:00 2026-02-28",
        "ana 2027-02-28 00:00 2027-02-28",
        "ana 2028-02-29 00:00 2028-02-29",
    ]


def test_a_date_is_not_reached_anew_while_the_clock_shows_its_hour_again(database: Database) -> None:
    """On 25 October 2026 it is half past two twice in Berlin; what is told in between moves nothing."""
    diary = Diary(database, "{date: contact.born, every: year, at: '02:30'}")
    diary.tell("ana", at("2026-10-01"), born="1990-10-25", timezone="Europe/Berlin")
    diary.tell("ana", at("2026-10-25 01:10"), first_name="Ana")
    diary.tell("ben", at("2026-10-25 01:10"), born="1990-10-25", timezone="Europe/Berlin")
    diary.tick(at("2027-12-01"), EXACT)
    assert diary.entries() == [
        "ana 2026-10-25 00:30 2026-10-25",
        "ana 2027-10-25 00:30 2027-10-25",
        "ben 2027-10-25 00:30 2027-10-25",
    ]


@pytest.mark.parametrize("first", [1896, 1996, 2096])
def test_days_of_other_years_are_those_of_the_calendar(database: Database, first: int) -> None:
    epoch = date(1970, 1, 1).toordinal()
    begins, ends = (date(year, 1, 1).toordinal() - epoch for year in (first, first + 8))
    days = select(literal(begins, BigInteger).label("day")).cte("days", recursive=True)
    days = days.union_all(select(days.c.day + 1).where(days.c.day + 1 < ends))
    years = (1600, 1899, 2000, 2023, 2100, 2400)
    of_day = select(
        days.c.day, year_of(days.c.day).label("year"), day_of_year(days.c.day).label("place")
    ).subquery()
    shown = [falls_on(literal(year, BigInteger), of_day.c.place) for year in years]
    with database.read() as connection:
        found = connection.execute(select(of_day.c.day, of_day.c.year, *shown)).all()
    assert len(found) == ends - begins
    for day, year, *others in found:
        meant = date.fromordinal(day + epoch)
        assert year == meant.year - (meant.month < 3)
        for its_year, other in zip(years, others, strict=True):
            calendar_year = its_year + (meant.month < 3)
            leaps = meant.month == 2 and meant.day == 29 and not calendar.isleap(calendar_year)
            expected = meant.replace(year=calendar_year, day=28 if leaps else meant.day)
            assert date.fromordinal(other + epoch) == expected


@pytest.mark.parametrize("pace", [LIVE, EXACT])
def test_the_trigger_follows_the_date_and_the_zone(database: Database, pace: Pace) -> None:
    """Of ana the date moves, of ben the zone; cid's is taken away, and dan's comes and goes within one look."""
    diary = Diary(database, "{date: contact.born, at: '09:00'}")
    for key in ("ana", "ben", "cid", "dan"):
        diary.tell(key, at("2026-02-01"), born="2026-03-10", timezone="Europe/Berlin")
    days = [at("2026-02-01"), at("2026-02-10"), at("2026-03-10 08:00")]
    if pace is LIVE:
        diary.tick(days[0] + timedelta(minutes=1))
    diary.tell("ana", days[1], born="2026-03-12")
    diary.tell("ben", days[1], timezone="Asia/Tokyo")
    diary.tell("cid", days[1], born=None)
    if pace is LIVE:
        now = days[1]
        while now < at("2026-03-13"):
            if now == days[2]:
                diary.tell("dan", days[2] - timedelta(minutes=3), born="2026-03-20")
            diary.tick(now)
            now += timedelta(minutes=20)
    else:
        diary.tell("dan", days[2] - timedelta(minutes=3), born="2026-03-20")
        diary.tick(at("2026-03-13"), pace)
    assert diary.entries() == ["ben 2026-03-10 00:00 2026-03-10", "ana 2026-03-12 08:00 2026-03-12"]


def test_a_date_enters_once_however_it_moves(database: Database) -> None:
    """The date comes at nine in Tokyo, and again when the contact has moved to New York: it was that date already."""
    diary = Diary(database, YEARLY)
    diary.tell("ana", at("2026-02-01"), born="1990-03-10", timezone="Asia/Tokyo")
    diary.tell("ana", at("2026-03-03 05:00"), timezone="America/New_York")
    diary.tell("ana", at("2026-03-05"), born="1991-03-10")
    diary.tick(at("2026-06-01"), EXACT)
    assert diary.entries() == ["ana 2026-03-03 00:00 2026-03-10"]


def test_a_date_that_is_past_when_it_becomes_known(database: Database) -> None:
    skips = Diary(database, "{date: contact.born}")
    skips.tell("ana", at("2026-02-01 10:00"), born="2026-01-10", timezone="UTC")
    skips.tell("ben", at("2026-02-01 00:00"), born="2026-02-01", timezone="UTC")  # at that very instant
    skips.tick(at("2026-03-01"), EXACT)
    assert skips.entries() == []


def test_a_date_that_is_past_enters_at_once_where_that_is_said(database: Database) -> None:
    diary = Diary(database, "{date: contact.born, if_past: enter}")
    diary.tell("ana", at("2026-02-01 10:00"), born="2026-01-10", timezone="UTC")
    diary.tell("ana", at("2026-02-02 10:00"), points=3)
    diary.tell("ana", at("2026-02-03 10:00"), born="2026-01-11")
    diary.tell("ana", at("2026-02-04 10:00"), born="2026-01-10")
    diary.tell("ben", at("2026-02-01 00:00"), born="2026-02-01", timezone="UTC")
    diary.tick(at("2026-03-01"), EXACT)
    # The journey is entered once by itself: `reentry` is never.
    assert diary.entries() == ["ben 2026-02-01 00:00 2026-02-01", "ana 2026-02-01 10:00 2026-01-10"]


def test_a_date_that_was_past_before_enters_nobody_for_what_else_becomes_known(database: Database) -> None:
    diary = Diary(database, "{date: contact.born}")
    diary.identify("ana", at=BEGIN, born="2025-12-10", timezone="UTC")
    diary.apply("{date: contact.born, if_past: enter}", at("2026-01-02"))
    diary.tick(at("2026-01-03"), LIVE)
    # In one tick with somebody whose date becomes known.
    diary.tell("ana", at("2026-02-01 10:00"), points=3)
    diary.tell("ben", at("2026-02-01 10:00"), born="2026-01-20", timezone="UTC")
    diary.tick(at("2026-02-01 10:00"), LIVE)
    assert diary.entries() == ["ben 2026-02-01 10:00 2026-01-20"]


def test_what_was_told_before_the_first_apply_or_in_a_pause_enters_nobody_though_it_is_handled_later(
    database: Database,
) -> None:
    """Of ana the date was past when it was told, of ben it came before the apply; cid tells his in a pause, and dan and
    eve afterwards."""
    diary = Diary(database, "{date: contact.born, if_past: enter}", begin=at("2026-02-10"))
    diary.tell("ana", at("2026-02-01"), born="2026-01-10", timezone="UTC")
    diary.tell("ben", at("2026-02-01"), born="2026-02-05", timezone="UTC")
    diary.tell("dan", at("2026-02-10 01:00"), born="2026-01-12", timezone="UTC")
    diary.tick(at("2026-02-10 01:00"))
    assert diary.entries() == ["dan 2026-02-10 01:00 2026-01-12"]
    pause_journey(database, "birthday", now=at("2026-02-11"), who="tests")
    diary.tell("cid", at("2026-02-11 01:00"), born="2026-01-11", timezone="UTC")
    resume_journey(database, "birthday", now=at("2026-02-11 02:00"), who="tests")
    diary.versions = load_versions(database)
    diary.tell("eve", at("2026-02-11 03:00"), born="2026-01-13", timezone="UTC")
    diary.tick(at("2026-02-11 03:00"))
    assert diary.entries()[1:] == ["eve 2026-02-11 03:00 2026-01-13"]


def test_a_yearly_date_whose_lead_has_begun(database: Database) -> None:
    """Three days before the birthday, and on the day itself, one still enters; the day after nobody does."""
    diary = Diary(database, YEARLY.replace("}", ", if_past: enter}"))
    diary.tell("ana", at("2026-02-01 10:00"), born="1990-02-04", timezone="UTC")
    diary.tell("ben", at("2026-02-01 10:00"), born="1990-02-01", timezone="UTC")
    diary.tell("cid", at("2026-02-01 10:00"), born="1990-01-31", timezone="UTC")
    for key in ("ana", "ben", "cid"):
        diary.tell(key, at("2026-02-01 11:00"), points=3)
    diary.tick(at("2027-02-01"), EXACT)
    assert diary.entries() == [
        "ana 2026-02-01 10:00 2026-02-04",
        "ben 2026-02-01 10:00 2026-02-01",
        "cid 2027-01-24 09:00 2027-01-31",
        "ben 2027-01-25 09:00 2027-02-01",
        "ana 2027-01-28 09:00 2027-02-04",
    ]


def test_a_datetime_keeps_its_own_time(database: Database) -> None:
    diary = Diary(database, "{date: contact.renews, offset: -1d}")
    diary.tell("ana", at("2026-02-01"), renews="2026-03-29T12:30:00+02:00", timezone="Europe/Berlin")
    diary.tick(at("2026-06-01"), EXACT)
    assert diary.entries() == ["ana 2026-03-28 11:30 2026-03-29"]


def test_a_datetime_of_every_year_keeps_its_local_time(database: Database) -> None:
    diary = Diary(database, "{date: contact.renews, every: year, offset: -2h}")
    diary.tell("ana", at("2026-02-01"), renews="2020-03-29T12:30:00+02:00", timezone="Europe/Berlin")
    diary.tick(at("2027-06-01"), EXACT)
    assert diary.entries() == ["ana 2026-03-29 08:30 2026-03-29", "ana 2027-03-29 08:30 2027-03-29"]


def test_those_who_were_there_before_the_journey(database: Database) -> None:
    diary = Diary(database, "{schedule: '0 9 1 1 *'}")
    people = [f"p{number}" for number in range(30)]
    for key in people:
        diary.identify(key, BEGIN, born="1990-03-10", timezone="UTC")
    diary.apply(YEARLY, at("2026-02-01"))
    diary.tick(at("2026-02-01 00:01"), Pace(contacts=7))
    with database.read() as connection:
        made = connection.execute(select(func.count()).select_from(appointment)).scalar()
    assert made == 30
    diary.tick(at("2026-03-03 09:00"), Pace(contacts=7))
    assert len(diary.entries()) == 30
    assert {entry.partition(" ")[2] for entry in diary.entries()} == {"2026-03-03 09:00 2026-03-10"}


def test_a_changed_trigger_moves_the_appointments_and_a_removed_one_takes_them_away(
    database: Database,
) -> None:
    diary = Diary(database, YEARLY)
    diary.tell("ana", at("2026-02-01"), born="1990-03-10", timezone="UTC")
    diary.tick(at("2026-02-01 00:01"))
    diary.apply(YEARLY.replace("-7d", "-2d"), at("2026-02-02"))
    diary.tick(at("2026-02-02 00:01"))
    diary.tick(at("2026-03-03 09:00"))
    assert diary.entries() == []
    diary.tick(at("2026-03-08 09:00"))
    assert diary.entries() == ["ana 2026-03-08 09:00 2026-03-10"]
    diary.apply("{event: Left}", at("2026-03-09"))
    diary.tick(at("2026-03-09 00:01"))
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(appointment)).scalar() == 0


def test_a_journey_that_is_applied_again_unchanged_goes_on(database: Database) -> None:
    diary = Diary(database, YEARLY)
    diary.tell("ana", at("2026-02-01"), born="1990-03-10", timezone="UTC")
    diary.tick(at("2026-02-01 00:01"))
    diary.apply(YEARLY, at("2026-03-03 08:59"))
    diary.apply(YEARLY.replace("'09:00'}", "'09:00', if_past: skip}"), at("2026-03-03 08:59"))
    diary.tick(at("2026-03-03 09:00"))
    assert diary.entries() == ["ana 2026-03-03 09:00 2026-03-10"]


def test_one_that_is_late_comes_when_somebody_is_there_again(database: Database) -> None:
    diary = Diary(database, YEARLY)
    diary.tell("ana", at("2026-02-01"), born="1990-03-10", timezone="UTC")
    diary.tick(at("2026-02-01 00:01"))
    diary.tell("ana", at("2026-03-04"), points=4)  # while nobody was there
    diary.tick(at("2026-03-05 10:00"))
    assert diary.entries() == ["ana 2026-03-05 10:00 2026-03-10"]


def test_a_date_far_away_and_one_that_does_not_fit_are_no_trouble(database: Database) -> None:
    diary = Diary(database, "{date: contact.born, offset: 7d}")
    diary.tell("ana", at("2026-02-01"), born="9999-12-31", timezone="Pacific/Kiritimati")
    diary.tell("ben", at("2026-02-01"), born="0001-01-01", timezone="Pacific/Pago_Pago")
    diary.tell("cid", at("2026-02-01"), born="soon")
    diary.tick(at("2027-02-01"), EXACT)
    assert diary.entries() == []
    with database.read() as connection:
        assert (
            connection.execute(select(func.count()).select_from(event).where(event.c.pending)).scalar() == 0
        )


def test_a_date_that_is_imported_as_history_is_followed(database: Database) -> None:
    """History that arrives today makes appointments as of today, and starts nothing that is past."""
    diary = Diary(database, YEARLY.replace("}", ", if_past: enter}"))
    diary.tick(at("2026-02-01"))
    for key, born in (("ana", "1990-03-10"), ("ben", "1990-02-04")):
        fitted = fit_traits(diary.catalog, {"born": born, "timezone": "UTC"})
        made = Arrival(
            contact=key,
            name=IDENTIFIED,
            at=at("2024-05-05"),
            properties=fitted.properties,
            undeclared={},
            dedup_key=key,
        )
        with database.begin() as connection:
            store_events(
                connection, database.deployment, [made], pending=False, received_at=at("2026-02-01 10:00")
            )
    diary.tick(at("2026-02-01 10:00"))
    assert diary.entries() == []
    diary.tick(at("2026-03-03 09:00"))
    assert diary.entries() == ["ana 2026-03-03 09:00 2026-03-10"]
    diary.tick(at("2027-01-28 09:00"))
    assert diary.entries()[1:] == ["ben 2027-01-28 09:00 2027-02-04"]


@pytest.mark.parametrize("known", ["before the run", "in the run"])
def test_virtual_time_asks_no_wall_clock_what_is_past(database: Database, known: str) -> None:
    """The journey is applied, and its file imported, long after the time that is lived."""
    diary = Diary(database, "{date: contact.born, offset: -30d, at: '09:00'}", begin=at("2026-11-22"))
    fitted = fit_traits(diary.catalog, {"born": "2026-04-15", "timezone": "UTC"})
    made = Arrival(
        contact="ana",
        name=IDENTIFIED,
        at=at("2026-01-10"),
        properties=fitted.properties,
        undeclared={},
        dedup_key="ana",
    )
    with database.begin() as connection:
        store_events(
            connection,
            database.deployment,
            [made],
            pending=known == "in the run",
            received_at=at("2026-11-22 01:00"),
        )
    diary.tick(at("2026-01-05"), EXACT)
    diary.tick(at("2026-05-01"), EXACT)
    assert diary.entries() == ["ana 2026-03-16 09:00 2026-04-15"]

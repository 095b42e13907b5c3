"""What time causes comes once for each contact: with several runners at work, and with a tick that ends anywhere."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from runner.engine.apply import apply_project
from runner.engine.tick import EXACT, LIVE, Pace, tick
from runner.engine.versions import load_versions
from runner.insight.status import read_status, status_json, status_text
from runner.journey.catalog import IDENTIFIED
from runner.journey.fit import fit_traits
from runner.journey.project import load_project
from runner.store.causes.broadcasts import Sent, store_broadcasts
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.tables import contact, run
from tests.shop import FILES, START, Shop

PEOPLE = 30
PACE = Pace(contacts=9)
CATALOG = FILES["journeys/catalog.yaml"].replace(
    "  Left: {}", "  Left: {}\n  Stock: {broadcast: true, vip: boolean}"
)
STEPS = "entry: {reentry: always}\nsteps:\n  - {id: done, exit: done}\n"
HEAD = "language: 1\ntitle: By time\ntopic: offers\n"
TRIGGERS = {
    "weekly": '{schedule: "0 9 * * MON", audience: contact.vip}',
    "local": '{schedule: "0 9 * * MON", timezone: contact}',
    "birthday": "{date: contact.born, every: year, at: '09:00'}",
    "stock": "{event: Stock, where: event.vip == contact.vip}",
}
DAY = timedelta(days=1)
STOCK = (START, datetime(2026, 3, 2, 5, tzinfo=UTC))


def shop(database: Database) -> Shop:
    """People in three zones whose birthday is the Monday on which the schedules fire. Two broadcasts are sent: one that
    is due alone, and one at the instant of a schedule."""
    files = {**FILES, "journeys/catalog.yaml": CATALOG}
    for name, trigger in TRIGGERS.items():
        files[f"journeys/{name}/journey.yaml"] = f"journey: {name}\n{HEAD}trigger: {trigger}\n{STEPS}"
    made = Shop(database)
    project = load_project(files)
    assert not project.problems, project.problems
    apply_project(database, project, now=START - DAY, author="tests", git_commit=None)
    made.versions = load_versions(database)
    for number in range(PEOPLE):
        zone = ("Asia/Tokyo", "America/New_York", None)[number % 3]
        made.identify(f"p{number}", START - DAY, vip=True, born="1990-03-02", timezone=zone)
    sent = [
        Sent(
            name="Stock",
            at=at,
            received_at=START - DAY,
            properties={"vip": True},
            undeclared={},
            dedup_key=f"stock {at}",
        )
        for at in STOCK
    ]
    with database.begin() as connection:
        assert store_broadcasts(connection, sent, pending=True) == len(STOCK)
    return made


def entered(database: Database) -> Counter[tuple[str, str, str]]:
    """How often each contact has entered each journey, by the instant."""
    rows = select(contact.c.key, run.c.journey, run.c.entered_at).join(
        contact, (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact)
    )
    with database.read() as connection:
        found = connection.execute(rows).all()
    return Counter((row.key, row.journey, f"{row.entered_at.astimezone(UTC):%m-%d %H:%M}") for row in found)


def expected() -> Counter[tuple[str, str, str]]:
    at_nine = ("03-02 00:00", "03-02 14:00", "03-02 05:00")
    everybody: Counter[tuple[str, str, str]] = Counter()
    for number in range(PEOPLE):
        key, local = f"p{number}", at_nine[number % 3]
        everybody.update([(key, "weekly", "03-02 05:00"), (key, "local", local), (key, "birthday", local)])
        everybody.update([(key, "stock", "03-01 10:00"), (key, "stock", "03-02 05:00")])
    return everybody


INSTANTS = [START, *(datetime(2026, 3, 2, hour, tzinfo=UTC) for hour in (0, 5, 14, 15))]


def test_several_runners_fire_each_once(postgres_database: Database) -> None:
    made = shop(postgres_database)
    failures: list[BaseException] = []

    def work(now: datetime) -> None:
        try:
            while tick(postgres_database, made.versions, now, PACE).more:
                pass
        except BaseException as failure:
            failures.append(failure)

    for now in INSTANTS:
        runners = [threading.Thread(target=work, args=(now,)) for _ in range(3)]
        for runner in runners:
            runner.start()
        for runner in runners:
            runner.join(60)
        made.tick(now, PACE)  # what somebody held while another looked
    assert failures == []
    assert entered(postgres_database) == expected()


class Cut(Exception):
    """The end of a runner in the middle of its work."""


@contextmanager
def cut_at(database: Database, statements: int) -> Iterator[None]:
    """The runner comes to its end at its so many-th writing statement."""
    seen = 0

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal seen
        seen += statement.lstrip().startswith(("INSERT", "UPDATE", "DELETE", "WITH"))
        if seen > statements:
            raise Cut

    event.listen(database.engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(database.engine, "before_cursor_execute", count)


def test_a_tick_that_ends_anywhere_is_done_again(database: Database) -> None:
    made = shop(database)
    cuts = 0
    for now in INSTANTS:
        for statements in range(0, 400, 23):
            try:
                with cut_at(database, statements):
                    made.tick(now, PACE)
                break
            except Cut:
                cuts += 1
        made.tick(now, PACE)
    assert cuts > len(INSTANTS)
    assert entered(database) == expected()


@pytest.mark.parametrize(
    "pace", [LIVE, EXACT, PACE, Pace(late_after=None, event_max_age=None, contacts=7, passes=1)]
)
def test_batches_change_nothing(sqlite_database: Database, pace: Pace) -> None:
    made = shop(sqlite_database)
    for now in INSTANTS if pace.late_after else INSTANTS[-1:]:
        made.tick(now, pace)
    assert entered(sqlite_database) == expected()


@pytest.mark.parametrize("pace", [LIVE, Pace(contacts=1, passes=1)])
def test_batches_change_nothing_in_the_order_of_what_is_late(sqlite_database: Database, pace: Pace) -> None:
    """After days without a runner: dates go by when they were reached, and one that was moved meanwhile is told to have
    moved after them, whatever others are told at the same time."""
    triggers = {
        "after": "{date: contact.due}",
        "before": "{date: contact.due, offset: -3h}",
        "move": '{schedule: "0 9 2 3 *", audience: contact.vip}',
    }
    head = "language: 1\ntitle: By time\ntopic: offers\n"
    files = {
        f"journeys/{name}/journey.yaml": f"journey: {name}\n{head}trigger: {trigger}\n"
        + ("steps:\n  - {id: later, update: {set: {due: = now + days('1d')}}}\n" if name == "move" else STEPS)
        for name, trigger in triggers.items()
    }
    catalog = FILES["journeys/catalog.yaml"].replace("  points:", "  due: {type: datetime}\n  points:")
    made = Shop(sqlite_database, {"journeys/catalog.yaml": catalog, **files})
    for key, vip in (("ana", True), ("ben", False)):
        made.identify(key, START - DAY, vip=vip, due="2026-03-03T10:00:00Z")
    made.tick(START, pace)
    # When ana is at `before`, ben is at `after`, and cid changes.
    traits = fit_traits(made.catalog, {"points": 3}).properties
    changes = Arrival(
        contact="cid", name=IDENTIFIED, at=START + 3 * DAY, properties=traits, undeclared={}, dedup_key="told"
    )
    left = {"ana": 2, "ben": 1, "cid": 3}
    made.arrive(made.event(key, "Left", START + day * DAY) for key in left for day in range(1, left[key] + 1))
    made.arrive([changes])
    made.tick(START + 4 * DAY, pace)
    with sqlite_database.read() as connection:
        rows = select(contact.c.key, run.c.journey).where(contact.c.id == run.c.contact).order_by(run.c.id)
        found = [tuple(row) for row in connection.execute(rows)]
    assert [journey for key, journey in found if key == "ana"] == ["move", "before", "after"]
    assert [journey for key, journey in found if key == "ben"] == ["before", "after"]


def test_status_tells_when_time_starts_a_journey_next(database: Database) -> None:
    made = shop(database)
    assert {one.next_start for one in read_status(database).journeys} == {None}  # not looked at yet
    made.tick(START)
    status = read_status(database)
    starts = {one["journey"]: one["next_start"] for one in status_json(status)["journeys"]}
    tokyo, here = "2026-03-02T00:00:00Z", "2026-03-02T05:00:00Z"
    assert starts == {"birthday": tokyo, "greet": None, "local": tokyo, "stock": None, "weekly": here}
    assert "next start  2026-03-02 05:00 UTC\n" in status_text(status, START)
    assert "next start  2026-03-02 05:00 UTC (overdue)\n" in status_text(status, START + DAY)

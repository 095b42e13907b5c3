"""What happens all the time reads only what it needs, however much is stored: no statement of intake, of a reload of
the versions, of a tick with or without work, of delivery or of housekeeping has a plan that goes through a
contact-owned table from one end to the other. On the first day of an empty store as on a large one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from runner.engine.deliver import LEASE, deliver
from runner.engine.recover import recover
from runner.engine.tick import LIVE, tick
from runner.engine.versions import load_versions
from runner.journey.catalog import CONSENT_GRANTED, IDENTIFIED
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.people.events import store_events
from tests.shop import CATALOG, FILES, START, Shop, Sink
from tests.test_deliver_plans import without_scans

OWNED = "contact|event|run|message|step_log|consent|consent_log|assignment|conversion"
PEOPLE = 3_000
Work = Callable[[Database, Shop], object]


def _arrivals(name: str, **properties: Any) -> list[Arrival]:
    """Of people who are there, and of one who is new."""
    keys = ("old1", "old2", "old3", f"new {name}")
    return [
        Arrival(
            contact=key, name=name, at=START, properties=properties, undeclared={}, dedup_key=f"{name} {key}"
        )
        for key in keys
    ]


def _store(database: Database, arrivals: list[Arrival], *, pending: bool) -> None:
    with database.begin() as connection:
        store_events(connection, database.deployment, arrivals, pending=pending, received_at=START)


def _intake(database: Database, shop: Shop) -> None:
    _store(database, _arrivals("Signed Up", plan="pro"), pending=True)


def _history(database: Database, shop: Shop) -> None:
    _store(database, _arrivals(IDENTIFIED, first_name="Ana", timezone="Asia/Tbilisi"), pending=False)
    _store(database, _arrivals(CONSENT_GRANTED, topic="offers"), pending=False)


def _reload(database: Database, shop: Shop) -> None:
    load_versions(database)


def _idle(database: Database, shop: Shop) -> None:
    before_all = START - timedelta(days=400)
    assert not tick(database, shop.versions, before_all, LIVE).contacts


def _tick(database: Database, shop: Shop) -> None:
    _store(database, _arrivals("Signed Up", plan="pro"), pending=True)
    while tick(database, shop.versions, START, replace(LIVE, contacts=50)).more:
        pass


def _deliver(database: Database, shop: Shop) -> None:
    deliver(database, shop.versions, {"email": Sink()}, START, limit=20)


def _keep_house(database: Database, shop: Shop) -> None:
    recover(database, {"email": Sink()}, START + LEASE + timedelta(hours=1))


WORK: tuple[Work, ...] = (_intake, _history, _reload, _idle, _tick, _deliver, _keep_house)


@pytest.mark.parametrize("work", WORK, ids=lambda work: work.__name__.strip("_"))
@pytest.mark.parametrize("many", [False, True], ids=["empty", "large"])
def test_no_plan_reads_a_whole_table(database: Database, work: Work, many: bool) -> None:
    shop = Shop(database)
    if many:
        _fill(database, START)
    else:
        without_scans(database)
    with _plans(database) as plans:
        work(database, shop)
    assert plans
    for statement, plan in plans.items():
        # `SCAN event USING INDEX ix_event_pending`: a partial index of the few rows that wait.
        found = re.search(
            rf"\b(SCAN|Seq Scan on) ({OWNED})(_\d+)?\b(?! USING (COVERING )?INDEX ix_(message|run_set_aside))",
            plan,
        )
        assert not found, f"{statement}\n{plan}"
        assert "AUTOMATIC" not in plan, f"{statement}\n{plan}"
        # An event is found by its key, not among all of its contact.
        among_all = re.search(r"ix_event_history on event[^\n]*\n[^\n]*\n *Filter: .*\bid = ", plan)
        assert not among_all, f"{statement}\n{plan}"


def test_the_timer_of_somebody_with_an_event_is_found_by_them(postgres_database: Database) -> None:
    """Not among all that are due in the partition, also before there are statistics of the store."""
    database, shop = postgres_database, Shop(postgres_database)
    many, batch, later = 20_000, 400, START + timedelta(days=1, minutes=1)
    with database.begin() as connection:
        for statement in (
            "INSERT INTO contact (partition, id, key, attributes, tags, created_at) "
            "SELECT i % 4, i, 'p' || i, '{}', '[]', :begun FROM generate_series(1, :many) i",
            "INSERT INTO run (partition, contact, id, journey, version, per, entry_key, status, step, node, "
            "arrived_at, due_at, next_at, entered_at, trigger, data) SELECT partition, id, 1, 'greet', 1, '', 'e', "
            "'active', 'day', 1, :begun, :due, :due, :begun, '{}', '{}' FROM contact",
            "INSERT INTO event (partition, contact, id, name, at, received_at, properties, dedup_key, pending) "
            "SELECT partition, id, 1, 'Left', :later, :later, '{}', 'left', true FROM contact",
        ):
            values = {"begun": START, "due": START + timedelta(days=1), "later": later, "many": many}
            named = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(text(statement), named)
    tick(database, shop.versions, later, replace(LIVE, contacts=batch))
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
        read = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'ix_run_due'"
        entries = connection.execute(text(f"{read} AND schemaname = current_schema")).scalar_one()
        gone_on = connection.execute(text("SELECT count(*) FROM run WHERE status = 'completed'")).scalar_one()
    assert gone_on == batch
    assert entries < 2 * many, entries


QUIET = """
journey: quiet
language: 1
title: Example
topic: receipts
trigger: {segment: quiet, change: leave}
steps:
  - {id: settle, wait: 1h}
"""


def test_the_appointments_of_somebody_are_found_by_them(database: Database) -> None:
    """Not among all that are due in the partition, when a batch of many that are due has its turn."""
    segments = 'segments:\n  quiet: {when: \'did("Signed Up", within="1d")\', refresh: 1h}\n'
    files = {**FILES, "journeys/catalog.yaml": CATALOG + segments, "journeys/quiet/journey.yaml": QUIET}
    shop = Shop(database, files)
    while tick(database, shop.versions, START, LIVE).more:
        pass
    people = [f"p{number}" for number in range(40)]
    for key in people:
        shop.identify(key)
        shop.arrive([replace(_arrivals("Signed Up")[0], contact=key)])
    while tick(database, shop.versions, START, LIVE).more:
        pass
    due = START + timedelta(days=1, hours=1)
    with _plans(database) as plans:
        while tick(database, shop.versions, due, replace(LIVE, contacts=4)).more:
            pass
    about = {statement: plan for statement, plan in plans.items() if "JOIN appointment" in statement}
    by_pass = {statement: plan for statement, plan in about.items() if "FROM wave" in statement}
    assert by_pass
    for statement, plan in by_pass.items():
        assert "ix_appointment_due" not in plan, f"{statement}\n{plan}"
    with database.read() as connection:
        left = connection.execute(text("SELECT count(*) FROM run WHERE journey = 'quiet'")).scalar_one()
    assert left == len(people)


@contextmanager
def _plans(database: Database) -> Iterator[dict[str, str]]:
    """The plan of each statement that is run meanwhile, as its session plans it."""
    found: dict[str, str] = {}
    explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "

    def read(
        _connection: Any, cursor: Any, statement: str, parameters: Any, _context: Any, many: bool
    ) -> None:
        first = statement.split(None, 1)[0]
        if first not in ("INSERT", "UPDATE", "DELETE", "SELECT", "WITH") or statement in found:
            return
        other = cursor.connection.cursor()
        other.execute(explain + statement, parameters[0] if many else parameters)
        found[statement] = "\n".join(str(row[-1]) for row in other.fetchall())

    event.listen(database.engine, "before_cursor_execute", read)
    try:
        yield found
    finally:
        event.remove(database.engine, "before_cursor_execute", read)


def _fill(database: Database, start: datetime) -> None:
    """A store of so many people, each with a consent, three old events, a run that stands and two that ended, and their
    messages; as its planner knows it."""
    sqlite = database.dialect == "sqlite"
    numbers = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :people) "
        if sqlite
        else "WITH n(i) AS (SELECT generate_series(1, :people)) "
    )
    microseconds = int(start.timestamp()) * 1_000_000
    at = str(microseconds) if sqlite else f"timestamptz '{start.isoformat()}'"
    day = "86400000000" if sqlite else "interval '1 day'"
    empty, none = ("'{}'", "'[]'") if sqlite else ("'{}'::jsonb", "'[]'::jsonb")
    three = "(SELECT 1 AS k UNION ALL SELECT 2 UNION ALL SELECT 3) AS three"
    statements = (
        "INSERT INTO contact (partition, id, key, attributes, tags, created_at) "
        f"{numbers}SELECT i % {database.deployment.partitions}, i + 1000000, 'p' || i, {empty}, {none}, {at} FROM n",
        "INSERT INTO consent (partition, contact, topic, channel, state, since) "
        f"SELECT partition, id, 'offers', '*', 'given', {at} FROM contact",
        "INSERT INTO consent_log (partition, contact, id, topic, channel, state, at) "
        f"SELECT partition, id, 1, 'offers', '*', 'given', {at} FROM contact",
        "INSERT INTO event (partition, contact, id, name, at, received_at, properties, dedup_key, pending) "
        f"SELECT partition, id, k, 'Signed Up', {at} - k * {day}, {at}, {empty}, 'k' || k, false "
        f"FROM contact, {three}",
        "INSERT INTO run (partition, contact, id, journey, version, per, entry_key, status, step, node, arrived_at, "
        "due_at, next_at, entered_at, ended_at, trigger, data) SELECT partition, id, k, 'greet', 1, '', 'event:' || k, "
        "CASE k WHEN 3 THEN 'active' ELSE 'completed' END, CASE k WHEN 3 THEN 'day' END, CASE k WHEN 3 THEN 1 END, "
        f"{at}, CASE k WHEN 3 THEN {at} + {day} END, CASE k WHEN 3 THEN {at} + {day} END, {at} - (4 - k) * {day}, "
        f"CASE WHEN k < 3 THEN {at} END, {empty}, {empty} FROM contact, {three}",
        "INSERT INTO step_log (partition, contact, run, node, visit, step, outcome, at) "
        f"SELECT partition, contact, id, 0, 1, 'hello', 'ready', {at} FROM run",
        "INSERT INTO message (partition, contact, run, step, visit, journey, version, channel, topic, status, "
        "let_go_at, expires_at, attempts, sent_at) SELECT partition, contact, id, 'hello', 1, 'greet', 1, 'email', "
        f"'offers', 'sent', {at} - id * {day}, {at}, 1, {at} FROM run",
    )
    with database.begin() as connection:
        for statement in statements:
            connection.execute(text(statement), {"people": PEOPLE} if ":people" in statement else {})
    _store(database, _arrivals("Left"), pending=False)
    if not sqlite:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))

"""How fast events wake the runs that wait for them.

All runs stand at a wait for an event, which has come for each of them and is still to be handled. The floor is the SQL
that somebody would write by hand for this one journey, over the same tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import text

from benchmarks.harness import KINDS, Figure, Scale, Sides, analyse, databases, spent
from runner.engine.apply import apply_project
from runner.engine.tick import LIVE, tick
from runner.engine.versions import Versions, load_versions
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.types import to_microseconds

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
ORDERED = START + timedelta(minutes=30)
NOW = START + timedelta(minutes=31)
BATCH = 20_000
CATALOG = """
events:
  Signed Up: {}
  Order Completed: {total: number}
topics:
  offers: {title: Offers, opt_in: explicit}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
"""
JOURNEY = """
journey: bench
language: 1
title: From a wait for an order to the next wait
topic: offers
trigger: {event: Signed Up}
steps:
  - id: order
    wait:
      event: Order Completed
      up_to: 7d
  - {id: pause, wait: 2h}
"""


def measure(scale: Scale) -> Iterator[Figure]:
    for kind in KINDS:
        with databases(kind) as make:
            for size, rounds in scale.of(((10_000, 2),), ((20_000, 5), (200_000, 1))):
                pairs = []
                for number in range(rounds):
                    took = {}
                    ways = [wake_with_engine, wake_by_hand]
                    for way in ways if number % 2 else reversed(ways):
                        database = make()
                        fill(database, size)
                        took[way] = spent(partial(way, database), database)
                        check(database, size)
                    pairs.append((took[ways[0]], took[ways[1]]))
                yield Sides.of(pairs).row("wake-up", kind, size)


def fill(database: Database, size: int) -> None:
    """``size`` contacts, each with a run at the wait for an order and with an order to be handled."""
    project = load_project({"journeys/catalog.yaml": CATALOG, "journeys/bench/journey.yaml": JOURNEY})
    assert not project.problems, project.problems
    apply_project(database, project, now=START, author="bench", git_commit=None)
    version = load_versions(database).current["bench"].id
    partitions = database.deployment.partitions
    sqlite = database.dialect == "sqlite"
    numbers = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :size) "
        if sqlite
        else "WITH n(i) AS (SELECT generate_series(1, :size)) "
    )
    started, ordered, due = (
        _instant(database, instant) for instant in (START, ORDERED, START + timedelta(days=7))
    )
    as_json = "" if sqlite else "::jsonb"
    with database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO contact (partition, id, key, attributes, tags, created_at) "
                f"{numbers}SELECT i % {partitions}, i, 'c' || i, '{{}}'{as_json}, '[]'{as_json}, {started} FROM n"
            ),
            {"size": size},
        )
        connection.execute(
            text(
                "INSERT INTO run (partition, contact, id, journey, version, per, entry_key, status, step, node, "
                "arrived_at, due_at, next_at, entered_at, trigger, data) SELECT partition, id, 1, 'bench', "
                f"{version}, '', 'event:1', 'active', 'order', 0, {started}, {due}, {due}, {started}, "
                f"'{{}}'{as_json}, '{{}}'{as_json} FROM contact"
            )
        )
        connection.execute(
            text(
                "INSERT INTO event (partition, contact, id, name, at, received_at, properties, dedup_key, pending) "
                f"SELECT partition, id, id, 'Order Completed', {ordered}, {ordered}, "
                f"'{{\"total\"\\: 20000000}}'{as_json}, 'o', true FROM contact"
            )
        )
    analyse(database)


def wake_with_engine(database: Database, versions: Versions | None = None) -> int:
    versions = versions or load_versions(database)
    woken = 0
    while (ticked := tick(database, versions, NOW, LIVE)).more:
        woken += ticked.contacts
    return woken


def wake_by_hand(database: Database) -> int:
    """What this one journey needs and nothing else: four statements a batch."""
    sqlite = database.dialect == "sqlite"
    two_hours = "7200000000" if sqlite else "interval '2 hours'"
    create = (
        "CREATE TEMPORARY TABLE IF NOT EXISTS woken (partition INTEGER, contact INTEGER, event INTEGER, run INTEGER, "
        "at INTEGER)"
        if sqlite
        else "CREATE TEMPORARY TABLE IF NOT EXISTS woken (partition smallint, contact bigint, event bigint, "
        "run bigint, at timestamptz) ON COMMIT DELETE ROWS"
    )
    batch = (
        "INSERT INTO woken SELECT e.partition, e.contact, e.id, r.id, e.at FROM (SELECT * FROM event WHERE pending "
        f"AND at <= {_instant(database, NOW)} LIMIT {BATCH}) e {'CROSS ' if sqlite else ''}JOIN run r "
        "ON r.partition = e.partition AND r.contact = e.contact AND r.status = 'active' AND r.step = 'order' "
        "AND e.name = 'Order Completed'"
    )
    key = "WHERE {0}.partition = w.partition AND {0}.contact = w.contact AND {0}.id = w.{0}"
    statements = (
        f"UPDATE event SET pending = false FROM woken w {key.format('event')}",
        "INSERT INTO step_log (partition, contact, run, node, visit, step, outcome, at) "
        "SELECT partition, contact, run, 0, 1, 'order', 'event', at FROM woken",
        "UPDATE run SET step = 'pause', node = 1, arrived_at = w.at, due_at = w.at + "
        f"{two_hours}, next_at = w.at + {two_hours} FROM woken w {key.format('run')} AND run.status = 'active'",
    )
    woken = 0
    while True:
        with database.begin() as connection:
            connection.exec_driver_sql(create)
            if sqlite:
                connection.exec_driver_sql("DELETE FROM woken")
            found = connection.exec_driver_sql(batch).rowcount
            if not found:
                return woken
            if not sqlite:
                connection.exec_driver_sql("ANALYZE woken")
            for statement in statements:
                connection.exec_driver_sql(statement)
            woken += found


def check(database: Database, size: int) -> None:
    """Both ways must have done the same."""
    with database.read() as connection:
        runs = connection.execute(
            text("SELECT step, node, status, count(*), min(due_at), max(due_at) FROM run GROUP BY 1, 2, 3")
        ).all()
        logged = connection.execute(
            text("SELECT node, step, outcome, count(*) FROM step_log GROUP BY 1, 2, 3")
        ).all()
        left = connection.execute(text("SELECT count(*) FROM event WHERE pending")).scalar()
    due = ORDERED + timedelta(hours=2)
    due_at = to_microseconds(due) if database.dialect == "sqlite" else due
    assert [tuple(row) for row in runs] == [("pause", 1, "active", size, due_at, due_at)], runs
    assert [tuple(row) for row in logged] == [(0, "order", "event", size)], logged
    assert left == 0, left


def _instant(database: Database, instant: datetime) -> str:
    """A constant of SQL."""
    if database.dialect == "sqlite":
        return str(to_microseconds(instant))
    return f"timestamptz '{instant.isoformat()}'"

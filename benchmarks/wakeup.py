"""How fast events wake the runs that wait for them.

All runs stand at a wait for an event, which has come for each of them and is still to be handled. The floor is the SQL
that somebody would write by hand for this one journey, over the same tables: what it does and leaves out is said in
``waits``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import text

from benchmarks.by_shares import in_shares
from benchmarks.filled import as_json, fill_with_runs, instant
from benchmarks.harness import KINDS, Figure, Scale, Sides, analyse, databases, spent
from runner.engine.tick import LIVE, tick
from runner.engine.versions import Versions, load_versions
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


FILES = {"journeys/catalog.yaml": CATALOG, "journeys/bench/journey.yaml": JOURNEY}


def fill(database: Database, size: int, files: Mapping[str, str] = FILES) -> None:
    """``size`` contacts, each with a run at the wait for an order and with an order to be handled, while the project
    ``files`` is in force."""
    fill_with_runs(database, files, size, step="order", started=START, due=START + timedelta(days=7))
    ordered, total = instant(database, ORDERED), as_json(database, "'{\"total\"\\: 20000000}'")
    with database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO event (partition, contact, id, name, at, received_at, properties, dedup_key, pending) "
                f"SELECT partition, id, id, 'Order Completed', {ordered}, {ordered}, {total}, 'o', true FROM contact"
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
        "INSERT INTO woken SELECT e.partition, e.contact, e.id, r.id, e.at FROM (SELECT * FROM event f WHERE pending "
        f"AND {{among}} AND at <= {instant(database, NOW)} AND NOT EXISTS (SELECT 1 FROM event o "
        "WHERE o.partition = f.partition AND o.contact = f.contact AND o.pending "
        f"AND (o.at, o.id) < (f.at, f.id)) LIMIT {BATCH}) e "
        f"{'CROSS ' if sqlite else ''}JOIN run r "
        "ON r.partition = e.partition AND r.contact = e.contact AND r.status = 'active' AND r.step = 'order' "
        "AND e.name = 'Order Completed' AND r.next_at > e.at"
    )
    key = "WHERE {0}.partition = w.partition AND {0}.contact = w.contact AND {0}.id = w.{0}"
    statements = (
        f"UPDATE event SET pending = false FROM woken w {key.format('event')}",
        "INSERT INTO step_log (partition, contact, run, node, visit, step, outcome, at) "
        "SELECT partition, contact, run, 0, 1, 'order', 'event', at FROM woken",
        "UPDATE run SET step = 'pause', node = 1, arrived_at = w.at, due_at = w.at + "
        f"{two_hours}, next_at = w.at + {two_hours} FROM woken w {key.format('run')} AND run.status = 'active'",
    )
    return in_shares(database, "woken", create, batch, statements, BATCH)


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

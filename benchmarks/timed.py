"""How fast triggers that time pulls start runs, beside the SQL that somebody would write by hand for that one journey.

Everybody is known, and nothing waits. A schedule fires for half of them; a date of every year is reached for all, and
next year's appointment is made. Both ways leave an event and a run at its first wait for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import text

from benchmarks.harness import KINDS, Figure, Scale, Sides, analyse, databases, spent
from benchmarks.waits import BATCH, CATALOG, Words
from runner.engine.apply import apply_project
from runner.engine.tick import LIVE, tick
from runner.engine.versions import load_versions
from runner.journey.project import load_project
from runner.store.database import Database

APPLIED = datetime(2026, 3, 1, 10, tzinfo=UTC)
DUE = datetime(2026, 3, 2, 9, tzinfo=UTC)
TARGET = 0.4
JOURNEY = """
journey: bench
language: 1
title: By time
topic: offers
trigger: {trigger}
steps:
  - {{id: pause, wait: 2h}}
"""
TRIGGERS = {
    "schedule": '{schedule: "0 9 * * MON", audience: contact.plan == "pro"}',
    "date": '{date: contact.ends, every: year, at: "09:00"}',
}


def fill(database: Database, trigger: str, size: int) -> None:
    """``size`` contacts; their appointments are made, and nothing is due before ``DUE``."""
    files = {
        "journeys/catalog.yaml": CATALOG,
        "journeys/bench/journey.yaml": JOURNEY.format(trigger=TRIGGERS[trigger]),
    }
    words, partitions = Words(database), database.deployment.partitions
    numbers = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :size)"
        if words.sqlite
        else "WITH n(i) AS (SELECT generate_series(1, :size))"
    )
    plan = "CASE WHEN i % 2 = 0 THEN 'pro' ELSE 'free' END"
    attributes = (
        f"json_object('plan', {plan}, 'ends', '2020-03-02')"
        if words.sqlite
        else f"jsonb_build_object('plan', {plan}, 'ends', '2020-03-02')"
    )
    with database.begin() as connection:
        connection.execute(
            text(
                f"INSERT INTO contact (partition, id, key, attributes, tags, created_at) {numbers} "
                f"SELECT i % {partitions}, i, 'c' || i, {attributes}, {words.json('[]')}, "
                f"{words.instant(APPLIED)} FROM n"
            ),
            {"size": size},
        )
    apply_project(database, load_project(files), now=APPLIED, author=None, git_commit=None)
    versions = load_versions(database)
    while tick(database, versions, APPLIED + timedelta(minutes=1), LIVE).more:
        pass
    analyse(database)


def by_engine(database: Database) -> int:
    versions = load_versions(database)
    after = -1
    while (ticked := tick(database, versions, DUE, LIVE, after=after)).more:
        after = ticked.last
    return _runs(database)


def by_hand(database: Database, trigger: str) -> int:
    """A few statements a batch: who it is, the event, the run, and for a date the next appointment."""
    words = Words(database)
    due, later = words.instant(DUE), words.instant(DUE + timedelta(hours=2))
    next_year = words.instant(DUE + timedelta(days=365))
    create = "CREATE TEMPORARY TABLE IF NOT EXISTS found (partition INTEGER, contact INTEGER)"
    create += "" if words.sqlite else " ON COMMIT DELETE ROWS"
    member = words.member("c.attributes", "plan")
    chosen = {
        "schedule": f"SELECT c.partition, c.id FROM contact c WHERE {member} = 'pro' AND c.id > {{0}} "
        f"AND c.id <= {{0}} + {BATCH}",
        "date": f"SELECT partition, contact FROM appointment WHERE due_at <= {due} ORDER BY due_at LIMIT {BATCH}",
    }[trigger]
    identity = (
        "(SELECT coalesce(max(id), 0) + 1 FROM event e WHERE e.partition = f.partition AND e.contact = f.contact)"
        if words.sqlite
        else "nextval('event_id_seq')"
    )
    name = {"schedule": "Schedule Fired", "date": "Date Reached"}[trigger]
    said = words.json('{"journey": "bench"}')
    statements = [
        "INSERT INTO event (partition, contact, id, name, at, received_at, properties, dedup_key, pending) "
        f"SELECT partition, contact, {identity}, '{name}', {due}, {due}, {said}, 'timed', false FROM found f",
        "INSERT INTO run (partition, contact, id, journey, version, per, entry_key, status, step, node, arrived_at, "
        "due_at, next_at, entered_at, trigger, data) SELECT partition, contact, (SELECT coalesce(max(id), 0) + 1 "
        "FROM run r WHERE r.partition = f.partition AND r.contact = f.contact), 'bench', 1, '', 'timed', 'active', "
        f"'pause', 0, {due}, {later}, {later}, {due}, {said}, {words.json('{}')} FROM found f "
        "WHERE NOT EXISTS (SELECT 1 FROM run o WHERE o.partition = f.partition AND o.contact = f.contact "
        "AND o.journey = 'bench' AND o.entry_key = 'timed')",
    ]
    if trigger == "date":
        statements.append(
            f"UPDATE appointment SET due_at = {next_year} FROM found f "
            "WHERE appointment.partition = f.partition AND appointment.contact = f.contact"
        )
    reached, most = 0, _most(database)
    while True:
        with database.begin() as connection:
            connection.exec_driver_sql(create)
            if words.sqlite:
                connection.exec_driver_sql("DELETE FROM found")
            rows = connection.exec_driver_sql(f"INSERT INTO found {chosen.format(reached)}").rowcount
            reached += BATCH
            if not rows and (trigger == "date" or reached > most):
                return _runs(database)
            for statement in statements:
                connection.exec_driver_sql(statement)


def _most(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(text("SELECT max(id) FROM contact")).scalar_one())


def _runs(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(text("SELECT count(*) FROM run WHERE step = 'pause'")).scalar_one())


def measure(scale: Scale) -> Iterator[Figure]:
    size, rounds = scale.of(20_000, 300_000), scale.of(1, 2)
    for kind in KINDS:
        for trigger in TRIGGERS:
            pairs = []
            with databases(kind) as make:
                for _ in range(rounds + 1):
                    ours, floor = make(), make()
                    for database in (ours, floor):
                        fill(database, trigger, size)
                    one = spent(partial(by_engine, ours), ours)
                    other = spent(partial(by_hand, floor, trigger), floor)
                    if one.done != other.done:
                        raise AssertionError(
                            f"{trigger}: {one.done} runs by the engine, {other.done} by hand"
                        )
                    pairs.append((one, other))
            yield Sides.of(pairs[1:]).row(f"trigger: {trigger}", kind, size, TARGET)

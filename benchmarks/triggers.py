"""How fast each kind of trigger starts runs, beside the SQL that somebody would write by hand for that one journey.

Everybody is known, and what starts their runs has come: an event of each, one for all, or an instant. Both ways leave
the same history behind, and a run of each contact at its first wait; a schedule is for half of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import text

from benchmarks.harness import KINDS, Figure, Scale, Sides, analyse, databases, spent
from benchmarks.triggers_by_hand import TRIGGERS, Trigger, by_hand
from benchmarks.waits import Words
from runner.engine.apply import apply_project
from runner.engine.tick import LIVE, tick
from runner.engine.versions import Versions, load_versions
from runner.journey.project import load_project
from runner.store.database import Database

APPLIED = datetime(2026, 3, 1, 10, tzinfo=UTC)
DUE = datetime(2026, 3, 2, 9, tzinfo=UTC)
ORDERED = DUE - timedelta(days=2)
TARGET = 0.4
FEW = 200
CATALOG = """
timezone: UTC
attributes:
  plan: {type: string}
  ends: {type: date}
  points: {type: number}
events:
  Signed Up: {n: number}
  Ordered: {n: number}
  Stock: {broadcast: true, plan: string}
topics:
  offers: {title: Offers, opt_in: explicit}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
segments:
  rich: {when: contact.points >= 100}
  quiet: {when: 'days_since("Ordered") >= 2'}
"""
JOURNEY = """
journey: bench
language: 1
title: One trigger
topic: offers
trigger: {trigger}
steps:
  - {{id: pause, wait: 2h}}
"""
FIRST = """
journey: first
language: 1
title: Whose end may start another
topic: offers
trigger: {event: Ordered}
steps:
  - {id: settle, wait: 1h}
"""


def measure(scale: Scale) -> Iterator[Figure]:
    size, rounds = scale.of(20_000, 300_000), scale.of(3, 1)
    for kind in KINDS:
        for trigger in TRIGGERS:
            pairs = []
            with databases(kind) as make:
                # A runner compiles its journeys and statements once, and lives long.
                few = make()
                fill(few, trigger, FEW)
                warm = with_engine(few, load_versions(few))[1]
                for number in range(rounds):
                    took, left = {}, {}
                    for ours in (True, False) if number % 2 else (False, True):
                        database = make()
                        fill(database, trigger, size, warm)
                        if ours:
                            versions = load_versions(database, warm)
                            took[ours] = spent(partial(_runs_after, database, versions), database)
                        else:
                            took[ours] = spent(partial(by_hand, database, trigger, DUE), database)
                        left[ours] = summary(database)
                    assert left[True] == left[False], left
                    pairs.append((took[True], took[False]))
            yield Sides.of(pairs).row(f"trigger: {trigger.name}", kind, size, TARGET)


def fill(database: Database, trigger: Trigger, size: int, warm: Versions | None = None) -> None:
    """``size`` contacts, all that is watched of them looked at, and what starts their runs to be handled at ``DUE``."""
    words = Words(database)
    numbers = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) "
        if words.sqlite
        else "WITH n(i) AS (SELECT generate_series(1, {})) "
    ).format(size)
    made = "json_object" if words.sqlite else "jsonb_build_object"
    identity = "{}" if words.sqlite else "nextval('event_id_seq')"
    due, empty, applied = words.instant(DUE), words.json("{}"), words.instant(APPLIED)
    into_event = (
        "INSERT INTO event (partition, contact, id, name, at, received_at, properties, dedup_key, pending) "
    )
    with database.begin() as connection:
        connection.exec_driver_sql(
            f"INSERT INTO contact (partition, id, key, attributes, tags, created_at) {numbers}"
            f"SELECT i - (i / {database.deployment.partitions}) * {database.deployment.partitions}, i, 'c' || i, "
            f"{made}('plan', CASE WHEN i - (i / 2) * 2 = 0 THEN 'pro' ELSE 'free' END, 'ends', '2020-03-02', "
            f"'points', 0), {words.json('[]')}, {applied} FROM n"
        )
        ordered = words.instant(ORDERED)
        connection.exec_driver_sql(
            f"{into_event}SELECT partition, id, {identity.format(1)}, 'Ordered', {ordered}, {ordered}, {empty}, "
            "'ordered', false FROM contact"
        )
    files = {
        "journeys/catalog.yaml": CATALOG,
        "journeys/bench/journey.yaml": JOURNEY.format(trigger=trigger.form),
        "journeys/first/journey.yaml": FIRST,
    }
    project = load_project(files)
    assert not project.problems, project.problems
    apply_project(database, project, now=APPLIED, author="bench", git_commit=None)
    versions = load_versions(database, warm)
    while tick(database, versions, APPLIED + timedelta(minutes=1), LIVE).more:
        pass
    with database.begin() as connection:
        if trigger.arrives:
            name, properties = trigger.arrives
            connection.exec_driver_sql(
                f"{into_event}SELECT partition, id, {identity.format(2)}, '{name}', {due}, {due}, "
                f"{words.json(properties)}, 'arrived', true FROM contact"
            )
        if trigger.everywhere:
            name, properties = trigger.everywhere
            connection.exec_driver_sql(
                "INSERT INTO broadcast (id, name, at, received_at, properties, dedup_key, open) "
                f"VALUES (1, '{name}', {due}, {due}, {words.json(properties)}, 'arrived', true)"
            )
        if trigger.of_runs:
            connection.exec_driver_sql(
                "INSERT INTO run (partition, contact, id, journey, version, per, entry_key, status, step, node, "
                "arrived_at, due_at, next_at, entered_at, trigger, data) SELECT partition, id, 1, 'first', "
                f"{versions.current['first'].id}, '', 'event:1', 'active', 'settle', 0, {applied}, {due}, {due}, "
                f"{applied}, {empty}, {empty} FROM contact"
            )
    analyse(database)


def with_engine(database: Database, versions: Versions) -> tuple[int, Versions]:
    """Answers how many runs were started, and the versions with their statements compiled."""
    after = -1
    while (ticked := tick(database, versions, DUE, LIVE, after=after)).more:
        after = ticked.last
    with database.read() as connection:
        found = connection.execute(text("SELECT count(*) FROM run WHERE step = 'pause'")).scalar_one()
    return int(found), versions


def _runs_after(database: Database, versions: Versions) -> int:
    return with_engine(database, versions)[0]


def summary(database: Database) -> tuple[Sequence[Any], ...]:
    """What is left behind, in numbers that both ways must agree on."""
    queries = (
        "SELECT journey, status, step, count(*), min(next_at), max(next_at) FROM run GROUP BY 1, 2, 3",
        "SELECT name, count(*) FROM event WHERE NOT pending GROUP BY 1",
        "SELECT count(*) FROM event WHERE pending",
        "SELECT step, outcome, count(*) FROM step_log GROUP BY 1, 2",
        "SELECT count(*) FROM membership WHERE inside",
        "SELECT state, count(*) FROM consent GROUP BY 1",
        "SELECT state, count(*) FROM consent_log GROUP BY 1",
        "SELECT min(due_at), count(due_at) FROM appointment",
        "SELECT count(*) FROM contact WHERE CAST(attributes AS text) LIKE '%200000000%'",
    )
    with database.read() as connection:
        return tuple(sorted(map(tuple, connection.execute(text(query)).all()), key=repr) for query in queries)

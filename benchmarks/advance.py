"""How fast runs advance: from a due wait through a branch to a message and the next wait.

Beside the engine, in the same run and over the same tables, stands what somebody would write by hand for this one
journey: set-based SQL, a batch a transaction. The ratio of the two is the cost of being general.

What is written by hand does all that keeps a promise to people: who has an event to be handled waits for it, nothing
goes to somebody without an address, to a suppressed address (capital letters make no other one) or without consent
(that for the channel itself goes before that for all), and each partition is held while it is worked on. It leaves out
what it knows of this one journey: that nobody is in it twice or in another one, that nobody leaves it early, who is in
which version.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from benchmarks.filled import fill_with_runs, instant
from benchmarks.harness import analyse
from runner.engine.tick import LIVE, tick
from runner.engine.versions import Versions, load_versions
from runner.store.database import Database
from runner.store.types import Instant, to_microseconds

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
BATCH = 20_000
EARLY = 100
CATALOG = """
attributes:
  lifetime_value: {type: number}
events:
  Signed Up: {}
topics:
  offers: {title: Offers, opt_in: explicit}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
"""
JOURNEY = """
journey: bench
language: 1
title: From a due wait through a branch to a message
topic: offers
trigger: {event: Signed Up}
steps:
  - {id: settle, wait: 1h}
  - id: value
    branch:
      - when: contact.lifetime_value >= 100
        name: high
        steps: [{id: voucher, send: email}]
      - name: rest
        else: [{id: nudge, send: email}]
  - {id: pause, wait: 2h}
"""
TEMPLATE = "---\nsubject: Hello\n---\nHello\n"


def fill(database: Database, size: int, *, journeys: int = 1) -> None:
    """``size`` contacts, all of whom consent, each with a run on the first wait, due an hour after the start. So many
    ``journeys`` are in force; nobody is in the others."""
    files = {"journeys/catalog.yaml": CATALOG}
    for name in ("bench", *(f"other{place}" for place in range(1, journeys))):
        files[f"journeys/{name}/journey.yaml"] = JOURNEY.replace("journey: bench", f"journey: {name}")
        files[f"journeys/{name}/voucher.txt"] = files[f"journeys/{name}/nudge.txt"] = TEMPLATE
    fill_with_runs(
        database,
        files,
        size,
        step="settle",
        started=START,
        due=START + timedelta(hours=1),
        attributes="'{\"lifetime_value\"\\:' || ((i % 200) * 1000000) || '}'",
    )
    with database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO consent (partition, contact, topic, channel, state, since) "
                f"SELECT partition, id, 'offers', '*', 'given', {instant(database, START)} FROM contact"
            )
        )
    analyse(database)


def warm_up(database: Database) -> Versions:
    """Let a few of the runs go before the others: a runner compiles its journeys and statements once, and lives long.
    Answers the compiled versions."""
    early = START + timedelta(minutes=30)
    with database.begin() as connection:
        instant = Instant().process_bind_param(early, database.engine.dialect)
        connection.execute(
            text("UPDATE run SET due_at = :early, next_at = :early WHERE contact <= :few"),
            {"early": instant, "few": EARLY},
        )
    versions = load_versions(database)
    for _ in range(10):  # PostgreSQL plans a statement anew for its first executions
        advance_with_engine(database, early, versions)
    return versions


def advance_with_engine(database: Database, now: datetime, versions: Versions | None = None) -> int:
    versions = versions or load_versions(database)
    moved = 0
    while (ticked := tick(database, versions, now, LIVE)).more:
        moved += ticked.contacts
    return moved


def advance_by_hand(database: Database, now: datetime) -> int:
    """What this one journey needs and nothing else: four statements a batch."""
    sqlite = database.dialect == "sqlite"
    present = str(to_microseconds(now)) if sqlite else f"timestamptz '{now.isoformat()}'"
    hours = (lambda n: f"{n} * 3600000000") if sqlite else (lambda n: f"interval '{n} hours'")
    high = (
        "json_extract(c.attributes, '$.lifetime_value') >= 100000000"
        if sqlite
        else "(c.attributes ->> 'lifetime_value')::bigint >= 100000000"
    )
    create = (
        "CREATE TEMPORARY TABLE IF NOT EXISTS due (partition INTEGER, contact INTEGER, run INTEGER, high INTEGER, "
        "due_at INTEGER, reason TEXT)"
        if sqlite
        else "CREATE TEMPORARY TABLE IF NOT EXISTS due (partition smallint, contact bigint, run bigint, high int, "
        "due_at timestamptz, reason text) ON COMMIT DELETE ROWS"
    )
    partitions = database.deployment.partitions
    first = (
        "(SELECT * FROM run WHERE partition = {} AND status = 'active' AND next_at IS NOT NULL "
        f"AND next_at <= {present} ORDER BY next_at LIMIT {-(-BATCH // partitions)}) r"
    )
    # On PostgreSQL others may share the work: each holds the partitions that it works on.
    rows = (
        first.format(0)
        if sqlite
        else "(SELECT partition FROM shard FOR UPDATE SKIP LOCKED) h CROSS JOIN LATERAL "
        + first.format("h.partition")
    )
    join = "CROSS JOIN" if sqlite else "JOIN"
    batch = (
        f"INSERT INTO due SELECT r.partition, r.contact, r.id, CASE WHEN {high} THEN 1 ELSE 0 END, r.due_at, "
        "CASE WHEN c.email IS NULL OR c.email = '' THEN 'no_address' WHEN EXISTS (SELECT 1 FROM suppression s WHERE "
        "s.partition = r.partition AND s.contact = r.contact AND s.channel = 'email' AND lower(s.address) = "
        "lower(c.email)) THEN 'suppressed' WHEN coalesce(o.state, k.state, '') <> 'given' THEN 'no_consent' END "
        f"FROM {rows} {join} contact c ON c.partition = r.partition AND c.id = r.contact "
        "LEFT JOIN consent o ON o.partition = r.partition AND o.contact = r.contact AND o.topic = 'offers' "
        "AND o.channel = 'email' LEFT JOIN consent k ON k.partition = r.partition AND k.contact = r.contact "
        "AND k.topic = 'offers' AND k.channel = '*' WHERE NOT EXISTS (SELECT 1 FROM event e "
        f"WHERE e.partition = r.partition AND e.contact = r.contact AND e.pending AND e.at <= {present})"
    )
    messages = (
        "INSERT INTO message (partition, contact, run, step, visit, journey, version, channel, topic, status, reason, "
        "let_go_at, expires_at, attempts, available_at) SELECT partition, contact, run, CASE high WHEN 1 THEN "
        "'voucher' ELSE 'nudge' END, 1, 'bench', 1, 'email', 'offers', CASE WHEN reason IS NULL THEN 'ready' "
        f"ELSE 'blocked' END, reason, due_at, due_at + {hours(24)}, 0, CASE WHEN reason IS NULL THEN due_at END "
        "FROM due"
    )
    log = (
        "INSERT INTO step_log (partition, contact, run, node, visit, step, outcome, at) "
        "SELECT partition, contact, run, 0, 1, 'settle', 'elapsed', due_at FROM due UNION ALL "
        "SELECT partition, contact, run, 1, 1, 'value', CASE high WHEN 1 THEN 'high' ELSE 'rest' END, due_at FROM due "
        "UNION ALL SELECT partition, contact, run, 3 - high, 1, CASE high WHEN 1 THEN 'voucher' ELSE 'nudge' END, "
        "CASE WHEN reason IS NULL THEN 'ready' ELSE 'blocked' END, due_at FROM due"
    )
    runs = (
        f"UPDATE run SET step = 'pause', node = 4, arrived_at = d.due_at, due_at = d.due_at + {hours(2)}, "
        f"next_at = d.due_at + {hours(2)} FROM due d WHERE run.partition = d.partition AND run.contact = d.contact "
        "AND run.id = d.run AND run.status = 'active'"
    )
    moved = 0
    while True:
        with database.begin() as connection:
            connection.exec_driver_sql(create)
            if sqlite:
                connection.exec_driver_sql("DELETE FROM due")
            found = connection.exec_driver_sql(batch).rowcount
            if not found:
                return moved
            if not sqlite:
                connection.exec_driver_sql("ANALYZE due")
            for statement in (messages, log, runs):
                connection.exec_driver_sql(statement)
            moved += found


def check(database: Database, size: int) -> None:
    """Both ways must have done the same."""
    with database.read() as connection:
        messages = connection.execute(
            text("SELECT step, status, count(*) FROM message GROUP BY step, status")
        ).all()
        waiting = connection.execute(text("SELECT count(*) FROM run WHERE step = 'pause'")).scalar()
        logged = connection.execute(text("SELECT count(*) FROM step_log")).scalar()
    assert sorted(messages) == [("nudge", "ready", size // 2), ("voucher", "ready", size // 2)], messages
    assert waiting == size, waiting
    assert logged == 3 * size, logged

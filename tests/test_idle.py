"""Idle costs nothing: with nothing due a look is a handful of statements, however many journeys are in force and
however many people wait for later, and each of them ends after one row of an index."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from runner.daemon.daemon import Daemon, Pulse
from runner.engine.tick import tick
from runner.store.database import Database
from runner.store.passes.working import steady_plans
from tests.shop import CATALOG, FILES, GREET, START, Shop, Sink

MOST = 10
"""Statements of all that an idle daemon does in one turn, with four who deliver; and of its housekeeping, which is
rarer."""
JOURNEYS = [1, 200]
# Of the first journeys; the others hear of an event.
TRIGGERS = [
    "{event: Seen}",
    '{schedule: "0 9 1 1 *", timezone: contact}',
    '{date: contact.born, every: year, at: "09:00"}',
    '{schedule: "30 9 1 1 *"}',
]


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that reach the database, those that begin a transaction left out."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            found.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def a_shop(database: Database, journeys: int = 1) -> Shop:
    """With so many journeys in force, and somebody who waits for tomorrow in one of them."""
    files = dict(FILES)
    files["journeys/catalog.yaml"] = CATALOG.replace("  Left: {}", "  Left: {}\n  Seen: {}")
    for number in range(1, journeys):
        name = f"greet{number}"
        trigger = TRIGGERS[number] if number < len(TRIGGERS) else "{event: Seen}"
        journey = GREET.replace("journey: greet", f"journey: {name}").replace("{event: Signed Up}", trigger)
        files[f"journeys/{name}/journey.yaml"] = journey
        files[f"journeys/{name}/hello.txt"] = "Hello.\n"
    shop = Shop(database, files)
    shop.sign_up("ana")
    return shop


@pytest.mark.parametrize("journeys", JOURNEYS)
def test_an_idle_turn_of_the_whole_daemon_is_a_handful_of_statements(
    database: Database, journeys: int
) -> None:
    a_shop(database, journeys)
    sink = Sink()
    pulse = Pulse(every=timedelta(hours=1), workers=4)
    daemon = Daemon(database, lambda versions: {"email": sink}, pulse, clock=lambda: START)
    *turn, housekeeping = daemon.stages
    for stage in (*turn, housekeeping):  # the first look finds a message to hand over
        stage.run()
    assert len(sink.messages) == 1
    daemon._asked = -math.inf  # the hour is over: the next asks anew what is in force
    with counted(database) as statements:
        for stage in turn:
            stage.run()
    assert len([statement for statement in statements if "FROM journey" in statement]) == 1
    assert len(statements) < MOST, statements
    with counted(database) as statements:
        housekeeping.run()
    assert len(statements) < MOST, statements


def test_an_idle_tick_writes_nothing_and_locks_nothing(database: Database) -> None:
    shop = a_shop(database)
    with counted(database) as statements:
        assert not tick(database, shop.versions, START).more
    looks = [statement for statement in statements if not statement.startswith("SET LOCAL")]
    (look,) = looks
    assert look.startswith("SELECT")
    assert "FOR UPDATE" not in look


def test_people_who_wait_for_later_are_not_looked_at(database: Database) -> None:
    """The plan of the look, and on PostgreSQL the rows that it touched."""
    shop = a_shop(database)
    waiting(database, 20_000)
    with counted(database) as statements:
        tick(database, shop.versions, START)
    look = statements[-1]
    if database.dialect == "sqlite":
        with database.read() as connection:
            values = (START.timestamp() * 1_000_000,) * look.count("?")
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {look}", values).all()
        plan = "\n".join(row[-1] for row in rows)
        assert "SEARCH event USING INDEX ix_event_pending (partition=? AND at<?)" in plan
        assert "SEARCH run USING INDEX ix_run_due (partition=? AND next_at>? AND next_at<?)" in plan, plan
        return
    with database.begin() as connection:
        steady_plans(connection)
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {look}"
        values = {"now": START, "after": -1, **{f"param_{number}": 1 for number in range(1, 20)}}
        (explained,) = connection.exec_driver_sql(explain, values).scalars()
    plan = explained if isinstance(explained, list) else json.loads(explained)
    nodes = list(_nodes(plan[0]["Plan"]))
    used = {node["Index Name"] for node in nodes if "Index Name" in node}
    assert used - {"pk_shard", "pk_appointing", "ix_broadcast_open", "pk_broadcast_heard"} == {
        "ix_event_pending",
        "ix_run_due",
        "ix_appointment_due",
        "ix_firing_next",
        "ix_contact_misplaced",
    }
    assert not [
        node for node in nodes if node["Node Type"] == "Seq Scan" and node["Relation Name"] != "shard"
    ]
    # A few pages a partition, of the 20,000 entries of the index: about 60 pages.
    touched = plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]
    assert touched <= 13 * database.deployment.partitions, touched


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def waiting(database: Database, people: int) -> None:
    """So many more who wait for tomorrow, in all partitions."""
    partitions = database.deployment.partitions
    numbers = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :size)"
        if database.dialect == "sqlite"
        else "WITH n(i) AS (SELECT generate_series(1, :size))"
    )
    columns = "journey, version, per, status, node, arrived_at, due_at, next_at, entered_at, trigger, data"
    with database.begin() as connection:
        connection.execute(
            text(
                f"INSERT INTO run (partition, contact, id, entry_key, step, {columns}) "
                f"{numbers} SELECT i % {partitions}, 1000000 + i, 1, 'x', step, {columns} "
                "FROM n CROSS JOIN (SELECT * FROM run WHERE status = 'active' LIMIT 1) AS one"
            ),
            {"size": people},
        )

"""The vital signs say what lags and what is in doubt, and read no table from one end to the other."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from runner.clock import utc_now
from runner.store.database import Database
from runner.store.people.events import store_events
from runner.store.tables import MessageStatus, RunStatus, message, run
from runner.store.watching.vital_signs import (
    Some,
    VitalSigns,
    database_clock,
    read_vital_signs,
)
from tests.shop import START, Shop

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def signs(database: Database, now: Any) -> VitalSigns:
    with database.read() as connection:
        return read_vital_signs(connection, now)


def test_an_idle_deployment_lags_in_nothing(database: Database) -> None:
    Shop(database)
    found = signs(database, START)
    nothing = Some(count=0, oldest=None)
    assert (found.ready, found.lapsed, found.unknown, found.set_aside) == (nothing,) * 4
    assert found.due is None
    assert found.lag == timedelta()
    assert [one.partition for one in found.partitions] == list(range(database.deployment.partitions))


def test_what_is_due_and_not_handled_is_seen_in_its_partition(database: Database) -> None:
    shop = Shop(database)
    shop.sign_up("ana")
    before = signs(database, START + DAY - MINUTE)
    assert (before.due, before.lag) == (None, timedelta())

    late = signs(database, START + DAY + 7 * MINUTE)
    assert late.due == START + DAY
    assert late.lag == 7 * MINUTE
    lagging = [one for one in late.partitions if one.lag(late.at)]
    assert len(lagging) == 1
    assert lagging[0].due == START + DAY


def test_an_event_that_is_old_but_came_just_now_does_not_lag(database: Database) -> None:
    shop = Shop(database)
    shop.identify("ana", START)
    old = shop.event("ana", "Signed Up", START - 3 * DAY, plan="pro", seats=1)
    with database.begin() as connection:
        store_events(connection, database.deployment, [old], pending=True, received_at=START)
    found = signs(database, START + MINUTE)
    (waiting,) = [one for one in found.partitions if one.event_at is not None]
    assert (waiting.event_at, waiting.event_received_at) == (START - 3 * DAY, START)
    assert found.lag == MINUTE


def test_messages_are_seen_as_ready_lapsed_and_unknown(database: Database) -> None:
    shop = Shop(database)
    shop.sign_up("ana", "ben", "eva")
    assert signs(database, START + MINUTE).ready == Some(count=3, oldest=START)

    of_ana = message.c.contact == shop.ledger()["ana/hello"].contact
    held = {"status": MessageStatus.SENDING, "available_at": None, "lease_until": START + 2 * MINUTE}
    with database.begin() as connection:
        connection.execute(update(message).values(held).where(message.c.status == MessageStatus.READY))
    assert signs(database, START + MINUTE).lapsed.count == 0
    assert signs(database, START + 3 * MINUTE).lapsed == Some(count=3, oldest=START + 2 * MINUTE)

    with database.begin() as connection:
        unknown = {"status": MessageStatus.UNKNOWN, "lease_until": None}
        connection.execute(update(message).values(unknown).where(of_ana))
    found = signs(database, START + MINUTE)
    assert found.unknown.oldest == START
    assert found.unknown.count >= 1


def test_runs_that_were_set_aside_are_counted(database: Database) -> None:
    shop = Shop(database)
    shop.sign_up("ana", "ben")
    gone = {
        "status": RunStatus.SET_ASIDE,
        "step": None,
        "node": None,
        "due_at": None,
        "review_at": None,
        "next_at": None,
        "ended_at": START + MINUTE,
    }
    with database.begin() as connection:
        connection.execute(update(run).values(gone))
    assert signs(database, START + DAY).set_aside == Some(count=2, oldest=START + MINUTE)


def test_the_database_has_a_clock(database: Database) -> None:
    before = utc_now() - timedelta(milliseconds=2)
    with database.read() as connection:
        there = database_clock(connection)
    assert before <= there <= utc_now() + timedelta(milliseconds=2)


@pytest.fixture
def plans(database: Database) -> list[str]:
    """The plan of each statement that reads the vital signs of a shop with some people."""
    shop = Shop(database)
    shop.sign_up(*(f"c{number}" for number in range(50)))
    shop.arrive(shop.event(f"c{number}", "Left", START) for number in range(50))
    found: list[str] = []
    explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "

    def read(_connection: Any, cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        other = cursor.connection.cursor()
        if database.dialect == "postgresql":
            # On fifty rows reading and sorting them all is the best plan; what counts is whether there is another.
            for plan in ("seqscan", "bitmapscan", "sort"):
                other.execute(f"SET LOCAL enable_{plan} = off")
        other.execute(explain + statement, parameters)
        found.append("\n".join(str(row[-1]) for row in other.fetchall()))

    event.listen(database.engine, "before_cursor_execute", read)
    signs(database, START + 2 * DAY)
    event.remove(database.engine, "before_cursor_execute", read)
    return [plan for plan in found if re.search("message|run|event", plan)]


def test_no_sign_costs_more_with_more_people(plans: list[str]) -> None:
    assert len(plans) == 5
    for plan in plans:
        assert not re.search(r"\bSeq Scan on (message|run|event|appointment|firing)\b", plan), plan
        assert not re.search(
            r"\bSCAN (message|run|event|appointment|firing)\b(?! USING (COVERING )?INDEX ix_)", plan
        ), plan
        assert "TEMP B-TREE" not in plan, plan
        assert "Sort" not in plan, plan
    used = set(re.findall(r"ix_\w+", "\n".join(plans)))
    assert used == {
        "ix_event_pending",
        "ix_run_due",
        "ix_appointment_due",
        "ix_firing_next",
        "ix_broadcast_open",
        "ix_message_ready",
        "ix_message_held",
        "ix_message_unknown",
        "ix_run_set_aside",
    }

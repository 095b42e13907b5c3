"""Delivery reads the messages it needs, however many there are: the plans of its statements."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from channels.base import RetryLater
from runner.engine.deliver import LEASE, deliver
from runner.engine.recover import recover
from runner.journey.catalog import MESSAGE_COMPLAINED
from runner.store.database import Database
from runner.store.sending import suppressed_addresses
from tests.shop import START, Shop, Sink


@pytest.fixture
def plans(database: Database) -> list[str]:
    """The plan of every statement that claims, changes or takes back messages, gathered as it runs."""
    found: list[str] = []
    explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "

    def read(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if any(word in statement for word in ("json_each", "_to_recordset", "lease_until", "suppression")):
            other = cursor.connection.cursor()
            other.execute(explain + statement, parameters)
            found.append("\n".join(str(row[-1]) for row in other.fetchall()))

    event.listen(database.engine, "before_cursor_execute", read)
    return found


def without_scans(database: Database) -> None:
    """On twenty rows a scan is PostgreSQL's best plan; what counts is whether there is another."""

    def connected(connection: Any, record: object) -> None:
        connection.autocommit = True
        connection.execute("SET enable_seqscan = off")
        connection.autocommit = False

    if database.dialect == "postgresql":
        event.listen(database.engine, "connect", connected)
        database.engine.dispose()


def test_no_statement_of_delivery_reads_all_messages(
    database: Database, plans: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suppressed_addresses, "MOST", 1)
    shop = Shop(database)
    shop.sign_up(*(f"c{number}" for number in range(20)))
    shop.arrive([shop.event("c2", MESSAGE_COMPLAINED)])
    shop.tick(START)
    without_scans(database)
    plans.clear()
    sink = Sink(answers={"c1": RetryLater("later")})
    deliver(database, shop.versions, {"email": sink}, START, limit=15)
    recover(database, {"email": sink}, START + LEASE + timedelta(hours=1))
    assert len(plans) >= 4
    assert any("suppressed_address" in plan and "ix_suppression_to_note" in plan for plan in plans)
    assert any("ix_suppression_spelled" in plan for plan in plans)
    for plan in plans:
        for table in ("message", "contact", "run", "suppression", "suppressed_address"):
            # A partial index of what is to be done is read whole.
            read = rf"\bSCAN {table}\b(?! USING INDEX ix_suppression_to_note)|Seq Scan on {table}\b"
            assert not re.search(read, plan), plan

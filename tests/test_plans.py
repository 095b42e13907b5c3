"""The engine's statements start from the batch: no plan reads a contact-owned table from one end to the other, and on
SQLite each look-up names the contact, on the first day of an empty store as later."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from runner.engine.apply import apply_project
from runner.engine.intake import read_arrivals
from runner.engine.tick import EXACT, tick
from runner.engine.versions import load_versions
from runner.journey.project import load_project, read_files
from runner.store.database import Database
from runner.store.people.contacts import grant_consent
from runner.store.people.events import Arrival, store_events

ROOT = Path(__file__).parent.parent
EXTRACT = ROOT / "examples/complete-journey/track.ndjson.gz"
CONTACT_OWNED = "contact|event|run|message|step_log|consent|assignment|conversion"
BY_PARTITION_ALONE = {"ix_event_pending", "ix_run_due"}
"""The indexes of the reads that find who has something due."""


@pytest.fixture
def plans(database: Database) -> dict[str, str]:
    """The plan of each different statement of the shipped journeys over part of the recorded year."""
    found: dict[str, str] = {}
    explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "

    def read(
        _connection: Any, cursor: Any, statement: str, parameters: Any, _context: Any, executemany: bool
    ) -> None:
        first = statement.split(None, 1)[0]
        if first in ("INSERT", "UPDATE", "SELECT", "WITH") and not executemany and statement not in found:
            other = cursor.connection.cursor()
            other.execute(explain + statement, parameters)
            found[statement] = "\n".join(str(row[-1]) for row in other.fetchall())

    project = load_project(read_files(ROOT))
    apply_project(database, project, now=datetime(2016, 1, 1, tzinfo=UTC), author="test", git_commit=None)
    received = datetime(2018, 2, 1, tzinfo=UTC)
    arrivals = [
        arrival
        for arrival in read_arrivals(EXTRACT, project.catalog, received_at=received)
        if isinstance(arrival, Arrival)
    ][:1500]
    with database.begin() as connection:
        store_events(connection, database.deployment, arrivals, pending=True)
        grant_consent(connection, database.deployment, None, topic="offers", at=received, source="test")
    versions = load_versions(database)
    event.listen(database.engine, "before_cursor_execute", read)
    try:
        until = arrivals[-1].at + timedelta(days=60)
        while tick(database, versions, until, EXACT).more:
            pass
    finally:
        event.remove(database.engine, "before_cursor_execute", read)
    return found


def test_no_statement_reads_all_contacts(database: Database, plans: dict[str, str]) -> None:
    assert len(plans) > 30
    for statement, plan in plans.items():
        assert not re.search(rf"\b(SCAN|Seq Scan on) ({CONTACT_OWNED})\b", plan), f"{statement}\n{plan}"
        assert "AUTOMATIC" not in plan, f"{statement}\n{plan}"


def test_only_the_search_for_work_goes_without_a_contact(database: Database, plans: dict[str, str]) -> None:
    if database.dialect == "sqlite":
        for statement, plan in plans.items():
            if " EXCEPT " in statement:  # the second search, behind a storm
                continue
            assert by_partition_alone(plan) <= BY_PARTITION_ALONE, f"{statement}\n{plan}"


def by_partition_alone(plan: str) -> set[str]:
    """The indexes of which an SQLite plan uses the partition and nothing of the contact."""
    used = re.findall(
        rf"SEARCH (?:{CONTACT_OWNED}|other|earlier|on)\w* USING \w*\s?INDEX (\w+) \(([^)]*)\)", plan
    )
    return {
        index
        for index, columns in used
        if "partition=?" in columns and not re.search("contact=|id=|key=", columns)
    }

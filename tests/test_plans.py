"""The engine's statements start from the batch: no plan reads a contact-owned table from one end to the other, and on
SQLite each look-up names the contact, on the first day of an empty store as later."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import event

from runner.engine.tick import EXACT, tick
from runner.store.database import Database
from tests.recorded_year import part_of_the_year

CONTACT_OWNED = "contact|event|run|message|step_log|consent|assignment|conversion"
BY_PARTITION_ALONE = {"ix_event_pending", "ix_run_due", "ix_contact_misplaced"}
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

    versions, until = part_of_the_year(database)
    event.listen(database.engine, "before_cursor_execute", read)
    try:
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

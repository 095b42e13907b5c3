"""Every statement of a tick names the partitions that it works on, and equates the partition in every join."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from partitions import CONTACT_OWNED, untied_tables
from sqlalchemy import UniqueConstraint, event

from runner.engine.tick import EXACT, tick
from runner.store.database import Database
from runner.store.tables import metadata
from tests.recorded_year import part_of_the_year

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("statement", "untied"),
    [
        (
            "UPDATE run SET step = 'a' FROM moving WHERE moving.partition = :p AND run.partition = moving.partition",
            [],
        ),
        (
            "UPDATE run SET step = 'a' FROM moving WHERE moving.partition = :p AND run.contact = moving.contact",
            ["run"],
        ),
        ("SELECT 1 FROM wave JOIN run ON run.partition = wave.partition", ["wave", "run"]),
        (
            "SELECT 1 FROM wave JOIN run ON run.partition = wave.partition WHERE wave.partition = ANY (:p::SMALLINT[])",
            [],
        ),
        ("SELECT 1 FROM wave WHERE wave.partition BETWEEN :p AND :q", []),
        ("SELECT 1 FROM run WHERE run.partition = :p OR run.contact = 1", ["run"]),
        (
            "SELECT 1 FROM wave JOIN LATERAL (SELECT event.id FROM event WHERE event.partition = wave.partition) AS x "
            "ON true WHERE wave.partition = :p",
            [],
        ),
        (
            "WITH found AS (SELECT run.partition AS partition FROM run WHERE run.partition = :p) "
            "SELECT 1 FROM found JOIN contact ON contact.partition = found.partition",
            [],
        ),
        (
            "WITH found AS (SELECT run.contact AS contact FROM run WHERE run.partition = :p) "
            "SELECT 1 FROM found JOIN contact ON contact.id = found.contact",
            ["contact"],
        ),
        (
            "INSERT INTO event (partition, id) SELECT wave.partition, 1 FROM wave WHERE wave.partition = :p",
            [],
        ),
        (
            "INSERT INTO event (id, partition) SELECT wave.partition, 1 FROM wave WHERE wave.partition = :p",
            [],
        ),
        ("INSERT INTO event (partition, id) SELECT wave.n, 1 FROM wave WHERE wave.partition = :p", ["event"]),
        (
            "SELECT 1 FROM wave WHERE wave.partition = :p AND NOT EXISTS (SELECT 1 FROM run WHERE run.contact = 1)",
            ["run"],
        ),
    ],
)
def test_the_reader_of_statements(statement: str, untied: list[str]) -> None:
    assert untied_tables(statement) == untied


@pytest.mark.parametrize("partitions", [None, 1])
def test_every_statement_of_a_tick_names_its_partitions(
    postgres_database: Database, partitions: int | None
) -> None:
    statements = {
        statement
        for statement in statements_of_a_life(postgres_database, partitions)
        if not statement.strip().startswith(("SET ", "CREATE ", "SELECT to_regclass"))
    }
    assert len(statements) > 40
    untied = {statement for statement in statements if untied_tables(statement)}
    # One read looks over all partitions: the one that finds which of them have work.
    assert len(untied) == 1
    assert untied.pop().startswith("SELECT shard.partition")
    if partitions == 1:
        assert not [
            statement for statement in statements if "ANY (" in statement or "partition BETWEEN" in statement
        ]


def statements_of_a_life(database: Database, partitions: int | None) -> set[str]:
    """The statements by which ticks live through part of the recorded year in the shipped journeys."""
    versions, until = part_of_the_year(database)
    found: set[str] = set()

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        found.add(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        pace = replace(EXACT, partitions=partitions)
        last = -1
        while (ticked := tick(database, versions, until, pace, after=last)).more:
            last = ticked.last
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    return found


def test_keys_and_constraints_hold_the_partition() -> None:
    """A distributed table can only be unique by, and refer to others by, what it is distributed by."""
    for name in CONTACT_OWNED:
        table = metadata.tables[name]
        assert "partition" in table.primary_key.columns, name
        assert not table.foreign_keys, name
        for constraint in table.constraints:
            if isinstance(constraint, UniqueConstraint):
                assert "partition" in constraint.columns, constraint.name
        for index in table.indexes:
            if index.unique:
                assert "partition" in index.columns, index.name


def test_the_page_on_scaling_out_distributes_every_table() -> None:
    page = (ROOT / "docs/scale-out.md").read_text(encoding="utf-8")
    distributed = set(re.findall(r"create_distributed_table\('(\w+)', 'partition'", page))
    shared = set(re.findall(r"create_reference_table\('(\w+)'\)", page))
    assert distributed == CONTACT_OWNED
    assert distributed | shared == set(metadata.tables)

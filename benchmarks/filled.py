"""Stores in which many runs stand at one step of a journey, filled by a few statements."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import text

from runner.engine.apply import apply_project
from runner.engine.versions import load_versions
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.types import to_microseconds

JOURNEY = "bench"


def fill_with_runs(
    database: Database,
    files: Mapping[str, str],
    size: int,
    *,
    step: str,
    started: datetime,
    due: datetime,
    attributes: str = "'{}'",
) -> None:
    """Apply ``files``, and have ``size`` contacts with a run of ``JOURNEY`` each.

    The runs stand at its first step, ``step``, since ``started`` and until ``due``. ``attributes`` is an expression of
    SQL over the number ``i`` of a contact.
    """
    project = load_project(files)
    assert not project.problems, project.problems
    apply_project(database, project, now=started, author="bench", git_commit=None)
    version = load_versions(database).current[JOURNEY].id
    sqlite = database.dialect == "sqlite"
    numbers = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :size) "
        if sqlite
        else "WITH n(i) AS (SELECT generate_series(1, :size)) "
    )
    begun, until = instant(database, started), instant(database, due)
    empty, tags = as_json(database, "'{}'"), as_json(database, "'[]'")
    with database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO contact (partition, id, key, email, attributes, tags, created_at) "
                f"{numbers}SELECT i % {database.deployment.partitions}, i, 'c' || i, 'c' || i || '@example.com', "
                f"{as_json(database, attributes)}, {tags}, {begun} FROM n"
            ),
            {"size": size},
        )
        connection.execute(
            text(
                "INSERT INTO run (partition, contact, id, journey, version, per, entry_key, status, step, node, "
                "arrived_at, due_at, next_at, entered_at, trigger, data) SELECT partition, id, 1, :journey, "
                f":version, '', 'event:1', 'active', :step, 0, {begun}, {until}, {until}, {begun}, {empty}, {empty} "
                "FROM contact"
            ),
            {"journey": JOURNEY, "version": version, "step": step},
        )


def instant(database: Database, at: datetime) -> str:
    """A constant of SQL."""
    if database.dialect == "sqlite":
        return str(to_microseconds(at))
    return f"timestamptz '{at.isoformat()}'"


def as_json(database: Database, value: str) -> str:
    """An expression of SQL, a text, as the database keeps JSON."""
    return value if database.dialect == "sqlite" else f"({value})::jsonb"

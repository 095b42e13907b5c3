"""Migrating ends where a fresh schema begins, on both databases."""

from __future__ import annotations

import ast
import hashlib
import json
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from runner.problem import JourneysError
from runner.store import tables
from runner.store.database import Database
from runner.store.migrations import REVISIONS

ALEMBIC = "alembic_version"


@pytest.fixture
def empty_postgres(postgres_url: str) -> Iterator[str]:
    """The URL of an empty schema on the PostgreSQL server."""
    schema = f"opened_{secrets.token_hex(6)}"
    engine = create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    separator = "&" if "?" in postgres_url else "?"
    yield f"{postgres_url}{separator}options=-csearch_path%3D{schema}"
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()


def written(rows: Sequence[Any]) -> list[str]:
    """Rows of the inspector as text: conditions of indexes are objects that equal nothing."""
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in rows)


def described(database: Database) -> dict[str, Any]:
    """All that the database knows of each table."""
    found: dict[str, Any] = {}
    with database.read() as connection:
        inspector = inspect(connection)
        for table in sorted(set(inspector.get_table_names()) - {ALEMBIC}):
            found[table] = {
                "columns": [
                    {**column, "type": str(column["type"])} for column in inspector.get_columns(table)
                ],
                "primary key": inspector.get_pk_constraint(table),
                "foreign keys": inspector.get_foreign_keys(table),
                "unique": written(inspector.get_unique_constraints(table)),
                "checks": written(inspector.get_check_constraints(table)),
                "indexes": written(inspector.get_indexes(table)),
            }
        if database.dialect == "sqlite":
            # The inspector leaves out those over expressions.
            master = "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
            found["indexes"] = connection.execute(text(master)).scalars().all()
        if database.dialect == "postgresql":
            found["sequences"] = sorted(inspector.get_sequence_names())
            found["functions"] = [
                tuple(row)
                for row in connection.execute(
                    text(
                        "SELECT proname, pg_get_function_arguments(oid), pg_get_function_result(oid), "
                        "prosrc, provolatile FROM pg_proc "
                        "WHERE pronamespace = current_schema()::regnamespace ORDER BY 1, 2"
                    )
                )
            ]
            found["comments"] = {
                table: inspector.get_table_comment(table)
                for table in found
                if table in tables.metadata.tables
            }
    return found


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
def test_a_migrated_sqlite_equals_a_fresh_one(tmp_path: Path, sqlite_database: Database) -> None:
    migrated = Database.open(f"sqlite:///{tmp_path}/journeys.db")
    fresh = described(sqlite_database)
    assert set(fresh) - {"indexes"} == set(tables.metadata.tables)
    assert described(migrated) == fresh
    migrated.close()


def without_schema(schema: Any) -> Any:
    """Column defaults name the schema that a sequence lies in."""
    for table in schema.values():
        for column in table["columns"] if isinstance(table, dict) and "columns" in table else ():
            if column["default"]:
                column["default"] = column["default"].split(".")[-1].replace("nextval('", "")
    return schema


def test_a_migrated_postgresql_equals_a_fresh_one(empty_postgres: str, postgres_database: Database) -> None:
    migrated = Database.open(empty_postgres)
    fresh = without_schema(described(postgres_database))
    assert fresh["functions"]
    assert fresh["sequences"]
    assert without_schema(described(migrated)) == fresh
    assert migrated.deployment.partitions == 64
    migrated.close()


WRITTEN = {
    "0001": "d5aa8efebcb5017a",
    "0002": "21befaf6de98b606",
    "0003": "a4b52018b479d045",
    "0004": "b6fb06d13491dd13",
    "0005": "59cc0bdff20a3beb",
    "0006": "ebc58016be540fab",
    "0007": "9d41e85c6fdb4940",
    "0008": "3aa24e2e65fd605b",
    "0009": "12bac1f52a818f43",
    "0010": "6697dba13c15eef2",
    "0011": "40161a67de7713b7",
    "0012": "fadb9409a943ca39",
    "0013": "a13103c68b4d6b8f",
    "0014": "9ce979dc2066e897",
    "0015": "e95c5740760d4e1f",
    "0016": "179821cbb6f7dd18",
    "0017": "b0a291e50c8491e6",
    "0018": "440b095ec83d9e4c",
}
"""What each revision does, as SHA-256 of its code without docstring, comments and layout."""


def meaning(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return hashlib.sha256(ast.unparse(ast.Module(tree.body[1:], [])).encode()).hexdigest()[:16]


def test_a_revision_that_is_written_is_never_changed() -> None:
    """A database that has run it would not have the change: write a new revision, and add it above."""
    assert {path.name[:4]: meaning(path) for path in sorted(REVISIONS.glob("[0-9]*.py"))} == WRITTEN


def test_runners_that_start_at_once_take_turns(empty_postgres: str) -> None:
    def start(_: int) -> str:
        database = Database.open(empty_postgres)
        database.close()
        return database.deployment.key

    with ThreadPoolExecutor(4) as pool:
        keys = set(pool.map(start, range(4)))
    assert len(keys) == 1


def test_sqlite_runners_that_start_at_once_take_turns(tmp_path: Path) -> None:
    def start(_: int) -> str:
        database = Database.open(f"sqlite:///{tmp_path}/journeys.db")
        database.close()
        return database.deployment.key

    with ThreadPoolExecutor(4) as pool:
        keys = set(pool.map(start, range(4)))
    assert len(keys) == 1


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/journeys.db"
    database = Database.open(url)
    with database.begin() as connection:
        connection.execute(text(f"UPDATE {ALEMBIC} SET version_num = '9999'"))
        connection.execute(text("UPDATE deployment SET oldest_software = '9998'"))
    database.close()
    with pytest.raises(JourneysError, match=r"revision 9999.*newer version.*must know revision 9998"):
        Database.open(url)

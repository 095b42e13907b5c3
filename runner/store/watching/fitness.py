"""Whether a database can serve: its tables are all there, and who is connected may write them."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import Connection, bindparam, inspect, text

from runner.store.database import Database
from runner.store.tables import metadata


def missing_tables(database: Database) -> tuple[str, ...]:
    """The tables that a database with the newest schema lacks, as after a part of a backup was restored."""
    with database.read() as connection:
        there = set(inspect(connection).get_table_names())
    return tuple(sorted(metadata.tables.keys() - there))


def not_writable(database: Database) -> tuple[str, ...]:
    """What may not be written: tables on PostgreSQL, the file or its folder on SQLite. Nothing is tried."""
    if database.dialect == "sqlite":
        return _not_writable_on_disk(database.engine.url.database)
    with database.read() as connection:
        return _not_granted(connection)


def _not_writable_on_disk(name: str | None) -> tuple[str, ...]:
    if name is None or not Path(name).is_file():
        return ()
    # SQLite makes its journal beside the file.
    return tuple(str(path) for path in (Path(name), Path(name).parent) if not os.access(path, os.W_OK))


def _not_granted(connection: Connection) -> tuple[str, ...]:
    query = text(
        "SELECT relname FROM pg_class WHERE oid IN (SELECT to_regclass(name) FROM unnest(CAST(:names AS text[])) name)"
        " AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')"
        " AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')) ORDER BY relname"
    ).bindparams(bindparam("names", sorted(metadata.tables)))
    return tuple(connection.execute(query).scalars())

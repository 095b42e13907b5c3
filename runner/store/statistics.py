"""What SQLite's planner is told of the tables: the proportions of a large, busy store.

SQLite chooses indexes by statistics of its own, which ``ANALYZE`` takes from what happens to be stored. A plan must not
hang on that: a store is empty on its first day. So the numbers are ours, written once when the database is made.
See https://www.sqlite.org/optoverview.html, "Manual control of query plans using sqlite_stat tables".
"""

from __future__ import annotations

from sqlalchemy import Connection, PrimaryKeyConstraint, UniqueConstraint

from runner.store.tables import metadata

_MILLION = 1_000_000
_ROWS = {
    "contact": _MILLION,
    "event": 50 * _MILLION,
    "run": 10 * _MILLION,
    "message": 20 * _MILLION,
    "step_log": 50 * _MILLION,
    "consent": 2 * _MILLION,
    "consent_log": 4 * _MILLION,
    "assignment": _MILLION,
    "conversion": _MILLION,
    "zone_offset": 20_000,
    "zone_local": 20_000,
}
_PARTIAL = {
    "ix_event_timeline": 10_000,
    "ix_event_pending": 10_000,
    "uq_run_active": 2 * _MILLION,
    "ix_run_due": 2 * _MILLION,
    "ix_run_timeline": 2 * _MILLION,
    "ix_message_ready": 10_000,
    "ix_message_held": 1_000,
}
_CONTACTS = _MILLION
_ZONES = 200


def tell_planner(connection: Connection) -> None:
    """Write the statistics into an SQLite database. Connections opened from then on plan by them, and this one."""
    connection.exec_driver_sql("ANALYZE")
    connection.exec_driver_sql("DELETE FROM sqlite_stat1")
    for table in metadata.sorted_tables:
        if table.name not in _ROWS:
            continue
        automatic = 0
        for constraint in (table.primary_key, *sorted(table.constraints, key=lambda found: str(found.name))):
            if isinstance(constraint, UniqueConstraint) or constraint is table.primary_key:
                assert isinstance(constraint, UniqueConstraint | PrimaryKeyConstraint)
                automatic += 1
                name = f"sqlite_autoindex_{table.name}_{automatic}"
                _write(connection, table.name, name, [column.name for column in constraint.columns], unique=True)
        for index in table.indexes:
            columns = [column.name for column in index.columns]
            _write(connection, table.name, str(index.name), columns, unique=bool(index.unique))
    connection.exec_driver_sql("ANALYZE sqlite_schema")


def _write(connection: Connection, table: str, index: str, columns: list[str], *, unique: bool) -> None:
    rows = _PARTIAL.get(index, _ROWS[table])
    numbers = [rows]
    for place, column in enumerate(columns):
        last = place == len(columns) - 1
        if column == "partition":
            alike = rows
        elif column in ("contact", "id", "key") and columns[0] == "partition" and place == 1:
            alike = max(1, rows // _CONTACTS)
        elif column == "zone":
            alike = rows // _ZONES
        else:
            alike = max(1, min(numbers[-1] // 3, 1_000))
        numbers.append(1 if last and unique else alike)
    connection.exec_driver_sql(
        "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)", (table, index, " ".join(map(str, numbers)))
    )

"""What the planners are told of the tables: the proportions of a large, busy store.

Both databases choose indexes by statistics that ``ANALYZE`` takes from what happens to be stored. A plan must not hang
on that: a store is empty on its first day, and to a planner that knows nothing all indexes look alike. So the first
statistics are ours, given when the database is made.

SQLite's are written straight into its table of them (https://www.sqlite.org/optoverview.html, "Manual control of query
plans using sqlite_stat tables") and stay. PostgreSQL takes them from a sample that is made up, analysed and removed;
its own come later, when there is something to know.
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
    "ix_run_version": 2 * _MILLION,
    "ix_message_ready": 10_000,
    "ix_message_held": 1_000,
    "ix_message_unknown": 100,
    "ix_run_set_aside": 100,
    "ix_contact_misplaced": 100,
}
_CONTACTS = _MILLION
_ZONES = 200
_VERSIONS = 100


def tell_planner(connection: Connection) -> None:
    """Give a database whose tables are new and empty its first statistics."""
    if connection.dialect.name == "postgresql":
        _tell_postgresql(connection)
    else:
        _tell_sqlite(connection)


_SAMPLE = {
    "contact": """id, key, attributes, tags, created_at)
        SELECT 0, c, 'c' || c, '{}', '[]', now() FROM generate_series(1, 2000) c""",
    "event": """contact, id, name, at, received_at, properties, dedup_key, pending)
        SELECT 0, c, c * 20 + i, 'e' || mod(i, 3), now() - i * interval '1 day', now(), '{}', 'd' || i, i = 1""",
    "run": """contact, id, journey, version, per, entry_key, status, step, node, arrived_at, due_at, next_at,
            entered_at, ended_at, trigger, data)
        SELECT 0, c, i, 'j' || mod(i, 3), mod(i, 3), '', 'e' || i, CASE WHEN i < 3 THEN 'active' ELSE 'completed' END,
            CASE WHEN i < 3 THEN 's' END, CASE WHEN i < 3 THEN i END, now(),
            CASE WHEN i < 3 THEN now() + (c * i) * interval '1 minute' END,
            CASE WHEN i < 3 THEN now() + (c * i) * interval '1 minute' END,
            now() - i * interval '1 day', CASE WHEN i >= 3 THEN now() END, '{}', '{}'""",
    "step_log": """contact, run, node, visit, step, outcome, at)
        SELECT 0, c, i / 4, mod(i, 4), 1, 's' || mod(i, 4), 'o', now()""",
    "message": """contact, run, step, visit, journey, version, channel, topic, status, let_go_at, expires_at, attempts,
            available_at, sent_at)
        SELECT 0, c, i, 's' || mod(i, 4), 1, 'j' || mod(i, 3), 1, 'email', 't',
            CASE i WHEN 1 THEN 'ready' ELSE 'sent' END, now() - i * interval '1 day', now(), 1,
            CASE i WHEN 1 THEN now() END, CASE WHEN i > 1 THEN now() END""",
    "consent": "contact, topic, channel, state, since) SELECT 0, c, 't' || i, '*', 'given', now()",
    "conversion": "contact, run, event, journey, step, at) SELECT 0, c, i, i, 'j', 's', now()",
    "assignment": "contact, journey, step, arm) SELECT 0, c, 'j' || i, 's', 'a'",
}
"""Of each table a few hundred contacts with some twenty rows each: columns and values, the partition first."""


def _tell_postgresql(connection: Connection) -> None:
    for table, values in _SAMPLE.items():
        # A contact has one partition: naming it narrows nothing further, and the planner must not believe so.
        connection.exec_driver_sql(f"ALTER TABLE {table} ALTER COLUMN partition SET (n_distinct = 1)")
        if table == "event":
            # Joined with a batch, of which it knows nothing, the planner takes a contact to have less than one event.
            # Then all indexes that begin with the contact look alike to it, and for one event it reads all of theirs.
            connection.exec_driver_sql("ALTER TABLE event ALTER COLUMN contact SET (n_distinct = -0.001)")
        source = "" if "FROM" in values else " FROM generate_series(1, 200) c, generate_series(1, 20) i"
        connection.exec_driver_sql(f"INSERT INTO {table} (partition, {values}{source}")
    names = ", ".join(_SAMPLE)
    connection.exec_driver_sql(f"ANALYZE {names}")
    connection.exec_driver_sql(f"TRUNCATE {names}")


def _tell_sqlite(connection: Connection) -> None:
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
                _write(
                    connection, table.name, name, [column.name for column in constraint.columns], unique=True
                )
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
        elif column == "version":
            alike = rows // _VERSIONS
        else:
            alike = max(1, min(numbers[-1] // 3, 1_000))
        numbers.append(1 if last and unique else alike)
    connection.exec_driver_sql(
        "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)",
        (table, index, " ".join(map(str, numbers))),
    )

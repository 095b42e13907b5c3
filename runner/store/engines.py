"""Connections to SQLite and to PostgreSQL as the engine needs them: how their sessions are set, and what SQL they are
given."""

from __future__ import annotations

import json
import sqlite3
import time
from itertools import product
from typing import Any

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.sql.selectable import GenerativeSelect, Join

from runner.problem import JourneysError
from runner.store import functions, migrations
from runner.store.address import in_memory, options_fit, shown

BUSY_MILLISECONDS = 90_000
"""How long SQLite waits for another writer: somebody may hold the file for a minute."""
IDLE_MILLISECONDS = 60_000
"""After so long without a statement inside a transaction PostgreSQL ends the session, so that a stopped process frees
its partitions; unless the URL says otherwise: ``?options=-c idle_in_transaction_session_timeout=5000``."""
CONNECT_SECONDS = 10
"""How long a PostgreSQL server may take to answer at all, unless the URL has a ``connect_timeout``."""
CUT_OFF_MILLISECONDS = 30_000
"""After so long without an answer over TCP either side takes the other for gone."""
_LIVELY = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
"""Seconds, and probes, by which a connection that only waits finds out as well that the server is gone."""


class BatchFirst(SQLiteCompiler):
    """SQLite's SQL as its planner needs it.

    An inner join is written ``CROSS JOIN … ON``, by which SQLite keeps the order of the tables: left to
    itself, its planner drives a join of a small batch with a large table from the large one.
    """

    def visit_join(self, join: Join, asfrom: bool = False, from_linter: Any = None, **kwargs: Any) -> str:
        if join.isouter or join.full:
            return super().visit_join(join, asfrom=asfrom, from_linter=from_linter, **kwargs)  # type: ignore[no-untyped-call, no-any-return]
        if from_linter:
            from_linter.edges.update(product(join.left._from_objects, join.right._from_objects))
        left = join.left._compiler_dispatch(self, asfrom=True, from_linter=from_linter, **kwargs)
        right = join.right._compiler_dispatch(self, asfrom=True, from_linter=from_linter, **kwargs)
        assert join.onclause is not None
        condition = join.onclause._compiler_dispatch(self, from_linter=from_linter, **kwargs)
        return f"{left} CROSS JOIN {right} ON {condition}"

    def limit_clause(self, select: GenerativeSelect, **kwargs: Any) -> str:
        if select._offset_clause is not None or select._limit_clause is None:
            return super().limit_clause(select, **kwargs)  # type: ignore[no-untyped-call, no-any-return]
        # SQLAlchemy would add an OFFSET with a parameter of its own to each of thousands of look-ups.
        return f"\n LIMIT {self.process(select._limit_clause, **kwargs)}"


def engine_of(url: URL, *, schema: str | None = None) -> Engine:
    """Connects when first used. Raises JourneysError for options of the URL that the driver refuses."""
    with options_fit(url):
        return _sqlite_engine(url) if url.drivername == "sqlite" else _postgresql_engine(url, schema)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def write_json(value: object) -> str:
    """Compact JSON; raises ValueError for NaN and infinities, which no database takes."""
    return _ENCODER.encode(value)


_POOL: dict[str, Any] = {"pool_size": 20, "max_overflow": -1, "pool_use_lifo": True}
"""Each thread gets its connection, however many deliver: one that waited for another's would look as if it hung. Those
that were needed once stay open, since opening one costs more than most transactions; the one that was used last is
used next, because its plans and caches are warm."""


def _sqlite_engine(url: URL) -> Engine:
    of_memory = in_memory(url)
    options: dict[str, Any] = {"poolclass": StaticPool} if of_memory else _POOL
    engine = create_engine(
        url,
        json_serializer=write_json,
        connect_args={
            "cached_statements": 1024,
            "check_same_thread": False,
            "timeout": BUSY_MILLISECONDS / 1000,
        },
        **options,
    )
    engine.dialect.statement_compiler = BatchFirst
    # The driver counts the rows of a statement only where its text begins with INSERT, UPDATE or DELETE.
    engine.dialect.cte_follows_insert = True

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _record: object) -> None:
        # The driver would begin transactions by its own rules; `begun` below does it by ours.
        connection.isolation_level = None
        # FULL: what was committed before a message was handed over must still be there after a loss of power.
        pragmas = ["synchronous = OFF"] if of_memory else ["journal_mode = WAL", "synchronous = FULL"]
        for pragma in (*pragmas, "foreign_keys = ON", "temp_store = MEMORY", "cache_size = -65536"):
            _set(connection, pragma)
        functions.register(connection)

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        reading = connection.get_execution_options().get("journeys_reading", False)
        if not of_memory:
            _wait_at_most(connection, BUSY_MILLISECONDS if reading else 0)
        if reading or of_memory:
            connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
        else:
            _begin_writing(connection)

    return engine


def _begin_writing(connection: Connection) -> None:
    """Begin as soon as no other process writes. SQLite's own wait looks more and more seldom, at last each tenth of a
    second, while the other's transaction takes some milliseconds: two that deliver would mostly sleep."""
    driver: Any = connection.connection.driver_connection
    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < BUSY_MILLISECONDS / 1000:
        try:
            driver.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as refused:
            if refused.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                break
            time.sleep(0.0005 if waited < 0.1 else 0.01)
        else:
            return
    connection.exec_driver_sql("BEGIN IMMEDIATE")


_WAIT = "how long SQLite waits"


def _wait_at_most(connection: Connection, milliseconds: int) -> None:
    """How long SQLite itself waits from now on where another process is in the way. Whoever has begun to write finds
    nobody in the way any more."""
    noted = connection.connection.record_info
    assert noted is not None
    if noted.get(_WAIT, BUSY_MILLISECONDS) != milliseconds:
        driver: Any = connection.connection.driver_connection
        driver.execute(f"PRAGMA busy_timeout = {milliseconds}")
        noted[_WAIT] = milliseconds


def _postgresql_engine(url: URL, schema: str | None) -> Engine:
    lively = {"connect_timeout": CONNECT_SECONDS, **_LIVELY}
    engine = create_engine(
        url,
        json_serializer=write_json,
        pool_pre_ping=True,
        **_POOL,
        connect_args={
            "application_name": migrations.application_name(),
            "client_encoding": "UTF8",  # whatever the role and the database say: SQLAlchemy reads texts at once
            "tcp_user_timeout": CUT_OFF_MILLISECONDS,
            **{name: value for name, value in lively.items() if name not in url.query},
        },
    )
    settings = {
        "jit": "off",
        "timezone": "UTC",
        "datestyle": "ISO, MDY",
        "tcp_user_timeout": str(CUT_OFF_MILLISECONDS),
        "temp_buffers": "64MB",  # the working tables of a tick fit in
        **({"search_path": schema} if schema else {}),
    }
    # Unless the server, the role or the URL says something else.
    idle = "idle_in_transaction_session_timeout"
    chosen = f"SELECT set_config('{idle}', %s, false) WHERE current_setting('{idle}') = '0'"

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise JourneysError(
                f"the database {shown(url)} keeps texts as {encoding}, in which not every name and text can be written:"
                f" make one with CREATE DATABASE {url.database or 'journeys'} ENCODING 'UTF8' TEMPLATE template0"
            )
        connection.autocommit = True
        for name, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        connection.execute(chosen, (str(IDLE_MILLISECONDS),))
        connection.autocommit = False

    return engine


def _set(connection: sqlite3.Connection, pragma: str) -> None:
    """Set it as soon as nobody is in the way: of those who find a new file and turn it to a write-ahead log at once,
    SQLite refuses all but one without a wait."""
    until = time.monotonic() + BUSY_MILLISECONDS / 1000
    while True:
        try:
            connection.execute(f"PRAGMA {pragma}")
            return
        except sqlite3.OperationalError as refused:
            if refused.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.02)

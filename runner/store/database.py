"""A database: how it is reached, made and spoken to. SQLite in a file or in memory, PostgreSQL by URL.

Nothing else in the project knows which driver is underneath.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    BigInteger,
    Connection,
    Engine,
    StaticPool,
    create_engine,
    event,
    insert,
    literal_column,
    make_url,
    text,
)
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.selectable import GenerativeSelect, Join

from runner.problem import JourneysError
from runner.store import functions, migrations, tables
from runner.store.address import cannot_be_opened, in_memory, options_fit, parsed_url, shown, told
from runner.store.deployment import Deployment as Deployment  # of which every user of a database has need
from runner.store.deployment import read_deployment
from runner.store.migrations import Standing
from runner.store.statistics import tell_planner
from runner.store.types import instant_of

PARTITIONS = {"sqlite": 1, "postgresql": 64}
"""How many partitions a new database gets unless told. One suits SQLite, which has one writer."""

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


class Database:
    """An open database. Make one with ``open`` or ``scratch``; ``close`` it when done.

    Transactions do not nest: in memory there is but one connection.
    """

    def __init__(self, engine: Engine, deployment: Deployment) -> None:
        self.engine = engine
        self.deployment = deployment
        self.dialect: str = engine.dialect.name

    @classmethod
    def open(cls, url: str, *, partitions: int | None = None) -> Database:
        """The database at ``url``, made if it does not exist and migrated to this version of the software.

        ``url`` is ``sqlite:////path/journeys.db`` or ``postgresql://user@host/name``. ``partitions`` counts
        only when the database is made. Raises JourneysError where the database cannot be reached, was
        contracted by a newer version, or was made with another number of partitions than the one asked for.
        """
        parsed = parsed_url(url)
        engine = _engine(parsed)
        try:
            _make_folder(parsed)
            _reach(engine)
            deployment = _as_it_is(engine) or _made(engine, partitions)
        except (DBAPIError, OSError) as error:
            engine.dispose()
            raise cannot_be_opened(parsed, error) from error
        except BaseException:
            engine.dispose()
            raise
        if partitions is not None and partitions != deployment.partitions:
            engine.dispose()
            raise JourneysError(
                f"the database was made with {deployment.partitions} partitions;"
                f" that cannot be changed to {partitions}"
            )
        return cls(engine, deployment)

    @classmethod
    def find(cls, url: str) -> Database | None:
        """The same, but None, and nothing made, where there is no database of ours at ``url`` yet. One of an
        older version is migrated. Raises what ``open`` raises."""
        parsed = parsed_url(url)
        if parsed.drivername == "sqlite":
            found = in_memory(parsed) or Path(str(parsed.database)).exists()
            return cls.open(url) if found else None
        engine = _engine(parsed)
        try:
            _reach(engine)
            with engine.connect() as connection:
                found = migrations.revision_of(connection) is not None
        except DBAPIError as error:
            raise cannot_be_opened(parsed, error) from error
        finally:
            engine.dispose()
        return cls.open(url) if found else None

    @classmethod
    def as_found(cls, url: str) -> Found:
        """The database at ``url`` as it is: nothing is made or migrated. Raises JourneysError where it cannot be
        reached."""
        parsed = parsed_url(url)
        if parsed.drivername == "sqlite" and not Path(str(parsed.database)).exists():
            return Found(standing=Standing.EMPTY, name=shown(parsed))
        engine = _engine(parsed)
        try:
            _reach(engine)
            with engine.connect().execution_options(**_READING[engine.dialect.name]) as connection:
                standing = migrations.standing(connection)
                why = migrations.too_new(connection) if standing is Standing.TOO_NEW else None
            deployment = _as_it_is(engine)
        except DBAPIError as error:
            engine.dispose()
            raise cannot_be_opened(parsed, error) from error
        if deployment is None:
            engine.dispose()
        database = None if deployment is None else cls(engine, deployment)
        return Found(standing=standing, name=shown(parsed), database=database, too_new=why)

    @classmethod
    @contextmanager
    def scratch(
        cls, url: str | None = None, *, partitions: int | None = None, key: str = "scratch"
    ) -> Iterator[Database]:
        """A database that lives as long as the ``with`` block: in memory, or a schema of its own at ``url``.

        ``key`` is the deployment's key: give the same one for idempotency keys that are the same every time.
        Raises JourneysError where no schema can be made at ``url``.
        """
        if url is None:
            engine = _engine(make_url("sqlite://"))
            try:
                yield cls(engine, _create(engine, partitions, key))
            finally:
                engine.dispose()
            return
        schema = f"scratch_{secrets.token_hex(8)}"
        parsed = parsed_url(url)
        if parsed.drivername == "sqlite":
            raise JourneysError(
                "a schema of its own needs PostgreSQL; write postgresql://user@host:port/name"
            )
        engine = _engine(parsed, schema=schema)
        try:
            try:
                _reach(engine)
                with engine.begin() as connection:
                    connection.execute(text(f"CREATE SCHEMA {schema}"))
                database = cls(engine, _create(engine, partitions, key))
            except DBAPIError as error:
                raise cannot_be_opened(parsed, error) from error
            try:
                yield database
            finally:
                with told(engine), engine.begin() as connection:
                    connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
        finally:
            engine.dispose()

    def keep(self) -> Connection:
        """A connection for whoever has many short transactions to ``begin`` on it: fetching one each time costs as much
        as a small one of them. Close it soon, and after any error. Raises JourneysError."""
        with told(self.engine):
            return self.engine.connect()

    @contextmanager
    def begin(self, kept: Connection | None = None) -> Iterator[Connection]:
        """A transaction that writes: committed at the end of the block, rolled back where it raises.

        Raises JourneysError where the database is locked, full, or no longer there.
        """
        with told(self.engine), self.engine.connect() if kept is None else nullcontext(kept) as connection:
            session = connection.info
            try:
                with connection.begin():
                    yield connection
            except BaseException:
                session.clear()  # what was noted of the session may have been undone with the transaction
                raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, all of it at one state of the database. Raises what ``begin`` raises."""
        with told(self.engine), self.engine.connect() as connection:
            reading = connection.execution_options(**_READING[self.dialect])
            with reading.begin():
                yield reading

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


@dataclass(frozen=True, kw_only=True)
class Found:
    """A database as it was found. ``name``: its URL without secrets; ``database``: None where this version of the
    software cannot use it without making or migrating it; ``too_new``: why a newer version keeps it from doing so."""

    standing: Standing
    name: str
    database: Database | None = None
    too_new: str | None = None


_READING: dict[str, dict[str, Any]] = {
    "sqlite": {"journeys_reading": True},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}


def _reach(engine: Engine) -> None:
    """Connect once. Raises DBAPIError, and JourneysError for options of the URL that the driver refuses."""
    with options_fit(engine.url):
        engine.connect().close()


def _engine(url: URL, *, schema: str | None = None) -> Engine:
    with options_fit(url):
        return _sqlite_engine(url) if url.drivername == "sqlite" else _postgresql_engine(url, schema)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def write_json(value: object) -> str:
    """Compact JSON; raises ValueError for NaN and infinities, which no database takes."""
    return _ENCODER.encode(value)


def _make_folder(url: URL) -> None:
    """Make the folder in which a SQLite file is to lie. Raises OSError where that cannot be done."""
    if url.drivername == "sqlite" and not in_memory(url):
        Path(str(url.database)).absolute().parent.mkdir(parents=True, exist_ok=True)


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
            connection.execute(f"PRAGMA {pragma}")
        functions.register(connection)

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        reading = connection.get_execution_options().get("journeys_reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _postgresql_engine(url: URL, schema: str | None) -> Engine:
    lively = {"connect_timeout": CONNECT_SECONDS, **_LIVELY}
    engine = create_engine(
        url,
        json_serializer=write_json,
        pool_pre_ping=True,
        **_POOL,
        connect_args={
            "application_name": migrations.application_name(),
            "tcp_user_timeout": CUT_OFF_MILLISECONDS,
            **{name: value for name, value in lively.items() if name not in url.query},
        },
    )
    settings = {
        "jit": "off",
        "timezone": "UTC",
        "tcp_user_timeout": str(CUT_OFF_MILLISECONDS),
        **({"search_path": schema} if schema else {}),
    }
    # Unless the server, the role or the URL says something else.
    idle = "idle_in_transaction_session_timeout"
    chosen = f"SELECT set_config('{idle}', %s, false) WHERE current_setting('{idle}') = '0'"

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        connection.autocommit = True
        for name, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        connection.execute(chosen, (str(IDLE_MILLISECONDS),))
        connection.autocommit = False

    return engine


def _as_it_is(engine: Engine) -> Deployment | None:
    """The deployment of a database that needs no migration. Reads only: whoever but looks at a database
    does not wait for those who write."""
    with engine.connect().execution_options(**_READING[engine.dialect.name]) as connection:
        usable = migrations.standing(connection) in (Standing.CURRENT, Standing.AHEAD)
        return read_deployment(connection) if usable else None


def _made(engine: Engine, partitions: int | None) -> Deployment:
    with migrations.in_turn(engine) as connection:
        migrations.migrate(connection)
        with nullcontext() if connection.in_transaction() else connection.begin():
            return read_deployment(connection) or _found(connection, partitions, secrets.token_hex(16))


def _create(engine: Engine, partitions: int | None, key: str) -> Deployment:
    """Make all tables in an empty database, without Alembic."""
    with engine.begin() as connection:
        tables.metadata.create_all(connection, checkfirst=False)
        if engine.dialect.name == "postgresql":
            for statement in functions.POSTGRESQL_DDL:
                connection.exec_driver_sql(statement)
        return _found(connection, partitions, key)


def _found(connection: Connection, partitions: int | None, key: str) -> Deployment:
    """Write what is fixed when a database is made. The database's own clock says when that was."""
    count = PARTITIONS[connection.dialect.name] if partitions is None else partitions
    if not 1 <= count <= 32_767:
        raise JourneysError(f"a database has between 1 and 32767 partitions, not {count}")
    clock = {
        "sqlite": "CAST(strftime('%s', 'now') AS INTEGER) * 1000000",
        "postgresql": "extract(epoch FROM now())::bigint * 1000000",
    }[connection.dialect.name]
    made_at = instant_of(literal_column(clock, BigInteger()))
    connection.execute(
        insert(tables.deployment).values(
            id=1,
            key=key,
            partitions=count,
            created_at=made_at,
            oldest_software=migrations.oldest_software(),
        )
    )
    connection.execute(insert(tables.shard), [{"partition": number} for number in range(count)])
    tell_planner(connection)
    return Deployment(key=key, partitions=count)

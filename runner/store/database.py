"""A database: how it is reached, made and spoken to. SQLite in a file or in memory, PostgreSQL by URL.

Nothing else in the project knows which driver is underneath.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    BigInteger,
    Connection,
    Engine,
    create_mock_engine,
    insert,
    literal_column,
    make_url,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import ExecutableDDLElement

from runner.problem import JourneysError
from runner.store import functions, migrations, tables
from runner.store.address import (
    cannot_be_opened,
    in_memory,
    may_make_tables,
    options_fit,
    parsed_url,
    shown,
    told,
)
from runner.store.deployment import Deployment as Deployment  # of which every user of a database has need
from runner.store.deployment import read_deployment
from runner.store.engines import engine_of
from runner.store.migrations import Standing
from runner.store.passes.told import unstored
from runner.store.statistics import tell_planner
from runner.store.types import instant_of

PARTITIONS = {"sqlite": 1, "postgresql": 64}
"""How many partitions a new database gets unless told. One suits SQLite, which has one writer."""


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
        engine = engine_of(parsed)
        try:
            _make_folder(parsed)
            _reach(engine)
            deployment = _as_it_is(engine)
            if deployment is None:
                with may_make_tables(parsed):
                    deployment = _made(engine, partitions)
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
    def find(cls, url: str, *, migrate: bool = False) -> Database | None:
        """The same, but None, and nothing made, where there is no database of ours at ``url`` yet. One that misses
        migrations is refused: whoever but looks at it changes nothing, unless told to ``migrate``. Raises what ``open``
        raises."""
        found = cls.as_found(url)
        if found.too_new is not None:
            raise JourneysError(found.too_new)
        if found.standing is Standing.BEHIND and found.database is None:
            if migrate:
                return cls.open(url)
            raise behind(found.name)
        return found.database

    @classmethod
    def as_found(cls, url: str) -> Found:
        """The database at ``url`` as it is: nothing is made or migrated. Raises JourneysError where it cannot be
        reached."""
        parsed = parsed_url(url)
        if parsed.drivername == "sqlite" and not Path(str(parsed.database)).exists():
            return Found(standing=Standing.EMPTY, name=shown(parsed))
        engine = engine_of(parsed)
        try:
            _reach(engine)
            with engine.connect().execution_options(**_READING[engine.dialect.name]) as connection:
                standing = migrations.standing(connection)
                why = migrations.too_new(connection) if standing is Standing.TOO_NEW else None
            deployment = _as_it_is(engine, before_contraction=True)
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
            engine = engine_of(make_url("sqlite://"))
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
        engine = engine_of(parsed, schema=schema)
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
                    if unstored(connection):
                        raise RuntimeError("what was told in this transaction would be lost with it")
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


def _make_folder(url: URL) -> None:
    """Make the folder in which a SQLite file is to lie. Raises OSError where that cannot be done."""
    if url.drivername == "sqlite" and not in_memory(url):
        Path(str(url.database)).absolute().parent.mkdir(parents=True, exist_ok=True)


def behind(name: str) -> JourneysError:
    """What to raise for whoever only looks at a database that misses migrations."""
    return JourneysError(
        f"the database {name} misses migrations of this version of the software, and this command migrates nothing;"
        " `journeys apply` or `journeys run` does; or use the version that runs there"
    )


def _as_it_is(engine: Engine, *, before_contraction: bool = False) -> Deployment | None:
    """The deployment of a database that needs no migration, or, ``before_contraction``, misses only one that waits for
    older software. Reads only: whoever but looks at a database does not wait for those who write."""
    with engine.connect().execution_options(**_READING[engine.dialect.name]) as connection:
        usable = migrations.standing(connection) in (Standing.CURRENT, Standing.AHEAD) or (
            before_contraction and migrations.only_contracts(connection)
        )
        return read_deployment(connection) if usable else None


def _made(engine: Engine, partitions: int | None) -> Deployment:
    with migrations.in_turn(engine) as connection:
        migrations.migrate(connection)
        with nullcontext() if connection.in_transaction() else connection.begin():
            return read_deployment(connection) or _found(connection, partitions, secrets.token_hex(16))


def _create(engine: Engine, partitions: int | None, key: str) -> Deployment:
    """Make all tables in an empty database, without Alembic."""
    with engine.begin() as connection:
        for script in _scripts(engine.dialect.name):
            connection.exec_driver_sql(script, execution_options={"no_parameters": True})
        return _found(connection, partitions, key)


@cache
def _scripts(dialect: str) -> tuple[str, ...]:
    """What makes all tables, as the driver takes it. To write it takes longer than to run it, and a process may make
    many databases; PostgreSQL takes it at once."""
    url = make_url({"sqlite": "sqlite://", "postgresql": "postgresql+psycopg://"}[dialect])
    kind: Any = url.get_dialect()
    made = kind(paramstyle="named")  # no values follow: nothing is to be escaped
    written: list[str] = []

    def write(ddl: ExecutableDDLElement, *_: Any, **__: Any) -> None:
        written.append(str(ddl.compile(dialect=made)))

    tables.metadata.create_all(create_mock_engine(url, write), checkfirst=False)
    if dialect == "sqlite":
        return tuple(written)
    return (";\n".join((*written, *functions.POSTGRESQL_DDL)),)


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

"""Databases open, commit, roll back and keep the order of joins."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, insert, make_url, select, text, update
from sqlalchemy.exc import DBAPIError

from runner.cli import run
from runner.problem import JourneysError
from runner.store import migrations, tables
from runner.store.database import Database
from runner.store.types import EPOCH
from tests.servers import own_database

SHARD = tables.shard


def test_a_block_commits_and_one_that_raises_leaves_nothing(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(insert(tables.audit).values(at=EPOCH, who="a", what="b"))

    def fail() -> None:
        with database.begin() as connection:
            connection.execute(insert(tables.audit).values(at=EPOCH, who="c", what="d"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.read() as connection:
        assert connection.execute(select(tables.audit.c.who)).scalars().all() == ["a"]


def test_every_partition_has_its_shard(database: Database) -> None:
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(SHARD)) == database.deployment.partitions


def test_inner_joins_keep_their_order_on_sqlite(sqlite_database: Database) -> None:
    joined = (
        select(tables.run.c.id)
        .select_from(tables.event)
        .join(tables.run, tables.run.c.contact == tables.event.c.contact)
        .outerjoin(tables.contact, tables.contact.c.id == tables.run.c.contact)
    )
    sql = str(joined.compile(sqlite_database.engine))
    assert "event CROSS JOIN run ON" in sql
    assert "LEFT OUTER JOIN contact" in sql
    with sqlite_database.read() as connection:
        assert connection.execute(joined).all() == []


def test_update_from_a_join_runs(database: Database) -> None:
    inner = (
        select(tables.event.c.contact)
        .join(tables.run, tables.run.c.contact == tables.event.c.contact)
        .subquery()
    )
    with database.begin() as connection:
        changed = connection.execute(
            update(tables.contact).values(locale="en").where(tables.contact.c.id == inner.c.contact)
        )
        assert changed.rowcount == 0


def test_sessions_are_set_up(postgres_database: Database) -> None:
    with postgres_database.read() as connection:
        shown = [connection.scalar(text(f"SHOW {name}")) for name in ("jit", "timezone", "application_name")]
    assert shown == ["off", "UTC", migrations.application_name()]


@pytest.mark.parametrize("said", ["datestyle = 'German, DMY'", "client_encoding = 'LATIN1'"])
def test_what_a_database_says_of_dates_and_texts_changes_nothing(postgres_url: str, said: str) -> None:
    with own_database(postgres_url) as url:
        name = make_url(url).database
        administrator = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        with administrator.begin() as connection:
            connection.execute(text(f"ALTER DATABASE {name} SET {said}"))
        administrator.dispose()
        database = Database.open(url)
        with database.begin() as connection:
            connection.execute(insert(tables.audit).values(at=EPOCH, who="ნინო", what="b"))
            assert connection.execute(select(tables.audit.c.at, tables.audit.c.who)).all() == [
                (EPOCH, "ნინო")
            ]
        database.close()


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_keep_every_text_is_refused(postgres_url: str, encoding: str) -> None:
    options = f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    wanted = pytest.raises(JourneysError, match=f"{encoding}.* ENCODING 'UTF8'")
    with own_database(postgres_url, options) as url, wanted:
        Database.open(url)


def test_a_user_who_may_make_no_tables_is_told_what_to_grant(postgres_url: str) -> None:
    with own_database(postgres_url) as url:
        administrator = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        name = make_url(url).database
        with administrator.begin() as connection:
            connection.execute(text(f"CREATE ROLE {name}_user LOGIN"))
        plain = make_url(url).set(username=f"{name}_user").render_as_string(hide_password=False)
        try:
            with pytest.raises(JourneysError, match="GRANT USAGE, CREATE ON SCHEMA public TO") as raised:
                Database.open(plain)
            assert "alembic" not in str(raised.value)
        finally:
            with administrator.begin() as connection:
                connection.execute(text(f"DROP ROLE {name}_user"))
            administrator.dispose()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", ""])
def test_a_database_without_a_file_is_refused_with_what_to_write(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was looked at as an empty one: nobody had entered, nothing had been sent."""
    for command in ("status", "doctor"):
        assert run([command, "--database", url, "--project", str(tmp_path)]) == 1, command
        assert "write sqlite:////" in "".join(capsys.readouterr())


def test_a_file_is_made_with_its_folder_and_kept(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new/journeys.db"
    first = Database.open(url)
    first.close()
    second = Database.open(url)
    assert second.deployment == first.deployment
    assert second.deployment.partitions == 1
    with second.read() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
    second.close()


def test_partitions_are_fixed_when_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/journeys.db"
    Database.open(url, partitions=3).close()
    with pytest.raises(JourneysError, match="made with 3 partitions"):
        Database.open(url, partitions=4)


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "nonsense", "sqlite:////dev/null/x.db", "postgresql://127.0.0.1:1/x"]
)
def test_what_cannot_be_opened_is_said(url: str) -> None:
    with pytest.raises(JourneysError):
        Database.open(url)


def test_opening_does_not_wait_for_whoever_writes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/journeys.db"
    writer = Database.open(url)
    with writer.begin() as connection:
        connection.execute(insert(tables.audit).values(at=EPOCH, who="a", what="b"))
        reader = Database.open(url)
        with reader.read() as reading:
            assert reading.execute(select(tables.audit.c.who)).all() == []
        reader.close()
    writer.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgres//bob:SECRET@h/db",
        "postgresql://bob:SECRET/x@h/db",
        "postgresql://127.0.0.1:1/x?password=SECRET",
        "postgresql://bob:SECRET@127.0.0.1:1/x",
    ],
)
def test_no_error_shows_a_password(url: str) -> None:
    with pytest.raises(JourneysError) as raised:
        Database.open(url)
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://127.0.0.1:1/x",
        "sqlite://",
        "postgresql://127.0.0.1:1/x?nonsense=1",
        "postgresql://h:x/y",
    ],
)
def test_a_scratch_database_that_cannot_be_made_is_said(url: str) -> None:
    with pytest.raises(JourneysError), Database.scratch(url):
        pass


def test_an_option_that_the_driver_refuses_is_said(tmp_path: Path) -> None:
    with pytest.raises(JourneysError, match="option"):
        Database.open(f"sqlite:///{tmp_path}/journeys.db?timeout=soon")


def test_a_locked_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.store.engines.BUSY_MILLISECONDS", 10)
    url = f"sqlite:///{tmp_path}/journeys.db"
    first, second = Database.open(url), Database.open(url)
    with first.begin(), pytest.raises(JourneysError, match="database is locked"), second.begin():
        pass
    first.close()
    second.close()


def test_a_lost_connection_is_said_and_a_wrong_statement_is_a_bug(database: Database) -> None:
    with pytest.raises(DBAPIError), database.read() as connection:
        connection.execute(text("SELECT nonsense"))
    if database.dialect == "postgresql":
        with pytest.raises(JourneysError, match="failed") as raised, database.begin() as connection:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        # In one line, as the log has it, with the URL that somebody wrote.
        said = str(raised.value)
        assert said.startswith("the database postgresql://")
        assert " ".join(said.split()) == said


def test_a_server_that_never_speaks_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.store.engines.CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(JourneysError, match="timeout"):
        Database.open(f"postgresql://127.0.0.1:{server.getsockname()[1]}/x?sslmode=disable")

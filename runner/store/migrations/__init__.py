"""The history of the schema, forward only.

Alembic's environment and its revisions lie inside the package: an installed copy migrates by itself.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from runner.problem import JourneysError

_MIGRATION_LOCK = 0x6A6F75726E657973
"""The PostgreSQL advisory lock ("journeys" in ASCII) held while migrating: starting runners take turns."""


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration; revisions run on ``connection`` where one is given."""
    config = Config()
    # Alembic reads the option through configparser, which would take a percent sign for an interpolation.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def is_current(connection: Connection) -> bool:
    """Whether the schema is at the newest revision that this version of the software knows."""
    script = ScriptDirectory.from_config(configuration(connection))
    return MigrationContext.configure(connection).get_current_revision() == script.get_current_head()


def is_begun(connection: Connection) -> bool:
    """Whether there is a schema of ours, of whatever revision."""
    return MigrationContext.configure(connection).get_current_revision() is not None


def migrate(connection: Connection) -> None:
    """Bring the schema to the newest revision, inside the caller's transaction.

    Raises JourneysError where the database is at a revision that this version of the software does not know.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    config = configuration(connection)
    script = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    if current == script.get_current_head():
        return
    if current is not None and current not in {revision.revision for revision in script.walk_revisions()}:
        raise JourneysError(
            f"the database is at schema revision {current}, which a newer version of journeys wrote;"
            " update this one"
        )
    command.upgrade(config, "head")

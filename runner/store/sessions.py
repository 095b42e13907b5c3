"""Who else of this software is connected to the database. PostgreSQL knows; SQLite does not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, kw_only=True)
class Session:
    """A connection of this software. ``since`` is when it connected; None where the database does not tell that, for
    it is that of another user."""

    pid: int
    application: str
    since: datetime | None


def other_sessions(connection: Connection) -> tuple[Session, ...]:
    """The sessions of this software beside that of ``connection``, the oldest first; none on SQLite."""
    if connection.dialect.name != "postgresql":
        return ()
    rows = connection.execute(
        text(
            "SELECT pid, application_name, backend_start FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND application_name ~ '^journeys( |$)' ORDER BY backend_start, pid"
        )
    )
    return tuple(
        Session(pid=row.pid, application=row.application_name, since=row.backend_start) for row in rows
    )


def named(sessions: tuple[Session, ...]) -> str:
    """The sessions in one line, by which an operator finds them."""
    return ", ".join(
        f"{one.application} (server process {one.pid}"
        f"{f', since {one.since:%Y-%m-%d %H:%M} UTC' if one.since else ''})"
        for one in sessions
    )

"""Who changed what, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from runner.store.tables import audit

VIRTUAL = "virtual time"
"""How a stretch of virtual time begins in ``Record.what``; a database in which it stands is never used to
write to real people."""

RECOVERED = "recovered"
"""``Record.what`` at the instant until which the life before a restored backup was lived once more."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One change. ``what`` is a verb and its object: ``apply win-back``."""

    at: datetime
    who: str
    what: str
    detail: Mapping[str, Any] | None


def record(
    connection: Connection, *, at: datetime, who: str, what: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Write down a change, in the transaction that makes it."""
    values = {"at": at, "who": who, "what": what, "detail": None if detail is None else dict(detail)}
    connection.execute(insert(audit), values)


def records(connection: Connection) -> tuple[Record, ...]:
    """All that was written down, oldest first."""
    rows = connection.execute(select(audit).order_by(audit.c.id))
    return tuple(Record(at=row.at, who=row.who, what=row.what, detail=row.detail) for row in rows)


def lived_virtually(connection: Connection) -> bool:
    """Whether this database has lived in virtual time."""
    found = select(audit.c.id).where(audit.c.what.startswith(VIRTUAL, autoescape=True)).limit(1)
    return connection.execute(found).first() is not None

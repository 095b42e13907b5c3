"""What was fixed when a database was made, and what of it has changed by a restored backup."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, select

from runner.store.audit import RECOVERED
from runner.store.tables import audit, deployment

FINDS_MOVED = "0009"
"""The revision that software knows which finds contacts that have been moved."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What was fixed when the database was made. ``key`` is part of every idempotency key. ``restored``: until when it
    lived once more after a backup was restored, each time."""

    key: str
    partitions: int
    restored: tuple[datetime, ...] = ()
    moves_contacts: bool = True
    """Contacts lie beside those who share their account. Not while older software may run beside this one: it would
    look for them by their own keys."""

    def as_of(self, instant: datetime) -> Deployment:
        """The deployment of messages that are let go at ``instant``. After a backup was restored it is another one for
        them: numbers that the lost life gave out are given out again, and a receiver would take a new message for an
        old one."""
        last = max((at for at in self.restored if at < instant), default=None)
        return self if last is None else replace(self, key=f"{self.key}/{last.isoformat()}")


def read_deployment(connection: Connection) -> Deployment | None:
    """The deployment, None where the tables are empty."""
    row = connection.execute(
        select(deployment.c.key, deployment.c.partitions, deployment.c.oldest_software)
    ).first()
    if row is None:
        return None
    restored = select(audit.c.at).where(audit.c.what == RECOVERED).order_by(audit.c.at)
    return Deployment(
        key=row.key,
        partitions=row.partitions,
        restored=tuple(connection.execute(restored).scalars()),
        moves_contacts=row.oldest_software >= FINDS_MOVED,
    )

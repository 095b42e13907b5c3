"""Who stands on a step of a journey."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, func, select

from runner.store.passes.timeline import ACTIVE
from runner.store.tables import contact, run


@dataclass(frozen=True, kw_only=True)
class OnStep:
    """A run that stands on ``step`` since the instant ``at``, until ``due_at`` where time alone ends that. ``per`` is
    the value of ``entry.per``, empty where there is none; ``deferred`` is why policy lets it stand at its send."""

    contact_key: str
    step: str
    per: str
    at: datetime
    due_at: datetime | None
    deferred: str | None


def who_stands_on(
    connection: Connection,
    versions: Collection[int],
    steps: Collection[str],
    *,
    limit: int,
) -> tuple[tuple[OnStep, ...], int]:
    """Up to ``limit`` runs of ``versions`` that stand on one of ``steps``, those first that have for the longest, and
    how many more there are. Served by ix_run_version."""
    there = (run.c.version.in_(sorted(versions)), ACTIVE, run.c.step.in_(sorted(steps)))
    order = (run.c.arrived_at, run.c.partition, run.c.contact, run.c.id)
    found = select(run).where(*there).order_by(*order).limit(limit).subquery("found")
    of_contact = and_(contact.c.partition == found.c.partition, contact.c.id == found.c.contact)
    rows = connection.execute(
        select(contact.c.key, found.c.step, found.c.per, found.c.arrived_at, found.c.due_at, found.c.deferred)
        .select_from(found.join(contact, of_contact))
        .order_by(found.c.arrived_at, found.c.partition, found.c.contact, found.c.id)
    ).all()
    more = 0
    if len(rows) == limit:
        count = connection.execute(select(func.count()).select_from(run).where(*there)).scalar_one()
        more = count - len(rows)
    return (
        tuple(
            OnStep(
                contact_key=row.key,
                step=row.step,
                per=row.per,
                at=row.arrived_at,
                due_at=row.due_at,
                deferred=row.deferred,
            )
            for row in rows
        ),
        more,
    )

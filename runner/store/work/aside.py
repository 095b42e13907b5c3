"""Runs that were set aside: which there are, and letting one go on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, case, exists, func, select, update

from runner.store.tables import RunStatus, contact, run, shard
from runner.store.types import constant

_SET_ASIDE = run.c.status == constant(RunStatus.SET_ASIDE.value)


@dataclass(frozen=True, kw_only=True)
class Aside:
    """A run that was set aside at the instant ``at``. ``node`` is where it stood, since ``arrived_at``, in the program
    of its version, and ``due_at`` until when; ``node`` is None where that was not kept."""

    partition: int
    contact: int
    run: int
    contact_key: str
    journey: str
    version: int
    per: str
    node: int | None
    due_at: datetime | None
    reason: str | None
    at: datetime


def runs_set_aside(
    connection: Connection,
    *,
    journey: str | None = None,
    contacts: Collection[str] = (),
    limit: int,
) -> tuple[Aside, ...]:
    """Up to ``limit`` runs that are set aside, in the order in which that happened; those of one journey, or of some
    contacts by their keys, where these are given. Served by ``ix_run_set_aside``."""
    where = [_SET_ASIDE]
    if journey is not None:
        where.append(run.c.journey == journey)
    if contacts:
        where.append(contact.c.key.in_(sorted(contacts)))
    rows = connection.execute(
        select(
            run.c.partition,
            run.c.contact,
            run.c.id,
            contact.c.key,
            run.c.journey,
            run.c.version,
            run.c.per,
            run.c.node,
            # Whom a pause held when this happened has no timer: it goes on as soon as it may.
            case(
                (run.c.leaves_by.is_not(None), func.coalesce(run.c.due_at, run.c.ended_at)),
                else_=run.c.due_at,
            ).label("due_at"),
            run.c.reason,
            run.c.ended_at,
        )
        .select_from(
            run.join(contact, and_(contact.c.partition == run.c.partition, contact.c.id == run.c.contact))
        )
        .where(*where)
        .order_by(run.c.ended_at, run.c.partition, run.c.contact, run.c.id)
        .limit(limit)
    )
    return tuple(
        Aside(
            partition=row.partition,
            contact=row.contact,
            run=row.id,
            contact_key=row.key,
            journey=row.journey,
            version=row.version,
            per=row.per,
            node=row.node,
            due_at=row.due_at,
            reason=row.reason,
            at=row.ended_at,
        )
        for row in rows
    )


def count_set_aside(connection: Connection, journey: str | None = None) -> int:
    """How many runs are set aside; of one journey, where it is given."""
    where = [_SET_ASIDE] if journey is None else [_SET_ASIDE, run.c.journey == journey]
    return int(connection.execute(select(func.count()).select_from(run).where(*where)).scalar_one())


def resume(connection: Connection, one: Aside, *, step: str, look_at: datetime | None) -> bool:
    """Let the run stand where it stood, at ``step``; ``look_at`` is when its exit conditions are to be looked at, None
    where time cannot turn them. The caller holds its partition (see ``hold_still``).

    False where it is not set aside any more, or another run of the contact, journey and ``per`` value is on.
    """
    other = run.alias("other")
    on = exists().where(
        other.c.partition == one.partition,
        other.c.contact == one.contact,
        other.c.journey == one.journey,
        other.c.per == one.per,
        other.c.status == constant(RunStatus.ACTIVE.value),
    )
    timers = [instant for instant in (one.due_at, look_at) if instant is not None]
    resumed = connection.execute(
        update(run)
        .values(
            status=RunStatus.ACTIVE.value,
            reason=None,
            ended_at=None,
            step=step,
            due_at=one.due_at,
            review_at=look_at,
            next_at=min(timers, default=None),
        )
        .where(
            run.c.partition == one.partition,
            run.c.contact == one.contact,
            run.c.id == one.run,
            _SET_ASIDE,
            run.c.ended_at == one.at,
            ~on,
        )
    )
    return resumed.rowcount == 1


def hold_still(connection: Connection, partitions: Collection[int]) -> None:
    """Keep runners from these partitions until the transaction ends; waits for those that are at work there."""
    connection.execute(
        select(shard.c.partition)
        .where(shard.c.partition.in_(sorted(partitions)))
        .order_by(shard.c.partition)
        .with_for_update()
    ).all()

"""Which partitions have something due, and holding them for the length of a transaction."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, or_, select

from runner.store.statement import Statement
from runner.store.tables import RunStatus, event, run, shard
from runner.store.types import Instant, constant

_now = bindparam("now", type_=Instant())

# One row each: PostgreSQL would rather read all that is due at once than stop at the first of a partition.
_an_event = (
    select(event.c.contact)
    .where(event.c.partition == shard.c.partition, event.c.pending, event.c.at <= _now)
    .limit(1)
    .scalar_subquery()
)
_a_timer = (
    select(run.c.contact)
    .where(
        run.c.partition == shard.c.partition,
        run.c.status == constant(RunStatus.ACTIVE.value),
        run.c.next_at.is_not(None),
        run.c.next_at <= _now,
    )
    .limit(1)
    .scalar_subquery()
)

_LOCK = Statement(
    select(shard.c.partition)
    .where(or_(_an_event.is_not(None), _a_timer.is_not(None)))
    .order_by(shard.c.partition)
    .with_for_update(skip_locked=True)
)


def lock_partitions_with_work(connection: Connection, now: datetime) -> tuple[int, ...]:
    """The partitions that have something due and that nobody else holds; they are ours until the transaction ends."""
    return tuple(_LOCK.run(connection, now=now).scalars())

"""Which partitions have something due, and holding some of them for the length of a transaction.

Runners share one PostgreSQL by these locks alone. A runner takes no more partitions than fill its batch: when much is
due a few, so that others find the rest; when little is due all of them, since a batch costs its statements however
few contacts are in it, and one partition after another would cost them 64 times. Each runner goes on behind the
partitions that it had before, so that every partition has its turn. A lock ends with its session: what a killed runner
held is free at once.

SQLite has one writer at a time, and so nobody to share with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Integer,
    SmallInteger,
    and_,
    any_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
)

from runner.store.held import hold
from runner.store.statement import Statement
from runner.store.tables import (
    RunStatus,
    appointing,
    appointment,
    broadcast,
    broadcast_heard,
    contact,
    event,
    firing,
    run,
    shard,
)
from runner.store.types import Instant, constant

FEW = 16
"""A runner that finds much due in each partition takes one in so many, and so leaves work for as many runners."""

_now = bindparam("now", type_=Instant())
_after = bindparam("after", type_=Integer())
_limit = bindparam("limit", type_=Integer())
_named = bindparam("partitions", type_=ARRAY(SmallInteger))

_events = and_(event.c.partition == shard.c.partition, event.c.pending, event.c.at <= _now)
_timers = and_(
    run.c.partition == shard.c.partition,
    run.c.status == constant(RunStatus.ACTIVE.value),
    run.c.next_at.is_not(None),
    run.c.next_at <= _now,
)
_appointments = and_(
    appointment.c.partition == shard.c.partition,
    appointment.c.due_at.is_not(None),
    appointment.c.due_at <= _now,
)
_firings = and_(firing.c.partition == shard.c.partition, firing.c.next_at <= _now)
_to_appoint = and_(appointing.c.partition == shard.c.partition, appointing.c.reached.is_not(None))
_broadcasts = and_(
    broadcast.c.open,
    broadcast.c.at <= _now,
    ~exists(
        select(literal_column("1"))
        .where(
            broadcast_heard.c.partition == shard.c.partition, broadcast_heard.c.broadcast == broadcast.c.id
        )
        .correlate_except(broadcast_heard)
    ),
)
# In turn, behind the one that was the last before.
_in_turn = (shard.c.partition <= _after, shard.c.partition)

_misplaced = (
    select(contact.c.id)
    .where(contact.c.partition == shard.c.partition, contact.c.belongs_in.is_not(None))
    .limit(literal_column("1"))
    .scalar_subquery()
    .is_not(None)
)
_due = or_(
    # One row each: PostgreSQL would rather read all that is due at once than stop at the first of a partition. And in
    # the order of the index: who reads it so marks what is dead in it, and the next look steps over that.
    select(event.c.contact).where(_events).order_by(event.c.at).limit(1).scalar_subquery().is_not(None),
    select(run.c.contact).where(_timers).order_by(run.c.next_at).limit(1).scalar_subquery().is_not(None),
    select(appointment.c.contact).where(_appointments).limit(1).scalar_subquery().is_not(None),
    select(firing.c.partition).where(_firings).limit(1).scalar_subquery().is_not(None),
    select(appointing.c.partition).where(_to_appoint).limit(1).scalar_subquery().is_not(None),
    select(broadcast.c.id).where(_broadcasts).limit(1).scalar_subquery().is_not(None),
)
_DUE, _DUE_AND_MISPLACED, _MISPLACED_ALONE = range(3)
_WITH_WORK = Statement(
    select(
        shard.c.partition,
        case(
            (~_misplaced, constant(_DUE)),
            (_due, constant(_DUE_AND_MISPLACED)),
            else_=constant(_MISPLACED_ALONE),
        ),
    )
    .where(or_(_misplaced, _due))
    .order_by(*_in_turn)
)


@dataclass(frozen=True, kw_only=True)
class Work:
    """The partitions in which something is due, and those of them in which a contact lies that is to be moved."""

    partitions: tuple[int, ...]
    misplaced: tuple[int, ...]


def look_for_work(connection: Connection, now: datetime, *, after: int = -1) -> Work:
    """The partitions in which something is due at ``now``, whoever holds them, in turn behind partition ``after``.

    One statement, and a handful of look-ups a partition, however many contacts wait for later (ix_event_pending,
    ix_run_due, ix_appointment_due, ix_firing_next, ix_contact_misplaced).
    """
    found = _WITH_WORK.run(connection, now=now, after=after).all()
    return Work(
        partitions=tuple(partition for partition, what in found if what != _MISPLACED_ALONE),
        misplaced=tuple(partition for partition, what in found if what != _DUE),
    )


def at_rest(connection: Connection, partitions: Sequence[int], now: datetime) -> frozenset[int]:
    """Those of ``partitions`` in which nothing is due at ``now`` that concerns all their contacts."""
    due = or_(*(exists(literal_column("1")).where(each) for each in (_firings, _to_appoint, _broadcasts)))
    query = select(shard.c.partition).where(shard.c.partition.in_(partitions), ~due)
    return frozenset(connection.execute(query, {"now": now}).scalars())


def _counted(due: ColumnElement[bool]) -> ColumnElement[int]:
    rows = select(literal_column("1")).where(due).limit(_limit).correlate(shard).subquery()
    return select(func.count()).select_from(rows).scalar_subquery()


# A schedule and a broadcast concern everybody there.
_of_all = or_(*(exists(literal_column("1")).where(each) for each in (_firings, _broadcasts)))
_everybody = case((_of_all, _counted(contact.c.partition == shard.c.partition)), else_=literal_column("0"))
_COUNT = Statement(
    select(func.sum(_counted(_events) + _counted(_timers) + _counted(_appointments) + _everybody)).where(
        shard.c.partition == any_(_named)
    )
)
_LOCK_SOME = Statement(
    select(shard.c.partition)
    .where(shard.c.partition == any_(_named))
    .order_by(*_in_turn)
    .limit(_limit)
    .with_for_update(skip_locked=True)
)
_LOCK_ONE = Statement(
    select(shard.c.partition)
    .where(shard.c.partition == bindparam("partition", type_=Integer()))
    .with_for_update(skip_locked=True)
)


def hold_partitions(
    connection: Connection, found: Sequence[int], now: datetime, *, size: int, most: int | None = None
) -> tuple[int, ...]:
    """Hold as many of the partitions ``found`` as fill a batch of ``size`` contacts, those in front first, and no more
    than ``most``; they are ours until the transaction ends. Those that somebody else holds are passed over.

    With ``most`` 1 the statement names its one partition by equality.
    """
    held = _lock(connection, found, now, size, most)
    hold(connection, held, alone=most == 1)
    return held


def _lock(
    connection: Connection, found: Sequence[int], now: datetime, size: int, most: int | None
) -> tuple[int, ...]:
    if connection.dialect.name != "postgresql":
        return tuple(found[:most])
    if most == 1:
        for partition in found:
            if _LOCK_ONE.run(connection, partition=partition).first():
                return (partition,)
        return ()
    wanted = _enough(connection, found, now, size)
    limit = wanted if most is None else min(wanted, most)
    # `found` is in turn already: what comes before its first is what has had its turn.
    locked = _LOCK_SOME.run(connection, partitions=list(found), after=found[0] - 1, limit=limit)
    return tuple(locked.scalars())


def _enough(connection: Connection, found: Sequence[int], now: datetime, size: int) -> int:
    """How many of the partitions ``found`` fit into a batch, going by the first few of them: of one that does not fit
    the rest would take a turn of its own.

    Those are counted, but no further than to a full batch: a hundredth of what the batch itself will cost.
    """
    sample = -(-len(found) // FEW)
    if sample == len(found):
        return sample
    limit = -(-size // sample)
    due = _COUNT.run(connection, partitions=list(found[:sample]), now=now, limit=limit).scalar_one()
    return max(sample, size * sample // max(1, int(due)))

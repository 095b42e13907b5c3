"""Each contact's timeline: its unhandled events and the due times of its runs, and the earliest of them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    Connection,
    Integer,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    union_all,
)

from runner.store.statement import Statement
from runner.store.tables import event, run, shard
from runner.store.types import Instant, constant
from runner.store.working import moving, node_step, wave

ACTIVE = run.c.status == constant("active")
_now = bindparam("now", type_=Instant())
_late_before = bindparam("late_before", type_=Instant())

_has_event = (
    select(literal_column("1")).where(
        event.c.partition == shard.c.partition, event.c.pending, event.c.at <= _now
    )
).exists()
_has_timer = (
    select(literal_column("1")).where(
        run.c.partition == shard.c.partition, ACTIVE, run.c.next_at.is_not(None), run.c.next_at <= _now
    )
).exists()

_LOCK = Statement(
    select(shard.c.partition)
    .where(or_(_has_event, _has_timer))
    .order_by(shard.c.partition)
    .with_for_update(skip_locked=True)
)


def lock_partitions_with_work(connection: Connection, now: datetime) -> tuple[int, ...]:
    """The partitions that have something due and that nobody else holds; they are ours until the transaction ends."""
    return tuple(_LOCK.run(connection, now=now).scalars())


_partition = bindparam("partition", type_=Integer())
_limit = bindparam("limit", type_=Integer())
_due_events = (
    select(event.c.partition, event.c.contact)
    .where(event.c.partition == _partition, event.c.pending, event.c.at <= _now)
    .order_by(event.c.at)
    .limit(_limit)
    .subquery()
)
_due_runs = (
    select(run.c.partition, run.c.contact)
    .where(run.c.partition == _partition, ACTIVE, run.c.next_at.is_not(None), run.c.next_at <= _now)
    .order_by(run.c.next_at)
    .limit(_limit)
    .subquery()
)
_due = union_all(select(_due_events), select(_due_runs)).subquery()
_BEGIN = Statement(
    insert(wave).from_select(
        ["n", "partition", "contact"],
        select(literal_column("0"), _due.c.partition, _due.c.contact).distinct(),
    )
)


def begin_batch(connection: Connection, partitions: tuple[int, ...], now: datetime, size: int) -> int:
    """Put up to about ``size`` contacts with something due into pass 0. Served by ix_event_pending and ix_run_due.

    Returns how many there are.
    """
    share = max(1, -(-size // len(partitions)))
    return sum(
        _BEGIN.run(connection, partition=partition, now=now, limit=share).rowcount for partition in partitions
    )


_n = bindparam("n", type_=Integer())
_timely = select(func.min(run.c.next_at)).where(
    run.c.partition == wave.c.partition,
    run.c.contact == wave.c.contact,
    ACTIVE,
    run.c.next_at.is_not(None),
    run.c.next_at >= _late_before,
    run.c.next_at <= _now,
)
_overdue = select(func.min(run.c.next_at)).where(
    run.c.partition == wave.c.partition,
    run.c.contact == wave.c.contact,
    ACTIVE,
    run.c.next_at.is_not(None),
    run.c.next_at < _late_before,
)
_other = event.alias("other")
_first_event = (
    select(_other.c.id)
    .where(
        _other.c.partition == wave.c.partition,
        _other.c.contact == wave.c.contact,
        _other.c.pending,
        _other.c.at <= _now,
    )
    .order_by(_other.c.at, _other.c.id)
    .limit(1)
)
_pending = (
    select(
        wave.c.partition,
        wave.c.contact,
        _timely.correlate(wave).scalar_subquery().label("timer_at"),
        _overdue.correlate(wave).scalar_subquery().label("overdue_at"),
        event.c.id.label("event"),
        event.c.name,
        event.c.at.label("event_at"),
    )
    .select_from(
        wave.outerjoin(
            event,
            and_(
                event.c.partition == wave.c.partition,
                event.c.contact == wave.c.contact,
                event.c.id == _first_event.correlate(wave).scalar_subquery(),
            ),
        )
    )
    .where(wave.c.n == _n - 1)
    .subquery()
)
_timer_first = and_(
    _pending.c.timer_at.is_not(None),
    or_(_pending.c.event.is_(None), _pending.c.timer_at <= _pending.c.event_at),
)
_TAKE = Statement(
    insert(wave).from_select(
        ["n", "partition", "contact", "at", "late", "event", "name"],
        select(
            _n,
            _pending.c.partition,
            _pending.c.contact,
            case(
                (_timer_first, _pending.c.timer_at),
                (_pending.c.event.is_not(None), _pending.c.event_at),
                else_=_now,
            ),
            case(
                (or_(_timer_first, _pending.c.event.is_not(None)), literal_column("0")),
                else_=literal_column("1"),
            ),
            case((_timer_first, null()), else_=_pending.c.event),
            case((_timer_first, null()), else_=_pending.c.name),
        ).where(
            or_(
                _pending.c.timer_at.is_not(None),
                _pending.c.overdue_at.is_not(None),
                _pending.c.event.is_not(None),
            )
        ),
    )
)


def take(connection: Connection, n: int, now: datetime, late_before: datetime) -> int:
    """Pass ``n``: of each contact of pass ``n - 1`` the earliest instant that is due, timers before events at a tie.

    Runs due before ``late_before`` come after all events of their contact, at ``now``. A contact with nothing due
    drops out. Served by ix_run_timeline and ix_event_timeline. Returns how many contacts there are.
    """
    return _TAKE.run(connection, n=n, now=now, late_before=late_before).rowcount


_SUMMARY = Statement(select(wave.c.name, func.count()).where(wave.c.n == _n).group_by(wave.c.name))


def names_in_pass(connection: Connection, n: int) -> dict[str | None, int]:
    """The event names of pass ``n`` and how many contacts have each; None stands for timers."""
    return {row[0]: row[1] for row in _SUMMARY.run(connection, n=n)}


_is_due = run.c.due_at <= wave.c.at
_FIRE = Statement(
    insert(moving).from_select(
        ["n", "version", "node", "partition", "contact", "run", "at", "from_node", "outcome"],
        select(
            wave.c.n,
            run.c.version,
            case((_is_due, node_step.c.timer_target)),
            run.c.partition,
            run.c.contact,
            run.c.id,
            wave.c.at,
            case((_is_due, run.c.node)),
            case((_is_due, node_step.c.timer_outcome)),
        )
        .select_from(
            wave.join(
                run,
                and_(
                    run.c.partition == wave.c.partition,
                    run.c.contact == wave.c.contact,
                    ACTIVE,
                    run.c.next_at.is_not(None),
                    or_(
                        and_(wave.c.late == 0, run.c.next_at == wave.c.at),
                        and_(wave.c.late == 1, run.c.next_at <= wave.c.at),
                    ),
                ),
            ).join(node_step, and_(node_step.c.version == run.c.version, node_step.c.node == run.c.node))
        )
        .where(wave.c.n == _n, wave.c.event.is_(None)),
    )
)


def fire_timers(connection: Connection, n: int) -> int:
    """Move the runs whose timer is the instant of pass ``n``. Those only due for a review of their exit conditions are
    taken up without a node. Returns how many there are."""
    return _FIRE.run(connection, n=n).rowcount


_OCCUPIED = Statement(select(moving.c.version, moving.c.node).where(moving.c.n == _n).distinct())


def occupied_nodes(connection: Connection, n: int) -> list[tuple[int, int | None]]:
    """The (version, node) pairs at which runs of pass ``n`` are; node None are runs that are only looked at."""
    return [(version, node) for version, node in _OCCUPIED.run(connection, n=n)]

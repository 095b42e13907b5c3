"""Each contact's timeline: its unhandled events and the due times of its runs, and the earliest of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    except_,
    exists,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    true,
)

from runner.store.held import held
from runner.store.passes.told import take_told
from runner.store.passes.ways import LOOKED_AT
from runner.store.passes.working import OF_EVENT, PASS, in_pass, moving, wave
from runner.store.presence import asked_of_each
from runner.store.statement import Statement
from runner.store.tables import event, run, shard
from runner.store.types import Instant, constant, shifted

ACTIVE = run.c.status == constant("active")
_now = bindparam("now", type_=Instant())
_late_before = bindparam("late_before", type_=Instant())
_limit = bindparam("limit", type_=Integer())


def _first_due(partition: Any) -> Select[Any]:
    """The contacts of one partition with the earliest unhandled events."""
    return (
        select(event.c.partition, event.c.contact)
        .where(event.c.partition == partition, event.c.pending, event.c.at <= _now)
        .order_by(event.c.at)
        .limit(_limit)
    )


def _begin(found: Select[Any]) -> Statement:
    """In the order of their keys: whatever of a contact is looked up then lies beside that of the contact before."""
    due = found.subquery()
    return Statement(
        insert(wave).from_select(
            ["n", "partition", "contact"],
            select(literal_column("0"), due.c.partition, due.c.contact)
            .distinct()
            .order_by(due.c.partition, due.c.contact),
        )
    )


_BEGIN_ONE = _begin(_first_due(bindparam("partition", type_=Integer())))
_lateral = _first_due(shard.c.partition).lateral()
_BEGIN_ALL = _begin(select(_lateral).select_from(shard.join(_lateral, true())).where(held(shard.c.partition)))


def _begin_more(one: bool) -> Statement:
    """The contacts behind those of pass 0, found by going from contact to contact in the index: a storm on one contact
    is a single step, however many events it has."""

    def first_behind(partition: Any, contact: Any = None) -> ColumnElement[Any]:
        behind = [] if contact is None else [event.c.contact > contact]
        return (
            select(func.min(event.c.contact))
            .where(event.c.partition == partition, event.c.pending, *behind)
            .scalar_subquery()
        )

    ours = shard.c.partition == bindparam("partition", type_=Integer()) if one else held(shard.c.partition)
    start = select(shard.c.partition, first_behind(shard.c.partition).label("contact")).where(ours)
    step = start.cte("step", recursive=True)
    behind = select(step.c.partition, first_behind(step.c.partition, step.c.contact)).where(
        step.c.contact.is_not(None)
    )
    step = step.union_all(behind)
    waiting = (
        select(step.c.partition, step.c.contact).where(step.c.contact.is_not(None)).limit(_limit).subquery()
    )
    others = except_(
        select(waiting.c.partition, waiting.c.contact),
        select(wave.c.partition, wave.c.contact).where(wave.c.n == 0, held(wave.c.partition)),
    ).subquery()
    return Statement(
        insert(wave).from_select(
            ["n", "partition", "contact"], select(literal_column("0"), others.c.partition, others.c.contact)
        )
    )


def _crowded(partition: Any) -> Select[Any]:
    """A row where a partition has more events to be handled than a batch looks at."""
    return (
        select(event.c.at)
        .where(event.c.partition == partition, event.c.pending, event.c.at <= _now)
        .order_by(event.c.at)
        .offset(_limit)
        .limit(1)
    )


_CROWDED_ONE = Statement(
    select(literal_column("1")).select_from(_crowded(bindparam("partition", type_=Integer())).subquery())
)
_crowd = _crowded(shard.c.partition).lateral()
_CROWDED_ALL = Statement(
    select(literal_column("1"))
    .select_from(shard.join(_crowd, true()))
    .where(held(shard.c.partition))
    .limit(literal_column("1"))
)
_MORE_OF_ONE = _begin_more(one=True)
_MORE_OF_ALL = _begin_more(one=False)
FEW = 20
"""A batch with less than one in so many of the contacts that it has room for is looked at again where there are more
events than it looked at: a storm on one contact may stand before the rest."""


def begin_batch(connection: Connection, partitions: tuple[int, ...], now: datetime, size: int) -> int:
    """Put up to about ``size`` contacts with an event to be handled into pass 0. Served by ix_event_pending.

    Returns how many there are.
    """
    share = max(1, -(-size // len(partitions)))
    if connection.dialect.name == "postgresql":
        found = _BEGIN_ALL.run(connection, now=now, limit=share).rowcount
        if 0 < found * FEW < size and _CROWDED_ALL.run(connection, now=now, limit=share).first():
            found += _MORE_OF_ALL.run(connection, limit=size).rowcount
        return found
    found = sum(
        _BEGIN_ONE.run(connection, partition=partition, now=now, limit=share).rowcount
        for partition in partitions
    )
    if 0 < found * FEW < size:
        found += sum(
            _MORE_OF_ONE.run(connection, partition=partition, limit=share).rowcount
            for partition in partitions
            if _CROWDED_ONE.run(connection, partition=partition, now=now, limit=share).first()
        )
    return found


# What is overdue counts as due just after now, behind everything else that has come by now.
_after_now = shifted(_now, literal_column("1"))
_other = event.alias("other")


def _before(*, others: bool) -> FromClause:
    """The contacts of the pass before; ``others``: those alone that are not in this one yet. Theirs is looked for only
    then."""
    here = wave.alias("here")
    in_this_one: Select[Any] = select(literal_column("1")).where(
        here.c.n == PASS, here.c.partition == wave.c.partition, here.c.contact == wave.c.contact
    )
    found = select(wave.c.partition, wave.c.contact).where(wave.c.n == PASS - 1, held(wave.c.partition))
    if others:
        found = found.where(~exists(in_this_one)).suffix_with("OFFSET 0", dialect="postgresql")
    return found.subquery("before")


def _first_timer(of: FromClause) -> ColumnElement[Any]:
    late = (run.c.next_at < _late_before, _after_now)
    return (
        select(func.min(case(late, (run.c.next_at <= _now, run.c.next_at))))
        .where(run.c.partition == of.c.partition, run.c.contact == of.c.contact, ACTIVE)
        .correlate(of)
        .scalar_subquery()
    )


def _first_event(of: FromClause) -> Select[Any]:
    return (
        select(_other.c.id, _other.c.at, *(_other.c[name] for name in OF_EVENT))
        .where(
            _other.c.partition == of.c.partition,
            _other.c.contact == of.c.contact,
            _other.c.pending,
            _other.c.at <= _now,
        )
        .order_by(_other.c.at, _other.c.id)
        .limit(1)
    )


def _take(dialect: str, *, others: bool) -> Statement:
    before = _before(others=others)
    if dialect == "postgresql":
        first: Any = _first_event(before).lateral()
        joined = before.outerjoin(first, true())
    else:  # which has no LATERAL
        first = event
        first_id = _first_event(before).with_only_columns(_other.c.id).correlate(before).scalar_subquery()
        joined = before.outerjoin(
            event,
            and_(
                event.c.partition == before.c.partition,
                event.c.contact == before.c.contact,
                event.c.id == first_id,
            ),
        )
    pending = (
        select(
            before.c.partition,
            before.c.contact,
            _first_timer(before).label("timer_at"),
            first.c.id.label("event"),
            first.c.at.label("event_at"),
            *(first.c[name] for name in OF_EVENT),
        )
        .select_from(joined)
        .cte()
        .prefix_with("MATERIALIZED")  # or its columns would be computed anew at each mention below
    )
    has_timer, has_event = pending.c.timer_at.is_not(None), pending.c.event.is_not(None)
    timer_first = and_(has_timer, or_(~has_event, pending.c.timer_at <= pending.c.event_at))
    late = and_(timer_first, pending.c.timer_at > _now)
    return Statement(
        insert(wave).from_select(
            ["n", "partition", "contact", "at", "late", "event", *OF_EVENT],
            select(
                PASS,
                pending.c.partition,
                pending.c.contact,
                case((late, _now), (timer_first, pending.c.timer_at), else_=pending.c.event_at),
                case((late, literal_column("1")), else_=literal_column("0")),
                case((timer_first, null()), else_=pending.c.event),
                *(case((timer_first, null()), else_=pending.c[name]) for name in OF_EVENT),
            ).where(or_(has_timer, has_event)),
        )
    )


_TAKE = {
    (dialect, others): _take(dialect, others=others)
    for dialect in ("sqlite", "postgresql")
    for others in (False, True)
}


def take(connection: Connection, n: int, now: datetime, late_before: datetime, size: int) -> int:
    """Pass ``n``: of each contact of pass ``n - 1`` the earliest instant that is due, timers before events at a tie;
    and up to ``size`` of those of whom it was told that this is next.

    Runs due before ``late_before`` come after all events of their contact, at ``now``. A contact with nothing due
    drops out. Served by uq_run_active and ix_event_timeline. Returns how many contacts there are.
    """
    told = take_told(connection, n, now, late_before, size)
    statement = _TAKE[connection.dialect.name, told > 0]
    return told + statement.run(connection, n=n, now=now, late_before=late_before).rowcount


# Not grouped by name: SQLite would sort all rows for that.
_SUMMARY = Statement(select(wave.c.name, wave.c.nth).where(in_pass(wave)).distinct())


def names_in_pass(connection: Connection, n: int) -> dict[str | None, int]:
    """The event names of pass ``n``; None stands for timers. With each, how many internal events of one contact there
    have been at its instant, at the most."""
    found: dict[str | None, int] = {}
    for name, nth in _SUMMARY.run(connection, n=n):
        found[name] = max(found.get(name, 0), nth or 0)
    return found


def by_timer(node: ColumnElement[int]) -> ColumnElement[int]:
    """The way that a timer sends a run from ``node``, as ``Ways`` numbers it."""
    return literal_column("-1") - node


def way_of_due(due: FromClause, at: ColumnElement[Any]) -> ColumnElement[int]:
    """The way of a run of ``due`` (the table of runs) whose instant has come: by its timer, or only looked at. Those
    that a pause has held go on by the outcome that they were held with, which is looked up then."""
    times_up = and_(due.c.due_at <= at, due.c.leaves_by.is_(None))
    return case((times_up, by_timer(due.c.node)), else_=constant(LOOKED_AT))


_FIRE = Statement(
    insert(moving).from_select(
        ["n", "version", "way", "partition", "contact", "run", "at"],
        select(
            wave.c.n,
            run.c.version,
            way_of_due(run, wave.c.at),
            run.c.partition,
            run.c.contact,
            run.c.id,
            wave.c.at,
        )
        .select_from(
            wave.join(
                run,
                and_(
                    run.c.partition == wave.c.partition,
                    run.c.contact == wave.c.contact,
                    ACTIVE,
                    asked_of_each(
                        or_(
                            and_(wave.c.late == 0, run.c.next_at == wave.c.at),
                            and_(wave.c.late == 1, run.c.next_at <= wave.c.at),
                        )
                    ),
                ),
            )
        )
        .where(in_pass(wave), wave.c.event.is_(None)),
    )
)


def fire_timers(connection: Connection, n: int) -> int:
    """Move the runs whose timer is the instant of pass ``n``. Those only due for a review of their exit conditions are
    only looked at. Returns how many there are."""
    return _FIRE.run(connection, n=n).rowcount


_WAYS = Statement(select(moving.c.version, moving.c.way).where(in_pass(moving)).distinct())


def ways_taken(connection: Connection, n: int) -> list[tuple[int, int]]:
    """The (version, way) pairs that runs of pass ``n`` came."""
    return [(version, way) for version, way in _WAYS.run(connection, n=n)]


_STOOD_ON = Statement(
    select(run.c.version, run.c.node)
    .select_from(
        wave.join(run, and_(run.c.partition == wave.c.partition, run.c.contact == wave.c.contact, ACTIVE))
    )
    .where(in_pass(wave), wave.c.event.is_not(None))
    .distinct()
)


def nodes_stood_on(connection: Connection, n: int) -> dict[int, set[int]]:
    """The nodes at which runs of the contacts with an event in pass ``n`` stand, by version. Served by
    uq_run_active."""
    found: dict[int, set[int]] = {}
    for version, node in _STOOD_ON.run(connection, n=n):
        found.setdefault(version, set()).add(node)
    return found

"""Timers of contacts that have no event to be handled: most of all timers.

They fire on a day on which their contact does nothing. So they need no wave: what is due is read from one end of an
index, and moved.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    FromClause,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    or_,
    select,
    true,
    tuple_,
)

from runner.store.held import held
from runner.store.passes.timeline import ACTIVE, way_of_due
from runner.store.passes.working import PASS, in_pass, moving, once_each
from runner.store.presence import asked_of_each
from runner.store.statement import Statement
from runner.store.tables import event, run, shard
from runner.store.types import Instant, constant, from_microseconds, microseconds_of

_now = bindparam("now", type_=Instant())
_late_before = bindparam("late_before", type_=Instant())
_limit = bindparam("limit", type_=Integer())
_partition = bindparam("partition", type_=Integer())


def _first_timers(partition: Any, late: bool) -> Select[Any]:
    """The first runs of one partition whose timers are due: in time, or late."""
    return (
        select(
            run.c.partition,
            run.c.contact,
            run.c.id,
            run.c.next_at,
            run.c.version,
            run.c.node,
            run.c.due_at,
            run.c.leaves_by,
        )
        .where(
            run.c.partition == partition,
            ACTIVE,
            run.c.next_at.is_not(None),
            run.c.next_at < _late_before if late else run.c.next_at.between(_late_before, _now),
        )
        .order_by(run.c.next_at)
        .limit(_limit)
        .correlate(shard)
    )


def _of_contact(of: Any, first: Any) -> ColumnElement[bool]:
    """``of``, a table of runs, has one that is on, of the contact of ``first``."""
    return and_(
        of.c.partition == first.c.partition,
        of.c.contact == first.c.contact,
        of.c.status == constant("active"),
    )


def _none(rows: FromClause, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """There is no row of which the conditions are true. One is looked up for each run that is asked about: PostgreSQL
    would rather read all rows beforehand, of which it believes there are few."""
    return (
        select(literal_column("1"))
        .select_from(rows)
        .where(*conditions)
        .limit(literal_column("1"))
        .correlate_except(rows)
        .scalar_subquery()
        .is_(None)
    )


_waiting, _any = event.alias("waiting"), event.alias("any_event")


def _to_handle(of: Any) -> ColumnElement[bool]:
    """``of``, a table of events, has one that is to be handled by now."""
    return and_(of.c.pending, of.c.at <= _now)


def _first_event(partition: Any) -> Select[Any]:
    """A row where a contact of the partition has an event to be handled. Served by ix_event_pending. Where there is
    none, which is on most ticks that timers are most of, nobody's events need be looked up."""
    return (
        select(literal_column("1", Integer()).label("one"))
        .where(_any.c.partition == partition, _to_handle(_any))
        .order_by(_any.c.at)
        .limit(literal_column("1"))
        .correlate(shard)
    )


def _no_event(first: Any, any_event: ColumnElement[int]) -> ColumnElement[bool]:
    """The contact of ``first`` has no event to be handled. ``any_event`` is NULL where nobody has."""
    of_contact = and_(_waiting.c.partition == first.c.partition, _waiting.c.contact == first.c.contact)
    return or_(any_event.is_(None), _none(_waiting, of_contact, _to_handle(_waiting)))


_other, _beside = run.alias("other"), run.alias("beside")


def _none_before(first: Any, another: ColumnElement[bool], late: bool) -> ColumnElement[bool]:
    """Nothing else of the contact comes before: to one that is late, all that is in time."""
    before = (
        _other.c.next_at.between(_late_before, _now)
        if late
        else and_(_other.c.next_at >= _late_before, _other.c.next_at < first.c.next_at)
    )
    return _none(_other, _of_contact(_other, first), another, asked_of_each(before))


def _move(
    due: Any, at: Any, rows: FromClause, *conditions: ColumnElement[bool], beside: Any = None
) -> Select[Any]:
    """Rows of ``moving`` for those of ``due``, runs whose instant is ``at``; ``beside``: whether their contact has
    another one."""
    return (
        select(
            PASS.label("n"),
            due.c.version,
            way_of_due(due, at).label("way"),
            due.c.partition,
            due.c.contact,
            due.c.id.label("run"),
            at.label("at"),
            *([] if beside is None else [case((beside, literal_column("1"))).label("beside")]),
        )
        .select_from(rows)
        .where(*conditions)
    )


def _into_moving(found: Select[Any]) -> Statement:
    return Statement(
        once_each(insert(moving)).from_select([column.name for column in found.selected_columns], found)
    )


def _fire_one(late: bool) -> Statement:
    # SQLite finds the number of a row in the index, so that of a contact's only run the row itself is not looked up.
    own_row: ColumnElement[int] = literal_column("run.rowid", Integer()).label("own_row")
    first = _first_timers(_partition, late).add_columns(own_row).subquery()
    another = literal_column("other.rowid") != first.c.own_row
    at = _now if late else first.c.next_at
    no_event = _no_event(first, _first_event(_partition).scalar_subquery())
    # Hardly anybody has two: whether they have is asked once, for what comes before and for what is torn apart.
    beside: ColumnElement[int] = literal_column("beside.rowid", Integer())
    rows = first.outerjoin(
        _beside, and_(_of_contact(_beside, first), literal_column("beside.rowid") != first.c.own_row)
    )
    none_before = or_(beside.is_(None), _none_before(first, another, late))
    return _into_moving(_move(first, at, rows, no_event, none_before, beside=beside.is_not(None)))


def _fire_all(late: bool) -> Statement:
    first = _first_timers(shard.c.partition, late).lateral()
    if late:
        none_before = _none_before(first, _other.c.id != first.c.id, late)
    else:
        # What comes before one that is in time is among the first as well.
        place = func.rank().over(partition_by=first.c.contact, order_by=first.c.next_at)
        first = select(*first.c, place.label("place")).lateral()
        none_before = first.c.place == literal_column("1")
    any_event = _first_event(shard.c.partition).lateral()
    at, rows = _now if late else first.c.next_at, shard.outerjoin(any_event, true()).join(first, true())
    no_event = _no_event(first, any_event.c.one)
    return _into_moving(_move(first, at, rows, held(shard.c.partition), no_event, none_before))


def _last(found: Select[Any]) -> Select[Any]:
    return (
        found.with_only_columns(run.c.next_at).limit(literal_column("1")).offset(_limit - literal_column("1"))
    )


def _last_of_one(late: bool) -> Statement:
    last = _last(_first_timers(_partition, late)).subquery()
    return Statement(select(microseconds_of(last.c.next_at)))


def _last_of_all(late: bool) -> Statement:
    last = _last(_first_timers(shard.c.partition, late)).lateral()
    earliest = func.min(microseconds_of(last.c.next_at))
    return Statement(select(earliest).select_from(shard.join(last, true())).where(held(shard.c.partition)))


def _fire_rest(late: bool, dialect: str) -> Statement:
    due = run.alias("due")
    together = due.c.next_at < _late_before if late else due.c.next_at == moving.c.at
    # Asked first, and of the index alone: hardly anybody has two.
    has_several = (
        select(literal_column("1"))
        .select_from(_other)
        .where(_of_contact(_other, moving))
        .limit(literal_column("1"))
        .offset(literal_column("1"))
        .correlate_except(_other)
        .scalar_subquery()
        .is_not(None)
    )
    if dialect == "sqlite":
        has_several = moving.c.beside.is_not(None)
    fired = select(moving.c.partition, moving.c.contact, moving.c.run).where(in_pass(moving))
    return _into_moving(
        _move(
            due,
            moving.c.at,
            moving.join(due, and_(_of_contact(due, moving), asked_of_each(together))),
            in_pass(moving),
            *([] if late else [moving.c.at >= bindparam("last", type_=Instant())]),
            has_several,
            due.c.id != moving.c.run,
            tuple_(due.c.partition, due.c.contact, due.c.id).not_in(fired),
        ).distinct()
    )


_LATE = (False, True)
_FIRE_ONE, _FIRE_ALL = [_fire_one(late) for late in _LATE], [_fire_all(late) for late in _LATE]
_LAST_OF_ONE, _LAST_OF_ALL = [_last_of_one(late) for late in _LATE], [_last_of_all(late) for late in _LATE]
_FIRE_REST = {dialect: [_fire_rest(late, dialect) for late in _LATE] for dialect in ("sqlite", "postgresql")}


def fire_due(
    connection: Connection,
    n: int,
    partitions: tuple[int, ...],
    now: datetime,
    late_before: datetime,
    size: int,
) -> int:
    """Pass ``n`` of those contacts that have no event to be handled: move up to about ``size`` of their runs, each
    contact's at its earliest instant; those that are late come when nobody else is due. However many runs were asked
    for, the timers of a contact at one instant are not torn apart. Served by ix_run_due and uq_run_active. Returns how
    many there are.
    """
    apart = connection.dialect.name != "postgresql"
    parameters = {
        "n": n,
        "now": now,
        "late_before": late_before,
        "limit": max(1, -(-size // len(partitions))),
    }

    def ask(one: Statement, every: Statement) -> list[CursorResult[Any]]:
        if apart:
            return [one.run(connection, partition=partition, **parameters) for partition in partitions]
        return [every.run(connection, **parameters)]

    for late in _LATE:
        found = sum(fired.rowcount for fired in ask(_FIRE_ONE[late], _FIRE_ALL[late]))
        if found:
            lasts = [last.scalar() for last in ask(_LAST_OF_ONE[late], _LAST_OF_ALL[late])]
            full = [last for last in lasts if last is not None]
            if full:
                last = from_microseconds(min(full))
                found += (
                    _FIRE_REST[connection.dialect.name][late]
                    .run(connection, last=last, **parameters)
                    .rowcount
                )
            return found
    return 0

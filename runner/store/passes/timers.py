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
    FromClause,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    exists,
    insert,
    literal_column,
    select,
    true,
)

from runner.store.held import held
from runner.store.passes.timeline import ACTIVE, by_timer
from runner.store.passes.ways import LOOKED_AT
from runner.store.passes.working import PASS, moving
from runner.store.statement import Statement
from runner.store.tables import event, run, shard
from runner.store.types import Instant, constant

_now = bindparam("now", type_=Instant())
_late_before = bindparam("late_before", type_=Instant())
_limit = bindparam("limit", type_=Integer())


_other = run.alias("other")


def _first_timers(partition: Any, late: bool) -> Select[Any]:
    """The runs of one partition whose timers are due: in time, or late."""
    return (
        select(
            run.c.partition, run.c.contact, run.c.id, run.c.version, run.c.node, run.c.due_at, run.c.next_at
        )
        .where(
            run.c.partition == partition,
            ACTIVE,
            run.c.next_at.is_not(None),
            run.c.next_at < _late_before if late else run.c.next_at.between(_late_before, _now),
        )
        .order_by(run.c.next_at)
        .limit(_limit)
    )


def _fire_due(
    first: Any, rows: FromClause, late: bool, *held: ColumnElement[bool], another: ColumnElement[bool]
) -> Statement:
    waiting, other = event.alias("waiting"), _other
    at = _now if late else first.c.next_at
    an_event = exists(literal_column("1")).where(
        waiting.c.partition == first.c.partition,
        waiting.c.contact == first.c.contact,
        waiting.c.pending,
        waiting.c.at <= _now,
    )
    in_time_before = (
        other.c.next_at.between(_late_before, _now)
        if late
        else and_(other.c.next_at >= _late_before, other.c.next_at < first.c.next_at)
    )
    a_timer_before = exists(literal_column("1")).where(
        other.c.partition == first.c.partition,
        other.c.contact == first.c.contact,
        other.c.status == constant("active"),
        another,
        in_time_before,
    )
    return Statement(
        insert(moving).from_select(
            ["n", "version", "way", "partition", "contact", "run", "at"],
            select(
                PASS,
                first.c.version,
                case((first.c.due_at <= at, by_timer(first.c.node)), else_=constant(LOOKED_AT)),
                first.c.partition,
                first.c.contact,
                first.c.id,
                at,
            )
            .select_from(rows)
            .where(*held, ~an_event, ~a_timer_before),
        )
    )


def _fire_one(late: bool) -> Statement:
    # SQLite finds a row's number in the index: of a contact's only run, the row itself is not looked up.
    own_row: ColumnElement[int] = literal_column("run.rowid", Integer()).label("own_row")
    first = _first_timers(bindparam("partition", type_=Integer()), late).add_columns(own_row).subquery()
    return _fire_due(first, first, late, another=literal_column("other.rowid") != first.c.own_row)


def _fire_all(late: bool) -> Statement:
    first = _first_timers(shard.c.partition, late).lateral()
    return _fire_due(
        first, shard.join(first, true()), late, held(shard.c.partition), another=_other.c.id != first.c.id
    )


_FIRE_ONE = [_fire_one(late) for late in (False, True)]
_FIRE_ALL = [_fire_all(late) for late in (False, True)]


def fire_due(
    connection: Connection,
    n: int,
    partitions: tuple[int, ...],
    now: datetime,
    late_before: datetime,
    size: int,
) -> int:
    """Pass ``n`` of those contacts that have no event to be handled: move up to about ``size`` of their runs, each
    contact's at its earliest instant; those that are late come when nobody else is due. Served by ix_run_due. Returns
    how many there are.
    """
    parameters = {
        "n": n,
        "now": now,
        "late_before": late_before,
        "limit": max(1, -(-size // len(partitions))),
    }
    for one, every in zip(_FIRE_ONE, _FIRE_ALL, strict=True):
        if connection.dialect.name == "postgresql":
            found = every.run(connection, **parameters).rowcount
        else:
            found = sum(
                one.run(connection, partition=partition, **parameters).rowcount for partition in partitions
            )
        if found:
            return found
    return 0

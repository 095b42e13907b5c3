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
    exists,
    insert,
    literal_column,
    select,
    true,
)

from runner.store.held import held
from runner.store.passes.timeline import ACTIVE, way_of_due
from runner.store.passes.working import PASS, moving, once_each
from runner.store.statement import Statement
from runner.store.tables import event, run, shard
from runner.store.types import Instant, constant

_now = bindparam("now", type_=Instant())
_late_before = bindparam("late_before", type_=Instant())
_limit = bindparam("limit", type_=Integer())


def _first_timers(partition: Any, late: bool) -> Select[Any]:
    """The first runs of one partition whose timers are due: in time, or late."""
    return (
        select(run.c.partition, run.c.contact, run.c.id, run.c.next_at)
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
    dialect: str, first: Any, rows: FromClause, late: bool, *held: ColumnElement[bool]
) -> Statement:
    """Fires all timers of the contacts of ``first`` that are due at the same instant: however many runs were asked for,
    the timers of a contact at one instant are not torn apart."""
    waiting, other, due = event.alias("waiting"), run.alias("other"), run.alias("due")

    def of_contact(of: Any) -> ColumnElement[bool]:
        return and_(
            of.c.partition == first.c.partition,
            of.c.contact == first.c.contact,
            of.c.status == constant("active"),
        )

    at = _now if late else due.c.next_at
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
    # SQLite finds the number of a row in the index, so that of a contact's only run the row itself is not looked up.
    another = (
        literal_column("other.rowid") != first.c.own_row if dialect == "sqlite" else other.c.id != first.c.id
    )
    together = due.c.next_at < _late_before if late else due.c.next_at == first.c.next_at
    found = (
        select(
            PASS.label("n"),
            due.c.version,
            way_of_due(due, at).label("way"),
            due.c.partition,
            due.c.contact,
            due.c.id,
            at.label("at"),
        )
        .select_from(rows.join(due, and_(of_contact(due), together)))
        .where(
            *held, ~an_event, ~exists(literal_column("1")).where(of_contact(other), another, in_time_before)
        )
    )
    # Two runs of a contact that are due together each lead to both.
    if dialect == "postgresql":
        found = found.distinct()
    return Statement(
        once_each(insert(moving)).from_select(
            ["n", "version", "way", "partition", "contact", "run", "at"], found
        )
    )


def _fire_one(late: bool) -> Statement:
    own_row: ColumnElement[int] = literal_column("run.rowid", Integer()).label("own_row")
    first = _first_timers(bindparam("partition", type_=Integer()), late).add_columns(own_row).subquery()
    return _fire_due("sqlite", first, first, late)


def _fire_all(late: bool) -> Statement:
    first = _first_timers(shard.c.partition, late).lateral()
    return _fire_due("postgresql", first, shard.join(first, true()), late, held(shard.c.partition))


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

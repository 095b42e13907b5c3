"""Until when a run stands at a step: the instant of its timer."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, case, exists, func, literal, literal_column, select

from runner.journey.duration import Duration
from runner.journey.expression import Expression
from runner.journey.graph import Node
from runner.journey.hours import BusinessHours
from runner.journey.model import (
    Call,
    HandOff,
    LocalTimes,
    UpToDate,
    Verb,
    WaitAny,
    WaitCollect,
    WaitEvent,
    WaitFor,
    WaitUntil,
    WaitWhen,
)
from runner.journey.values import Kind
from runner.store.local_time.business import within_hours
from runner.store.local_time.localtime import (
    due_after,
    due_on,
    local_microseconds,
    midnight,
    utc_microseconds,
)
from runner.store.local_time.zones import ensure_zones, known_zone
from runner.store.passes.advance import at_node
from runner.store.passes.program import MOVING_CONTACT, MOVING_RUN, ProgramSql
from runner.store.passes.working import moving
from runner.store.predicates import Row, day_microseconds, instant_microseconds, value
from runner.store.statement import Statement
from runner.store.steps.waits.arrived import since
from runner.store.tables import contact, run, zone_offset
from runner.store.types import ByCodePoint, constant, instant_of, microseconds_of, shifted


def elapsed_length(verb: Verb) -> int | None:
    """How many microseconds every run stands at the step at most, where that hangs on nothing but its arrival."""
    match verb:
        case WaitEvent(up_to=Duration() as most) | WaitWhen(up_to=Duration() as most):
            return most.elapsed
        case WaitAny(up_to=Duration() as most):
            return most.elapsed
        case WaitFor(duration=Duration(days=0) as length, local=None):
            return length.elapsed
        case WaitCollect(duration=Duration(days=0) as length, local=None):
            return length.elapsed
        case Call(up_to=most) | HandOff(sla=most, hours=None):
            return most.elapsed
    return None


def due(sql: ProgramSql, node: Node, begun: ColumnElement[Any] | None = None) -> ColumnElement[Any]:
    """When the timer is due of a run that comes to the step: an instant, NULL where its date is missing. ``begun`` is
    the instant that it counts from, since when the run stands there unless it is said."""
    begun = since(node) if begun is None else begun
    elapsed = elapsed_length(node.verb)
    if elapsed is not None:
        return shifted(begun, constant(elapsed))
    row = sql.row(moving)
    match node.verb:
        case WaitFor(duration=duration, local=local) | WaitCollect(duration=duration, local=local):
            return instant_of(due_after(microseconds_of(begun), _zone(sql, node, row), duration, local))
        case HandOff(sla=length, hours=BusinessHours() as hours):
            zone = literal(hours.timezone, ByCodePoint())
            clock = local_microseconds(microseconds_of(begun), zone)
            over = within_hours(clock, length.elapsed, hours)
            return instant_of(utc_microseconds(over, zone))
        case WaitUntil(date=date, offset=offset, local=local):
            return _on_date(sql, node, date, offset, local)
        case (
            WaitEvent(up_to=UpToDate() as limit)
            | WaitWhen(up_to=UpToDate() as limit)
            | WaitAny(up_to=UpToDate() as limit)
        ):
            # Without a date there is no time to wait.
            return func.coalesce(
                _on_date(sql, node, limit.date, limit.offset, None), moving.c.at, type_=moving.c.at.type
            )
    raise TypeError(f"nobody waits at {node.step.id}")


def _on_date(
    sql: ProgramSql, node: Node, date: Expression, offset: Duration, local: LocalTimes | None
) -> ColumnElement[Any]:
    row = sql.row(moving)
    zone = _zone(sql, node, row)
    if date.type.kind is Kind.DATE:
        day = day_microseconds(date, row, sql.dialect)
        return instant_of(
            due_on(day, zone, offset, local.at if local else None, local.days if local else None)
        )
    moment = instant_microseconds(date, row, sql.dialect)
    if local is not None and local.at is not None:  # at that time of the instant's own day
        day = midnight(local_microseconds(moment, zone))
        return instant_of(due_on(day, zone, offset, local.at, local.days))
    return instant_of(due_after(moment, zone, offset, local))


def moves_with_contact(node: Node) -> bool:
    """Whether the timer hangs on the contact: on a date, or on a local time."""
    match node.verb:
        case WaitUntil():
            return True
        case WaitFor(local=local) | WaitCollect(local=local):
            return local is not None
        case WaitEvent(up_to=limit) | WaitWhen(up_to=limit) | WaitAny(up_to=limit):
            return isinstance(limit, UpToDate)
    return False


def _own_zone(node: Node) -> Expression | None:
    """The zone that the wait itself names, if it does not go by the contact's."""
    match node.verb:
        case WaitFor(local=local) | WaitUntil(local=local) | WaitCollect(local=local) if local is not None:
            return local.timezone
    return None


def _zone(sql: ProgramSql, node: Node, row: Row) -> ColumnElement[str]:
    named = _own_zone(node)
    if named is None:
        return sql.zone
    name = value(named, row, sql.dialect)
    # A name that is no zone would leave the wait without an end: the contact's own zone stands in.
    known = exists(
        select(literal_column("1")).where(zone_offset.c.zone == name).correlate_except(zone_offset)
    )
    return case((known, name), else_=sql.zone)


def load_zones(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """Have the clocks of the zones that the wait names for the runs that come to it in pass ``n``."""
    named = _own_zone(node)
    if named is None:
        return

    def build() -> Statement:
        name = value(named, sql.row(moving), sql.dialect)
        rows = moving.join(run, MOVING_RUN).join(contact, MOVING_CONTACT)
        return Statement(select(name).select_from(rows).where(at_node(sql, node)).distinct())

    names = sql.once(("zones", node.index), build).run(connection, n=n).scalars()
    ensure_zones(connection, {name for name in names if name is not None and known_zone(name)})

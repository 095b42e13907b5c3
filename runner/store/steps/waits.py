"""Waits: when they end, who stands at them, and what wakes those who do."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    cast,
    exists,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    update,
)

from runner.journey.catalog import CONTACT_UPDATED, IDENTIFIED
from runner.journey.duration import Duration
from runner.journey.expression import Expression
from runner.journey.graph import Node
from runner.journey.model import Again, Leave, WaitEvent, WaitFor, WaitUntil
from runner.journey.values import Kind
from runner.store.local_time.localtime import due_after, due_on, local_microseconds, midnight
from runner.store.local_time.zones import ensure_zones, known_zone
from runner.store.passes.advance import RUN_KEY_AND_INSTANT, at_node, pass_on
from runner.store.passes.exits import turn
from runner.store.passes.program import (
    MOVING_CONTACT,
    MOVING_RUN,
    WAVE_RUN,
    ProgramSql,
    of_run,
    with_event_and_contact,
)
from runner.store.passes.timeline import ACTIVE
from runner.store.passes.working import PASS, in_pass, moving, once_each, resting, wave
from runner.store.predicates import Row, day_microseconds, instant_microseconds, predicate, value
from runner.store.statement import Statement
from runner.store.tables import contact, run, zone_offset
from runner.store.types import Instant, constant, earliest, instant_of, microseconds_of, shifted

_EVENT_FLOOR = bindparam("event_floor", type_=Instant())


def _since(node: Node) -> ColumnElement[Any]:
    """Since when a run stands at the wait. One that is taken up again there (its date or zone has changed) has stood
    there since it first arrived."""
    return case((run.c.node == constant(node.index), run.c.arrived_at), else_=moving.c.at)


def _own_zone(node: Node) -> Expression | None:
    """The zone that the wait itself names, if it does not go by the contact's."""
    match node.verb:
        case WaitFor(local=local) | WaitUntil(local=local) if local is not None:
            return local.timezone
    return None


def _zone(sql: ProgramSql, node: Node, row: Row) -> ColumnElement[str]:
    named = _own_zone(node)
    if named is None:
        return sql.zone
    name = value(named, row, sql.dialect)
    # A name that is no zone would leave the wait without an end: the contact's own zone stands in.
    known = exists(select(literal_column("1")).where(zone_offset.c.zone == name))
    return case((known, name), else_=sql.zone)


def _load_zones(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    named = _own_zone(node)
    if named is None:
        return

    def build() -> Statement:
        name = value(named, sql.row(moving), sql.dialect)
        rows = moving.join(run, MOVING_RUN).join(contact, MOVING_CONTACT)
        return Statement(select(name).select_from(rows).where(at_node(sql, node)).distinct())

    names = sql.once(("zones", node.index), build).run(connection, n=n).scalars()
    ensure_zones(connection, {name for name in names if name is not None and known_zone(name)})


def _due(sql: ProgramSql, node: Node) -> ColumnElement[Any]:
    """When the wait ends by itself: an instant, NULL where its date is missing."""
    row = sql.row(moving)
    match node.verb:
        case WaitEvent():
            return _elapsed_after(_since(node), node.verb)
        case WaitFor(duration=Duration(days=0), local=None):
            return _elapsed_after(_since(node), node.verb)
        case WaitFor(duration=duration, local=local):
            return instant_of(
                due_after(microseconds_of(_since(node)), _zone(sql, node, row), duration, local)
            )
        case WaitUntil(date=date, offset=offset, local=local):
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
    raise TypeError(f"nobody waits at {node.step.id}")


def rest(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """Waits: those whose time has come already go on; the others stand there from now on."""
    verb = node.verb

    def build_arrival() -> Statement:
        when = turn(sql, moving)
        return Statement(
            insert(resting).from_select(
                ["n", "version", "node", "partition", "contact", "run", "at", "since", "due", "turn"],
                select(
                    PASS,
                    constant(sql.version),
                    constant(node.index),
                    *RUN_KEY_AND_INSTANT,
                    _since(node),
                    _due(sql, node),
                    when if when is not None else cast(null(), Instant()),
                )
                .select_from(moving.join(run, MOVING_RUN).join(contact, MOVING_CONTACT))
                .where(at_node(sql, node)),
            )
        )

    here = and_(
        in_pass(resting),
        resting.c.version == constant(sql.version),
        resting.c.node == constant(node.index),
    )

    def build_passing() -> Statement:
        passing: list[tuple[Any, str]] = []
        if isinstance(verb, WaitUntil):
            if verb.if_missing is not Leave.WAIT:
                passing.append((resting.c.due.is_(None), "missing"))
            passing.append((resting.c.due < resting.c.at, "past"))
        passing.append((resting.c.due <= resting.c.at, node.timer_outcome or ""))
        way = case(*((when, constant(sql.ways.leaving(node, outcome))) for when, outcome in passing))
        return pass_on(
            sql,
            select(
                resting.c.partition, resting.c.contact, resting.c.run, resting.c.at, way.label("way")
            ).where(here, or_(*(when for when, _ in passing))),
        )

    def build_resting() -> Statement:
        stays: ColumnElement[bool] = resting.c.due > resting.c.at
        if isinstance(verb, WaitUntil) and verb.if_missing is Leave.WAIT:
            stays = or_(stays, resting.c.due.is_(None))
        return Statement(
            update(run)
            .values(
                step=literal(node.step.id),
                node=constant(node.index),
                arrived_at=resting.c.since,
                due_at=resting.c.due,
                review_at=resting.c.turn,
                next_at=earliest(resting.c.due, resting.c.turn),
            )
            .where(here, stays, of_run(resting), ACTIVE)
        )

    def build_at_once() -> Statement:
        """One statement for a wait that nobody passes and that hangs on nothing but the instant of arrival."""
        due = _elapsed_after(moving.c.at, verb)
        return Statement(
            update(run)
            .values(
                step=literal(node.step.id),
                node=constant(node.index),
                arrived_at=moving.c.at,
                due_at=due,
                next_at=due,
            )
            .where(at_node(sql, node), of_run(moving), ACTIVE)
        )

    if _always_rests(node) and not sql.reads_time and sql.program.journey.entry.again is not Again.REFRESH:
        sql.once(("rest at once", node.index), build_at_once).run(connection, n=n)
        return
    _load_zones(sql, node, connection, n)
    sql.once(("arrival", node.index), build_arrival).run(connection, n=n)
    if not _always_rests(node):
        sql.once(("pass wait", node.index), build_passing).run(connection, n=n)
    sql.once(("rest", node.index), build_resting).run(connection, n=n)


def _elapsed_after(instant: ColumnElement[Any], verb: WaitFor | WaitEvent | Any) -> ColumnElement[Any]:
    elapsed = verb.up_to.elapsed if isinstance(verb, WaitEvent) else verb.duration.microseconds
    return shifted(instant, constant(elapsed))


def _always_rests(node: Node) -> bool:
    """Whether nobody ever passes the wait at once: its length is elapsed time, and more than nothing."""
    match node.verb:
        case WaitEvent(up_to=up_to):
            return up_to.elapsed > 0
        case WaitFor(duration=Duration(days=0) as duration, local=None):
            return duration.elapsed > 0
    return False


def wake(sql: ProgramSql, node: Node, connection: Connection, n: int, **floors: Any) -> int:
    """Let the runs go on that stand at ``node`` waiting for the event of pass ``n``. Events from before
    ``event_floor``, or from before the run came there, wake nobody. Returns how many."""
    verb = node.verb
    assert isinstance(verb, WaitEvent)

    def build() -> Statement:
        row = sql.row(wave, with_event=True)
        found = (
            select(
                wave.c.partition,
                wave.c.contact,
                run.c.id,
                wave.c.at,
                constant(sql.ways.leaving(node, "event")),
            )
            .select_from(
                with_event_and_contact(
                    wave.join(
                        run,
                        and_(
                            WAVE_RUN,
                            sql.runs,
                            run.c.node == constant(node.index),
                        ),
                    ),
                    verb.where,
                )
            )
            .where(
                in_pass(wave),
                wave.c.name == literal(verb.event),
                wave.c.at >= _EVENT_FLOOR,
                wave.c.at >= run.c.arrived_at,
                *([predicate(verb.where, row, sql.dialect)] if verb.where else []),
            )
        )
        return pass_on(sql, found)

    return sql.once(("wake", node.index), build).run(connection, n=n, **floors).rowcount


def take_up_again(sql: ProgramSql, node: Node, connection: Connection, n: int) -> int:
    """Bring the runs that stand at ``node`` to it again, since their contact has changed in pass ``n``: a date or a
    local time may have moved. Returns how many."""

    def build() -> Statement:
        return Statement(
            once_each(insert(moving)).from_select(
                ["n", "version", "way", "partition", "contact", "run", "at"],
                select(
                    PASS,
                    run.c.version,
                    constant(sql.ways.arriving(node.index)),
                    run.c.partition,
                    run.c.contact,
                    run.c.id,
                    wave.c.at,
                )
                .select_from(
                    wave.join(
                        run,
                        and_(
                            WAVE_RUN,
                            sql.runs,
                            run.c.node == constant(node.index),
                        ),
                    )
                )
                .where(in_pass(wave), wave.c.event.is_not(None), wave.c.name.in_(_CHANGES)),
            )
        )

    return sql.once(("take up again", node.index), build).run(connection, n=n).rowcount


_CHANGES: list[ColumnElement[str]] = [literal_column(f"'{name}'") for name in (IDENTIFIED, CONTACT_UPDATED)]


def moves_with_contact(node: Node) -> bool:
    """Whether the end of the wait hangs on the contact: on a date, or on a local time."""
    match node.verb:
        case WaitUntil():
            return True
        case WaitFor(local=local):
            return local is not None
    return False

"""People in flight: who stands where in a version, and carrying them over into another.

All of it is done to sets of runs, in the transaction of an ``apply`` that holds all partitions: no tick is under way.
Nobody goes on here. Whoever is due by now goes on at a tick after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    SmallInteger,
    Text,
    and_,
    bindparam,
    case,
    cast,
    false,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)

from runner.journey.graph import Node
from runner.journey.model import Leave, WaitFor, WaitUntil
from runner.store.held import held, hold
from runner.store.journeys.spread import released_at
from runner.store.passes.advance import at_node
from runner.store.passes.exits import end_leaving_runs
from runner.store.passes.program import MOVING_CONTACT, MOVING_RUN, ProgramSql, of_run
from runner.store.passes.timeline import ACTIVE
from runner.store.passes.working import (
    PASS,
    create_working_tables,
    empty_working_tables,
    in_pass,
    leaving,
    moving,
    steady_plans,
)
from runner.store.statement import Statement
from runner.store.steps.waits.due import due, load_zones
from runner.store.tables import contact, journey_version, run
from runner.store.types import ByCodePoint, Instant, constant, earliest
from runner.store.work.aside import hold_still

_NOW = bindparam("now", type_=Instant())
_OF_DATES = ("past", "missing")
"""The outcomes by which a wait for a date is left whose date is no time to wait for."""


def hold_everybody(connection: Connection, partitions: int) -> None:
    """Keep all ticks away until the transaction ends; waits for those that are under way. Makes the working tables of
    the connection, which are empty then."""
    hold_still(connection, range(partitions))
    hold(connection, range(partitions))
    create_working_tables(connection)
    empty_working_tables(connection)
    steady_plans(connection)


def end_journey(connection: Connection, stage: int, name: str, reason: str, now: datetime) -> int:
    """End all runs of the journey ``name``, and cancel what they have not sent: ``stage`` of ``leaving`` has them then.
    Returns how many there are."""
    versions = select(journey_version.c.id).where(journey_version.c.journey == literal(name, ByCodePoint()))
    return _end(connection, stage, run.c.version.in_(versions), literal(reason, ByCodePoint()), now)


def end_where(
    connection: Connection, stage: int, version: int, reasons: Mapping[int, str], now: datetime
) -> int:
    """End the runs that stand at the nodes of ``version`` that ``reasons`` names, each with its reason, like
    ``end_journey``."""
    told = {constant(node): literal(reason, ByCodePoint()) for node, reason in reasons.items()}
    of = and_(run.c.version == constant(version), run.c.node.in_(list(told)))
    return _end(connection, stage, of, case(told, value=run.c.node), now)


def _end(
    connection: Connection, stage: int, of: ColumnElement[bool], reason: ColumnElement[str], now: datetime
) -> int:
    rows = select(constant(stage), run.c.partition, run.c.contact, run.c.id, _NOW, reason)
    columns = ["stage", "partition", "contact", "run", "at", "reason"]
    found = insert(leaving).from_select(columns, rows.where(of, ACTIVE, held(run.c.partition)))
    ended = Statement(found).run(connection, now=now).rowcount
    if ended:
        end_leaving_runs(connection, stage, cancel_messages=True)
    return ended


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where those go who stand at a node of an older version. ``looked_at``: what they wait for there, or what ends
    their runs, is another than before, and has to be read for them once."""

    node: Node
    looked_at: bool
    gone: frozenset[str] = frozenset()
    """Outcomes of the older node that this one does not have."""


def carry_over(
    connection: Connection,
    sql: ProgramSql,
    version: int,
    places: Mapping[int, Place],
    n: int,
    now: datetime,
) -> int:
    """Have the runs at the nodes of ``version`` that ``places`` names stand in the version of ``sql`` from now on,
    since when and until when they stood before. Those at nodes with timers are in pass ``n`` of ``moving`` then.
    Returns how many there are."""
    if not places:
        return 0
    here = and_(
        run.c.version == constant(version), run.c.node.in_([constant(node) for node in places]), ACTIVE
    )
    timed = {old: place for old, place in places.items() if place.node.timer_outcome is not None}
    if timed:
        ways = {constant(old): constant(sql.ways.arriving(place.node.index)) for old, place in timed.items()}
        rows = select(
            PASS,
            constant(sql.version),
            case(ways, value=run.c.node),
            run.c.partition,
            run.c.contact,
            run.c.id,
            _NOW,
        ).where(here, run.c.node.in_(list(ways)), held(run.c.partition))
        columns = ["n", "version", "way", "partition", "contact", "run", "at"]
        Statement(insert(moving).from_select(columns, rows)).run(connection, n=n, now=now)
    nodes = {constant(old): constant(place.node.index) for old, place in places.items()}
    steps = {constant(old): literal(place.node.step.id, ByCodePoint()) for old, place in places.items()}
    looked_at = [constant(old) for old, place in places.items() if place.looked_at]
    review = case((run.c.node.in_(looked_at), _NOW), else_=run.c.review_at) if looked_at else run.c.review_at
    carried = Statement(
        update(run)
        .values(
            version=constant(sql.version),
            node=cast(case(nodes, value=run.c.node), SmallInteger()),
            step=case(steps, value=run.c.node),
            carried=run.c.carried + constant(1),
            leaves_by=_leaves_by(places),
            review_at=review,
            next_at=earliest(run.c.due_at, review),
        )
        .where(here, held(run.c.partition))
    )
    return carried.run(connection, now=now).rowcount


def _leaves_by(places: Mapping[int, Place]) -> ColumnElement[str | None]:
    """The outcome by which a run that a pause holds will leave: that of its timer, where it is held by one that there
    is no more."""
    known = [
        (
            and_(
                run.c.node == constant(old), run.c.leaves_by.in_([literal(one, Text()) for one in place.gone])
            ),
            literal(place.node.timer_outcome, Text()),
        )
        for old, place in places.items()
        if place.gone
    ]
    return case(*known, else_=run.c.leaves_by) if known else run.c.leaves_by


def count_anew(
    connection: Connection, sql: ProgramSql, nodes: Sequence[Node], n: int, now: datetime, *, restart: bool
) -> None:
    """Compute the timers of the runs of pass ``n`` of ``moving`` at ``nodes``, as the version of ``sql`` has them: from
    when each began, or, to ``restart``, from now. Whom a pause holds who has heard something has heard it."""
    for node in nodes:
        load_zones(sql, node, connection, n)
        begun = moving.c.at if restart else run.c.arrived_at
        by_time = [literal(one, Text()) for one in {node.timer_outcome or "", *_OF_DATES}]
        found = (
            select(
                moving.c.partition,
                moving.c.contact,
                moving.c.run,
                run.c.review_at,
                due(sql, node, begun).label("due"),
            )
            .select_from(moving.join(run, MOVING_RUN).join(contact, MOVING_CONTACT))
            .where(at_node(sql, node), or_(run.c.leaves_by.is_(None), run.c.leaves_by.in_(by_time)))
            .subquery()
        )
        # What a wait for events has heard, it has heard since it began; any other counts from there alone.
        since = {"arrived_at": _NOW} if restart and isinstance(node.verb, WaitFor) else {}
        Statement(
            update(run)
            .values(
                due_at=found.c.due,
                next_at=earliest(found.c.due, found.c.review_at),
                leaves_by=null(),
                **since,
            )
            .where(of_run(found), ACTIVE)
        ).run(connection, n=n, now=now)


def release(
    connection: Connection, sql: ProgramSql, n: int, now: datetime, *, begin: datetime, per_minute: int
) -> int:
    """Have those of pass ``n`` of ``moving`` go on one after the other whose time is up by now, ``per_minute`` a
    minute, the first at ``begin``. Returns how many there are."""
    missing, past = [], []
    for node in sql.program.nodes:
        if isinstance(node.verb, WaitUntil):
            if node.verb.if_missing is not Leave.WAIT:
                missing.append(constant(node.index))
            if node.verb.if_past is not Leave.WAIT:
                past.append(constant(node.index))
    lacks_date = and_(run.c.due_at.is_(None), run.c.node.in_(missing)) if missing else false()
    place = func.row_number().over(order_by=(run.c.due_at, run.c.partition, run.c.contact, run.c.id))
    overdue = (
        select(
            moving.c.partition,
            moving.c.contact,
            moving.c.run,
            run.c.review_at,
            # They leave as they would have left had they just come.
            case(
                (lacks_date, literal("missing", Text())),
                (
                    and_(run.c.due_at < _NOW, run.c.node.in_(past)) if past else false(),
                    literal("past", Text()),
                ),
                else_=cast(null(), Text()),
            ).label("outcome"),
            released_at(begin, cast(place - constant(1), BigInteger()), per_minute).label("at"),
        )
        .select_from(moving.join(run, MOVING_RUN))
        .where(
            in_pass(moving),
            moving.c.version == constant(sql.version),
            run.c.leaves_by.is_(None),
            or_(run.c.due_at <= _NOW, lacks_date),
        )
        .subquery()
    )
    released = (
        update(run)
        .values(
            due_at=overdue.c.at,
            leaves_by=overdue.c.outcome,
            next_at=earliest(overdue.c.at, overdue.c.review_at),
        )
        .where(of_run(overdue), ACTIVE)
    )
    return Statement(released).run(connection, n=n, now=now).rowcount

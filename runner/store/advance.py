"""Runs on their way through a program: one statement routes all runs that are at a node.

A run that comes to a wait rests there: its row says where and until when. All else passes it on within the pass.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    SmallInteger,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    update,
)

from runner.journey.catalog import CONTACT_UPDATED, IDENTIFIED
from runner.journey.expression import Expression
from runner.journey.graph import Node
from runner.journey.model import Branch, Condition, Leave, WaitEvent, WaitFor, WaitUntil
from runner.journey.values import Kind
from runner.store.exits import turn
from runner.store.localtime import due_after, due_on
from runner.store.predicates import day_microseconds, instant_microseconds, predicate, value
from runner.store.program import (
    MOVING_CONTACT,
    MOVING_RUN,
    PASS,
    WAVE_RUN,
    ProgramSql,
    evaluated_once,
    of_run,
    with_event_and_contact,
)
from runner.store.statement import Statement
from runner.store.tables import RunStatus, contact, run, step_log
from runner.store.timeline import ACTIVE
from runner.store.types import ByCodePoint, Instant, constant, earliest, instant_of, microseconds_of, shifted
from runner.store.working import moving, node_step, resting, wave

_EVENT_FLOOR = bindparam("event_floor", type_=Instant())
_MOVING_COLUMNS = [
    "n",
    "version",
    "node",
    "partition",
    "contact",
    "run",
    "at",
    "from_node",
    "outcome",
    "reason",
]


def at_node(sql: ProgramSql, node: Node) -> ColumnElement[bool]:
    """The rows of ``moving`` that are at ``node`` in the pass."""
    return and_(
        moving.c.n == PASS,
        moving.c.version == constant(sql.version),
        moving.c.node == constant(node.index),
    )


def arrivals(sql: ProgramSql, *expressions: Expression) -> FromClause:
    """``moving``, joined with the contact, and with the run where something may look at it: an expression, or an exit
    condition that may have ended it on the way."""
    rows: FromClause = moving
    if sql.may_exit or any(expression.reads.run for expression in expressions):
        rows = rows.join(run, MOVING_RUN)
    return rows.join(contact, MOVING_CONTACT)


def pass_on(sql: ProgramSql, node: Node, found: Any, *, outcome: ColumnElement[str]) -> Statement:
    """The statement that lets the runs of ``found`` (partition, contact, run, at) leave ``node`` with ``outcome``."""
    target = case(*((outcome == literal(edge.outcome, Text()), constant(edge.target)) for edge in node.edges))
    reasons = [
        (outcome == literal(edge.outcome, Text()), literal(edge.reason, Text()))
        for edge in node.edges
        if edge.reason is not None
    ]
    return Statement(
        insert(moving).from_select(
            _MOVING_COLUMNS,
            select(
                PASS,
                constant(sql.version),
                cast(target, SmallInteger()),
                found.c.partition,
                found.c.contact,
                found.c.run,
                found.c.at,
                constant(node.index),
                outcome,
                case(*reasons, else_=null()) if reasons else cast(null(), ByCodePoint()),
            ).where(outcome.is_not(None)),
        )
    )


_RUN_KEY_AND_INSTANT = (moving.c.partition, moving.c.contact, moving.c.run, moving.c.at)


def decide(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """Conditions and branches: the first case that holds."""

    def build() -> Statement:
        row = sql.row(moving)
        tests: list[tuple[Expression, str]] = []
        match node.verb:
            case Condition(test=test):
                tests, otherwise = [(test, "true")], "false"
            case Branch(cases=cases):
                tests = [(found.when, found.name) for found in cases if found.when is not None]
                otherwise = cases[-1].name
            case _:
                raise TypeError(f"{node.step.id} decides nothing")
        outcome = case(
            *((predicate(test, row, sql.dialect), literal(name, Text())) for test, name in tests),
            else_=literal(otherwise, Text()),
        )
        found = evaluated_once(
            select(*_RUN_KEY_AND_INSTANT, outcome.label("outcome"))
            .select_from(arrivals(sql, *(test for test, _ in tests)))
            .where(at_node(sql, node)),
            *(test for test, _ in tests),
        )
        return pass_on(sql, node, found, outcome=found.c.outcome)

    sql.once(("decide", node.index), build).run(connection, n=n)


def leave_at_once(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """``goto`` and ``exit``: nodes with a single way out."""

    def build() -> Statement:
        found = (
            select(*_RUN_KEY_AND_INSTANT)
            .select_from(moving.join(run, MOVING_RUN))
            .where(at_node(sql, node))
            .subquery()
        )
        return pass_on(sql, node, found, outcome=literal(node.edges[0].outcome, Text()))

    sql.once(("leave at once", node.index), build).run(connection, n=n)


def _since(node: Node) -> ColumnElement[Any]:
    """Since when a run stands at the wait. One that is taken up again there (its date or zone has changed) has stood
    there since it first arrived."""
    return case((run.c.node == constant(node.index), run.c.arrived_at), else_=moving.c.at)


def _zone(sql: ProgramSql, node: Node, row: Any) -> ColumnElement[str]:
    local = getattr(node.verb, "local", None)
    if local is None or local.timezone is None:
        return sql.zone
    return func.coalesce(value(local.timezone, row, sql.dialect), sql.zone)


def _due(sql: ProgramSql, node: Node) -> ColumnElement[Any]:
    """When the wait ends by itself: an instant, NULL where its date is missing."""
    row = sql.row(moving)
    match node.verb:
        case WaitEvent(up_to=up_to):
            return shifted(_since(node), constant(up_to.elapsed))
        case WaitFor(duration=duration, local=None) if duration.days == 0:
            return shifted(_since(node), constant(duration.microseconds))
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
                    *_RUN_KEY_AND_INSTANT,
                    _since(node),
                    _due(sql, node),
                    when if when is not None else cast(null(), Instant()),
                )
                .select_from(moving.join(run, MOVING_RUN).join(contact, MOVING_CONTACT))
                .where(at_node(sql, node)),
            )
        )

    here = and_(
        resting.c.n == PASS,
        resting.c.version == constant(sql.version),
        resting.c.node == constant(node.index),
    )

    def build_passing() -> Statement:
        outcomes: list[tuple[Any, Any]] = []
        if isinstance(verb, WaitUntil):
            if verb.if_missing is not Leave.WAIT:
                outcomes.append((resting.c.due.is_(None), literal("missing", Text())))
            outcomes.append((resting.c.due < resting.c.at, literal("past", Text())))
        outcomes.append((resting.c.due <= resting.c.at, literal(node.timer_outcome, Text())))
        found = select(resting, case(*outcomes, else_=null()).label("outcome")).where(here).subquery()
        return pass_on(sql, node, found, outcome=found.c.outcome)

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

    sql.once(("arrival", node.index), build_arrival).run(connection, n=n)
    if not _always_rests(node):
        sql.once(("pass wait", node.index), build_passing).run(connection, n=n)
    sql.once(("rest", node.index), build_resting).run(connection, n=n)


def _always_rests(node: Node) -> bool:
    """Whether nobody ever passes the wait at once: its length is fixed and more than nothing."""
    match node.verb:
        case WaitEvent(up_to=up_to):
            return up_to.elapsed > 0
        case WaitFor(duration=duration, local=None):
            return duration.elapsed > 0
    return False


_END = Statement(
    update(run)
    .values(
        status=case(
            (moving.c.reason.is_(None), constant(RunStatus.COMPLETED.value)),
            else_=constant(RunStatus.EXITED.value),
        ),
        reason=moving.c.reason,
        ended_at=moving.c.at,
        step=None,
        node=None,
        due_at=None,
        review_at=None,
        next_at=None,
    )
    .where(
        moving.c.n == PASS,
        moving.c.version == bindparam("version", type_=Integer()),
        moving.c.node == bindparam("end", type_=Integer()),
        of_run(moving),
        ACTIVE,
    )
)


def end_runs(sql: ProgramSql, connection: Connection, n: int) -> None:
    """End the runs of pass ``n`` that have come to the end of the program."""
    _END.run(connection, n=n, version=sql.version, end=sql.program.end)


_LOG = Statement(
    insert(step_log).from_select(
        ["partition", "contact", "run", "node", "visit", "step", "outcome", "at"],
        select(
            moving.c.partition,
            moving.c.contact,
            moving.c.run,
            moving.c.from_node,
            literal_column("1"),
            node_step.c.step,
            moving.c.outcome,
            moving.c.at,
        )
        .select_from(
            moving.join(
                node_step,
                and_(node_step.c.version == moving.c.version, node_step.c.node == moving.c.from_node),
            )
        )
        .where(moving.c.n == PASS, moving.c.from_node.is_not(None)),
    )
)


def log_steps(connection: Connection, n: int) -> None:
    """Write down which steps the runs left in pass ``n``, and how."""
    _LOG.run(connection, n=n)


def wake(sql: ProgramSql, node: Node, connection: Connection, n: int, **floors: Any) -> int:
    """Let the runs go on that stand at ``node`` waiting for the event of pass ``n``. Events from before
    ``event_floor`` wake nobody. Returns how many."""
    verb = node.verb
    assert isinstance(verb, WaitEvent)

    def build() -> Statement:
        row = sql.row(wave, with_event=True)
        found = (
            select(wave.c.partition, wave.c.contact, run.c.id.label("run"), wave.c.at)
            .select_from(
                with_event_and_contact(
                    wave.join(
                        run,
                        and_(
                            WAVE_RUN,
                            run.c.version == constant(sql.version),
                            run.c.node == constant(node.index),
                        ),
                    ),
                    verb.where,
                )
            )
            .where(
                wave.c.n == PASS,
                wave.c.name == literal(verb.event),
                wave.c.at >= _EVENT_FLOOR,
                *([predicate(verb.where, row, sql.dialect)] if verb.where else []),
            )
            .subquery()
        )
        return pass_on(sql, node, found, outcome=literal("event", Text()))

    return sql.once(("wake", node.index), build).run(connection, n=n, **floors).rowcount


def take_up_again(sql: ProgramSql, node: Node, connection: Connection, n: int) -> int:
    """Bring the runs that stand at ``node`` to it again, since their contact has changed in pass ``n``: a date or a
    local time may have moved. Returns how many."""

    def build() -> Statement:
        return Statement(
            insert(moving).from_select(
                ["n", "version", "node", "partition", "contact", "run", "at"],
                select(PASS, run.c.version, run.c.node, run.c.partition, run.c.contact, run.c.id, wave.c.at)
                .select_from(
                    wave.join(
                        run,
                        and_(
                            WAVE_RUN,
                            run.c.version == constant(sql.version),
                            run.c.node == constant(node.index),
                        ),
                    )
                )
                .where(wave.c.n == PASS, wave.c.event.is_not(None), wave.c.name.in_(_CHANGES)),
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

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
    insert,
    literal,
    literal_column,
    null,
    select,
    update,
)

from runner.journey.expression import Expression
from runner.journey.graph import Node
from runner.journey.model import Branch, Condition
from runner.store.passes.program import (
    MOVING_CONTACT,
    MOVING_RUN,
    PASS,
    ProgramSql,
    evaluated_once,
    of_run,
)
from runner.store.passes.timeline import ACTIVE
from runner.store.passes.working import moving
from runner.store.predicates import predicate
from runner.store.statement import Statement
from runner.store.tables import RunStatus, contact, run, step_log
from runner.store.types import ByCodePoint, constant

_MOVING_COLUMNS = [
    "n",
    "version",
    "node",
    "partition",
    "contact",
    "run",
    "at",
    "from_node",
    "from_step",
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
                literal(node.step.id, Text()),
                outcome,
                case(*reasons, else_=null()) if reasons else cast(null(), ByCodePoint()),
            ).where(outcome.is_not(None)),
        )
    )


RUN_KEY_AND_INSTANT = (moving.c.partition, moving.c.contact, moving.c.run, moving.c.at)


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
            select(*RUN_KEY_AND_INSTANT, outcome.label("outcome"))
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
            select(*RUN_KEY_AND_INSTANT)
            .select_from(moving.join(run, MOVING_RUN))
            .where(at_node(sql, node))
            .subquery()
        )
        return pass_on(sql, node, found, outcome=literal(node.edges[0].outcome, Text()))

    sql.once(("leave at once", node.index), build).run(connection, n=n)


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
            moving.c.from_step,
            moving.c.outcome,
            moving.c.at,
        ).where(moving.c.n == PASS, moving.c.from_node.is_not(None)),
    )
)


def log_steps(connection: Connection, n: int) -> None:
    """Write down which steps the runs left in pass ``n``, and how."""
    _LOG.run(connection, n=n)

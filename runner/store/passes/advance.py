"""Runs on their way through a program: one statement routes all runs that are at a node.

A run that comes to a wait rests there: its row says where and until when. All else passes it on within the pass.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Text,
    case,
    insert,
    literal,
    null,
    select,
    update,
)

from runner.journey.expression import Expression
from runner.journey.graph import Node
from runner.journey.model import Again
from runner.store.passes.program import (
    MOVING_CONTACT,
    MOVING_RUN,
    ProgramSql,
    came,
    of_run,
    way_taken,
)
from runner.store.passes.timeline import ACTIVE
from runner.store.passes.working import PASS, moving
from runner.store.statement import Statement
from runner.store.tables import RunStatus, contact, run
from runner.store.types import constant


def at_node(sql: ProgramSql, node: Node) -> ColumnElement[bool]:
    """The rows of ``moving`` that are at ``node`` in the pass."""
    return came(sql, sql.ways.into(node.index))


def arrivals(sql: ProgramSql, *expressions: Expression, with_run: bool = False) -> FromClause:
    """``moving``, joined with the contact, and with the run where something looks at it: an expression; or where it
    may have ended on the way, by an exit condition, or by the very event that woke it and starts the journey anew."""
    rows: FromClause = moving
    restarts = sql.program.journey.entry.again is Again.RESTART
    if with_run or sql.may_exit or restarts or any(expression.reads.run for expression in expressions):
        rows = rows.join(run, MOVING_RUN)
    return rows.join(contact, MOVING_CONTACT)


def pass_on(
    sql: ProgramSql, found: Select[Any], *, keeping: bool = False, forking: bool = False
) -> Statement:
    """The statement that lets the runs of ``found`` (partition, contact, run, at, way) go on, each its way; with
    ``keeping``, with what they keep (kept); with ``forking``, by a path of its way (path)."""
    more = (*(("kept",) if keeping else ()), *(("path",) if forking else ()))
    return Statement(
        insert(moving).from_select(
            ["partition", "contact", "run", "at", "way", *more, "n", "version"],
            found.add_columns(PASS, constant(sql.version)),
        )
    )


RUN_KEY_AND_INSTANT = (moving.c.partition, moving.c.contact, moving.c.run, moving.c.at)


def leave(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """Let the runs at a node with a single way out take it."""

    def build() -> Statement:
        (way,) = sql.ways.beginning(node.index)
        return pass_on(
            sql,
            select(*RUN_KEY_AND_INSTANT, constant(way.number))
            .select_from(moving.join(run, MOVING_RUN))
            .where(at_node(sql, node)),
        )

    sql.once(("leave", node.index), build).run(connection, n=n)


def end_runs(sql: ProgramSql, connection: Connection, n: int) -> None:
    """End the runs of pass ``n`` that have come to the end of the program."""

    def build() -> Statement:
        exits = {
            constant(way.number): literal(way.reason, Text())
            for way in sql.ways
            if way.target == sql.program.end and way.reason is not None
        }
        reason: ColumnElement[Any] = case(exits, value=way_taken(sql)) if exits else null()
        completed = constant(RunStatus.COMPLETED.value)
        status = completed
        if exits:
            status = case((way_taken(sql).in_(exits), constant(RunStatus.EXITED.value)), else_=completed)
        return Statement(
            update(run)
            .values(
                status=status,
                reason=reason,
                ended_at=moving.c.at,
                step=None,
                node=None,
                due_at=None,
                review_at=None,
                next_at=None,
            )
            .where(came(sql, sql.ways.into(sql.program.end)), of_run(moving), ACTIVE)
        )

    sql.once("end runs", build).run(connection, n=n)

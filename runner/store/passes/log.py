"""The log of the steps that runs leave on their ways, and how they leave them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    case,
    insert,
    literal,
    literal_column,
    select,
    true,
    union_all,
)

from runner.store.passes.program import ProgramSql, of_run
from runner.store.passes.ways import Left, Way
from runner.store.passes.working import in_pass, moving, way
from runner.store.statement import Statement
from runner.store.tables import run, step_log
from runner.store.types import ByCodePoint, constant

_AT_ONCE = 200
"""So many parts of a statement are put together: SQLite takes 500."""


def log_steps(sql: ProgramSql, connection: Connection, n: int) -> None:
    """Write down which steps the runs left in pass ``n``, and how."""

    def build() -> tuple[Statement, ...]:
        visits = sql.program.snoozes or sql.follows
        parts = [_straight(sql, visits=visits)]
        if sql.dialect == "sqlite":
            parts += [part for ways in sql.ways.forks.values() for part in _forked(sql, ways, visits=visits)]
        return tuple(_insert(parts[start : start + _AT_ONCE]) for start in range(0, len(parts), _AT_ONCE))

    for statement in sql.once("log", build):
        statement.run(connection, n=n)


def _insert(parts: Sequence[Select[Any]]) -> Statement:
    columns = ["partition", "contact", "run", "node", "visit", "step", "outcome", "at"]
    return Statement(insert(step_log).from_select(columns, union_all(*parts) if len(parts) > 1 else parts[0]))


# It comes to a node once in each: after a reader has put it back, and in each version.
_VISIT: ColumnElement[int] = run.c.visit + run.c.carried


def _straight(sql: ProgramSql, *, visits: bool) -> Select[Any]:
    """From the ways to the runs that came them: so the texts are looked up once a way, and not once a run. PostgreSQL,
    which believes that there are few runs, has to be kept from beginning with them."""
    came_it = and_(in_pass(moving), moving.c.version == way.c.version, moving.c.way == way.c.way)
    arrival: Any = moving
    rows: FromClause = way.join(moving, came_it)
    if sql.dialect == "postgresql":
        key = (moving.c.partition, moving.c.contact, moving.c.run, moving.c.at)
        found = select(*key).where(came_it).suffix_with("OFFSET 0")
        arrival = found.correlate(way).lateral("arrival")
        rows = way.join(arrival, true())
    return (
        select(
            arrival.c.partition,
            arrival.c.contact,
            arrival.c.run,
            way.c.node,
            _VISIT if visits else literal_column("1"),
            way.c.step,
            way.c.outcome,
            arrival.c.at,
        )
        .select_from(rows.join(run, of_run(arrival)) if visits else rows)
        .where(way.c.version == constant(sql.version))
    )


def _forked(sql: ProgramSql, ways: Sequence[Way], *, visits: bool) -> list[Select[Any]]:
    """The steps on the ``ways`` of a fork: the first ones, then the second ones, and so on."""
    found = []
    for depth in range(max(len(one.steps) for one in ways)):
        left = {constant(one.number): one.steps[depth] for one in ways if len(one.steps) > depth}

        def told(
            what: Callable[[Left], ColumnElement[Any]], left: Mapping[Any, Left] = left
        ) -> ColumnElement[Any]:
            return case({path: what(step) for path, step in left.items()}, value=moving.c.path)

        found.append(
            select(
                moving.c.partition,
                moving.c.contact,
                moving.c.run,
                told(lambda step: constant(step.node.index)),
                _VISIT if visits else literal_column("1"),
                told(lambda step: literal(step.node.step.id, ByCodePoint())),
                told(lambda step: literal(step.outcome, ByCodePoint())),
                moving.c.at,
            )
            .select_from(moving.join(run, of_run(moving)) if visits else moving)
            .where(
                in_pass(moving),
                moving.c.version == constant(sql.version),
                moving.c.way == constant(ways[0].number),
                *([moving.c.path.in_(left)] if len(left) < len(ways) else []),
            )
        )
    return found

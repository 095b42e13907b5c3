"""What a run has behind it already, though it comes to the step once more: the steps of a journey may be put into
another order under people who follow into its new version."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, exists, literal, literal_column, select

from runner.journey.graph import Node
from runner.store.passes.advance import RUN_KEY_AND_INSTANT, at_node, pass_on
from runner.store.passes.program import MOVING_RUN, ProgramSql
from runner.store.passes.ways import ALREADY
from runner.store.passes.working import moving
from runner.store.statement import Statement
from runner.store.tables import message, run
from runner.store.types import ByCodePoint


def of_step(column: ColumnElement[str], sql: ProgramSql, node: Node) -> ColumnElement[bool]:
    """Whether ``column`` names the step of ``node``: by its id, or by one that it had in earlier versions."""
    names = [literal(name, ByCodePoint()) for name in (node.step.id, *sorted(sql.former(node)))]
    return column.in_(names) if len(names) > 1 else column == names[0]


def has_message(sql: ProgramSql, node: Node) -> ColumnElement[bool]:
    """Whether a run of ``moving``, joined, has its message, call or task of the step. Once a reader has put the run
    back, it is about the next one."""
    return exists(
        select(literal_column("1"))
        .where(
            message.c.partition == moving.c.partition,
            message.c.contact == moving.c.contact,
            message.c.run == moving.c.run,
            of_step(message.c.step, sql, node),
            message.c.visit == run.c.visit,
        )
        .correlate(moving, run)
    )


def pass_over(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """Let those go on who are at the send ``node`` in pass ``n`` and have its message."""
    if not sql.follows:
        return

    def build() -> Statement:
        (way,) = (way for way in sql.ways.beginning(node.index) if way.steps[0].detail == ALREADY)
        return pass_on(
            sql,
            select(*RUN_KEY_AND_INSTANT, literal_column(str(way.number)).label("way"))
            .select_from(moving.join(run, MOVING_RUN))
            .where(at_node(sql, node), has_message(sql, node)),
        )

    sql.once(("pass over", node.index), build).run(connection, n=n)

"""Sticky random arms: the same contact gets the same arm of a split, whatever the version."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Integer, Text, and_, case, func, literal, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite

from runner.journey.graph import Node
from runner.journey.model import Split
from runner.store.passes.advance import at_node, pass_on
from runner.store.passes.program import MOVING_CONTACT, MOVING_RUN, ProgramSql
from runner.store.passes.working import moving
from runner.store.statement import Statement
from runner.store.tables import assignment, contact, run


def split(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """Give an arm to the contacts at ``node`` that have none yet, and let everybody take theirs.

    A contact whose stored arm this version no longer has is given one of this version's for this run.
    """
    verb = node.verb
    assert isinstance(verb, Split)
    mine = and_(
        assignment.c.partition == moving.c.partition,
        assignment.c.contact == moving.c.contact,
        assignment.c.journey == literal(sql.program.journey.name),
        assignment.c.step == literal(node.step.id),
    )

    def drawn() -> Any:
        salted = literal(f"{sql.program.journey.name}/{node.step.id}/", Text()) + contact.c.key
        place = func.journeys_bucket(salted, type_=Integer())
        bounds, total = [], 0
        for arm in verb.arms:
            total += arm.share
            bounds.append((place < literal_column(str(total)), literal(arm.name, Text())))
        return case(*bounds, else_=literal(verb.arms[-1].name, Text()))

    def build_assignment() -> Statement:
        insert = (postgresql if sql.dialect == "postgresql" else sqlite).insert
        return Statement(
            insert(assignment)
            .from_select(
                ["partition", "contact", "journey", "step", "arm"],
                select(
                    moving.c.partition,
                    moving.c.contact,
                    literal(sql.program.journey.name),
                    literal(node.step.id),
                    drawn(),
                )
                .select_from(moving.join(run, MOVING_RUN).join(contact, MOVING_CONTACT))
                .where(at_node(sql, node)),
            )
            .on_conflict_do_nothing()
        )

    def build_passing() -> Statement:
        known = assignment.c.arm.in_([literal(arm.name, Text()) for arm in verb.arms])
        found = (
            select(
                moving.c.partition,
                moving.c.contact,
                moving.c.run,
                moving.c.at,
                case((known, assignment.c.arm), else_=drawn()).label("outcome"),
            )
            .select_from(moving.join(run, MOVING_RUN).join(contact, MOVING_CONTACT).join(assignment, mine))
            .where(at_node(sql, node))
            .subquery()
        )
        return pass_on(sql, node, found, outcome=found.c.outcome)

    sql.once(("assign", node.index), build_assignment).run(connection, n=n)
    sql.once(("split", node.index), build_passing).run(connection, n=n)

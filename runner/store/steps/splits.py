"""Sticky random arms: the same contact gets the same arm of a split, whatever the version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Text,
    and_,
    case,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from runner.journey.graph import Node
from runner.journey.model import Split
from runner.store.passes.advance import RUN_KEY_AND_INSTANT, at_node, pass_on
from runner.store.passes.program import MOVING_CONTACT, MOVING_RUN, ProgramSql
from runner.store.passes.working import moving
from runner.store.statement import Statement
from runner.store.tables import assignment, contact, run
from runner.store.types import constant


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

    def drawn(given: Callable[[str], ColumnElement[Any]]) -> ColumnElement[Any]:
        """What ``given`` answers for the arm that the contact draws."""
        salted = literal(f"{sql.program.journey.name}/{node.step.id}/", Text()) + contact.c.key
        place = func.journeys_bucket(salted, type_=Integer())
        bounds, total = [], 0
        for arm in verb.arms:
            total += arm.share
            bounds.append((place < literal_column(str(total)), given(arm.name)))
        return case(*bounds, else_=given(verb.arms[-1].name))

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
                    drawn(lambda arm: literal(arm, Text())),
                )
                .select_from(moving.join(run, MOVING_RUN).join(contact, MOVING_CONTACT))
                .where(at_node(sql, node)),
            )
            .on_conflict_do_nothing()
        )

    def build_passing() -> Statement:
        def way(arm: str) -> ColumnElement[Any]:
            return constant(sql.ways.leaving(node, arm))

        stored = {literal(arm.name, Text()): way(arm.name) for arm in verb.arms}
        return pass_on(
            sql,
            select(*RUN_KEY_AND_INSTANT, case(stored, value=assignment.c.arm, else_=drawn(way)))
            .select_from(moving.join(run, MOVING_RUN).join(contact, MOVING_CONTACT).join(assignment, mine))
            .where(at_node(sql, node)),
        )

    sql.once(("assign", node.index), build_assignment).run(connection, n=n)
    sql.once(("split", node.index), build_passing).run(connection, n=n)

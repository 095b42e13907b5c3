"""Sticky random arms: the same contact gets the same arm of a split, whatever the version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    and_,
    case,
    func,
    literal,
    literal_column,
    null,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from runner.journey.graph import Node
from runner.journey.model import Split
from runner.store.passes.advance import RUN_KEY_AND_INSTANT, at_node, pass_on
from runner.store.passes.holdouts import drawn
from runner.store.passes.program import MOVING_CONTACT, MOVING_RUN, ProgramSql
from runner.store.passes.working import moving
from runner.store.predicates import text_value
from runner.store.statement import Statement
from runner.store.steps.behind import of_step
from runner.store.tables import assignment, contact, experiment, run
from runner.store.types import ByCodePoint, constant


def split(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """Give an arm to the contacts at ``node`` that have none yet, and let everybody take theirs.

    A contact whose stored arm this version no longer has is given one of this version's for this run. In an experiment
    newcomers are given the arms by the shares that it has come to, where there are any for their group.
    """
    verb = node.verb
    assert isinstance(verb, Split)
    journey = sql.program.journey.name
    place = drawn(journey, node.step.id, contact.c.key)
    mine = and_(
        assignment.c.partition == moving.c.partition,
        assignment.c.contact == moving.c.contact,
        assignment.c.journey == literal(journey),
        assignment.c.step == literal(node.step.id),
    )

    def by_shares_of_file(given: Callable[[str], ColumnElement[Any]]) -> ColumnElement[Any]:
        """What ``given`` answers for the arm that the contact draws."""
        bounds, total = [], 0
        for arm in verb.arms:
            total += arm.share
            bounds.append((place < literal_column(str(total)), given(arm.name)))
        return case(*bounds, else_=given(verb.arms[-1].name))

    def cell() -> ColumnElement[Any]:
        by = verb.experiment.by if verb.experiment else ()
        parts = [text_value(value, sql.row(moving), sql.dialect) for value in by]
        found: ColumnElement[Any] = parts[0] if parts else literal("", ByCodePoint())
        for part in parts[1:]:
            found = found + literal(" / ", Text()) + part
        return found

    def given_before() -> ColumnElement[Any]:
        """The arm of the split by the id that it had before."""
        return (
            select(assignment.c.arm)
            .where(
                assignment.c.partition == moving.c.partition,
                assignment.c.contact == moving.c.contact,
                assignment.c.journey == literal(journey),
                of_step(assignment.c.step, sql, node),
            )
            .order_by(assignment.c.step)
            .limit(literal_column("1"))
            .correlate_except(assignment)
            .scalar_subquery()
        )

    def build_assignment() -> Statement:
        insert = (postgresql if sql.dialect == "postgresql" else sqlite).insert
        arm = by_shares_of_file(lambda arm: literal(arm, Text()))
        if verb.experiment is not None:
            by_shares_of_now = (
                select(experiment.c.arm)
                .where(
                    experiment.c.journey == literal(journey),
                    experiment.c.step == literal(node.step.id),
                    experiment.c.cell == cell(),
                    place >= experiment.c.begins,
                    place < experiment.c.ends,
                )
                .correlate_except(experiment)
                .scalar_subquery()
            )
            arm = func.coalesce(by_shares_of_now, arm)
        if sql.former(node):
            arm = func.coalesce(given_before(), arm)
        return Statement(
            insert(assignment)
            .from_select(
                ["partition", "contact", "journey", "step", "arm", "at", "cell"],
                select(
                    moving.c.partition,
                    moving.c.contact,
                    literal(journey),
                    literal(node.step.id),
                    arm,
                    moving.c.at,
                    cell() if verb.experiment is not None else null(),
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
            select(*RUN_KEY_AND_INSTANT, case(stored, value=assignment.c.arm, else_=by_shares_of_file(way)))
            .select_from(moving.join(run, MOVING_RUN).join(contact, MOVING_CONTACT).join(assignment, mine))
            .where(at_node(sql, node)),
        )

    sql.once(("assign", node.index), build_assignment).run(connection, n=n)
    sql.once(("split", node.index), build_passing).run(connection, n=n)

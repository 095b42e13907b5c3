"""Sticky random arms: the same contact gets the same arm of a split, whatever the version."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Text, and_, case, literal, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import Integer

from runner.journey.bucket import PARTS
from runner.journey.graph import Node
from runner.journey.model import Split
from runner.store.advance import at_node, pass_on
from runner.store.program import MOVING_CONTACT, MOVING_RUN, ProgramSql
from runner.store.statement import Statement
from runner.store.tables import assignment, contact, run
from runner.store.working import moving


class bucket_of(FunctionElement[int]):
    """``runner.journey.bucket`` in SQL."""

    type = Integer()
    inherit_cache = True


@compiles(bucket_of, "sqlite")
def _sqlite_bucket(element: bucket_of, compiler: SQLCompiler, **kw: Any) -> str:
    return f"journeys_bucket({compiler.process(element.clauses, **kw)})"


@compiles(bucket_of, "postgresql")
def _postgresql_bucket(element: bucket_of, compiler: SQLCompiler, **kw: Any) -> str:
    digest = f"sha256(convert_to({compiler.process(element.clauses, **kw)}, 'UTF8'))"
    # Horner's rule over the eight bytes, each step modulo the number of parts.
    total = "0"
    for place in range(8):
        total = f"(({total} * 256 + get_byte(d, {place})) % {PARTS})"
    return f"(SELECT {total} FROM (SELECT {digest} AS d) AS digest)"


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
        place = bucket_of(literal(f"{sql.program.journey.name}/{node.step.id}/", Text()) + contact.c.key)
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

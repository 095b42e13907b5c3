"""Who is held out, and who may enter while a journey is ramped up: sticky chance, drawn once a contact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Text,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from runner.journey.bucket import PARTS
from runner.journey.model import RampStep
from runner.store.passes.program import ProgramSql
from runner.store.passes.working import entering, in_pass
from runner.store.statement import Connection, Statement
from runner.store.tables import assignment, contact
from runner.store.types import constant, shifted

HOLDOUT = "holdout"
"""What stands for a step in the draw of a journey's own holdout."""
EVERY_JOURNEY = "*"
"""What stands for a journey in the draw of the global holdout."""
HELD_OUT, IN = "held_out", "in"
"""The arms."""


def holdouts(sql: ProgramSql) -> list[tuple[str, str, int]]:
    """The holdouts that concern a journey: what stands for journey and step in the draw, and the share."""
    own = sql.rules.holdout
    found = [(sql.program.journey.name, HOLDOUT, own)] if own is not None else []
    everywhere = sql.rules.policies.holdout
    if everywhere is not None:
        found.append((EVERY_JOURNEY, everywhere.name, everywhere.share))
    return found


def drawn(journey: str, step: str, key: ColumnElement[str]) -> ColumnElement[int]:
    """The part of ten thousand into which a contact falls."""
    return func.journeys_bucket(literal(f"{journey}/{step}/", Text()) + key, type_=Integer())


def draw_holdouts(sql: ProgramSql, connection: Connection, n: int) -> None:
    """Draw for those who enter in pass ``n`` and have not been drawn for before."""
    for journey, step, share in holdouts(sql):

        def build(journey: str = journey, step: str = step, share: int = share) -> Statement:
            into = (postgresql if sql.dialect == "postgresql" else sqlite).insert(assignment)
            arm = case(
                (drawn(journey, step, contact.c.key) < constant(share), constant(HELD_OUT)),
                else_=constant(IN),
            )
            return Statement(
                into.from_select(
                    ["partition", "contact", "journey", "step", "arm"],
                    select(
                        entering.c.partition,
                        entering.c.contact,
                        literal(journey, Text()),
                        literal(step, Text()),
                        arm,
                    )
                    .select_from(
                        entering.join(
                            contact,
                            and_(
                                contact.c.partition == entering.c.partition,
                                contact.c.id == entering.c.contact,
                            ),
                        )
                    )
                    .where(in_pass(entering), entering.c.version == constant(sql.version)),
                ).on_conflict_do_nothing()
            )

        sql.once(("draw", journey, step), build).run(connection, n=n)


def held_out(sql: ProgramSql) -> ColumnElement[bool]:
    """Whether the contact of a row of ``entering`` is held out."""
    found: list[ColumnElement[bool]] = [
        exists(
            select(literal_column("1"))
            .where(
                assignment.c.partition == entering.c.partition,
                assignment.c.contact == entering.c.contact,
                assignment.c.journey == literal(journey, Text()),
                assignment.c.step == literal(step, Text()),
                assignment.c.arm == constant(HELD_OUT),
            )
            .correlate_except(assignment)
        )
        for journey, step, _ in holdouts(sql)
    ]
    return or_(*found) if found else false()


def let_in(ramp: Sequence[RampStep], journey: str, since: Any, at: Any) -> ColumnElement[bool] | None:
    """Whether the contact (joined) may enter at ``at``, while the ramp that began at ``since`` goes up; None where
    everybody may."""
    if not ramp:
        return None
    steps, elapsed = [], 0
    for step in ramp:
        if step.lasts is None:
            break
        elapsed += step.lasts.elapsed
        steps.append((at < shifted(since, constant(elapsed)), constant(step.share)))
    last = constant(ramp[-1].share)
    share = case(*steps, else_=last) if steps else last
    if not steps and ramp[-1].share == PARTS:
        return None
    return drawn(journey, "ramp", contact.c.key) < cast(share, Integer())

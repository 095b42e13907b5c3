"""How many people stand on each step of the sales funnel, and what they would bring: one statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal,
    null,
    select,
)

from runner.journey.catalog import FunnelStep
from runner.journey.values import MILLIONTHS
from runner.store.passes.holdouts import EVERY_JOURNEY, HELD_OUT
from runner.store.predicates import Row, millionths, predicate
from runner.store.predicates.gathered import Gathered
from runner.store.tables import assignment, contact
from runner.store.types import ByCodePoint, Instant, constant


@dataclass(frozen=True, kw_only=True)
class Standing:
    """``people`` on the step of this number, ``held_out`` of whom get nothing of any journey, and the sum of what all
    of them would bring, in millionths; who has no value brings nothing."""

    step: int
    people: int
    held_out: int
    value: int


def funnel_counts(
    connection: Connection, steps: Sequence[FunnelStep], now: datetime, *, timezone: str
) -> list[Standing]:
    """Of each step of ``steps`` on which somebody stands at ``now``: everybody stands on the last one that holds.
    ``timezone`` stands in where a contact has none."""
    dialect = connection.dialect.name
    gathered = Gathered(None) if dialect == "postgresql" else None
    row = Row(
        partition=contact.c.partition,
        contact=contact.c.id,
        contact_table=contact,
        zone=func.coalesce(contact.c.timezone, literal(timezone, ByCodePoint())),
        instant=bindparam("now", type_=Instant()),
        gathered=gathered.value if gathered else None,
    )
    numbered = list(enumerate(steps))
    step = case(
        *((predicate(each.when, row, dialect), constant(number)) for number, each in reversed(numbered)),
        else_=null(),
    )
    worth = [
        (number, millionths(each.value, row, dialect).label(f"value_{number}"))
        for number, each in numbered
        if each.value is not None
    ]
    rows = gathered.joined(contact, contact.c.partition, contact.c.id) if gathered else contact
    held_out = case((_is_held_out(), constant(1)), else_=constant(0)).label("held_out")
    people = (
        select(step.label("step"), held_out, *(column for _, column in worth)).select_from(rows).subquery()
    )
    chosen = ((people.c.step == constant(number), people.c[column.name]) for number, column in worth)
    value = case(*chosen) if worth else cast(null(), BigInteger())
    million = constant(MILLIONTHS)
    # Whole units and the rest apart: the sum of many large values would not fit 64 bits, in which SQLite adds.
    counted = (
        select(
            people.c.step,
            func.count().label("people"),
            func.sum(people.c.held_out).label("held_out"),
            func.sum(value // million).label("whole"),
            func.sum(value % million).label("rest"),
        )
        .where(people.c.step.is_not(None))
        .group_by(people.c.step)
        .order_by(people.c.step)
    )
    return [
        Standing(
            step=each.step,
            people=each.people,
            held_out=int(each.held_out),
            value=int(each.whole or 0) * MILLIONTHS + int(each.rest or 0),
        )
        for each in connection.execute(counted, {"now": now})
    ]


def _is_held_out() -> ColumnElement[bool]:
    """Whether the contact is held out of all journeys."""
    return exists(
        select(constant(1))
        .select_from(assignment)
        .where(
            assignment.c.partition == contact.c.partition,
            assignment.c.contact == contact.c.id,
            assignment.c.journey == literal(EVERY_JOURNEY, ByCodePoint()),
            assignment.c.arm == constant(HELD_OUT),
        )
        .correlate_except(assignment)
    )

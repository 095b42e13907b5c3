"""What journeys brought to those who were sent something, and what happened to those who were held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Float, and_, cast, func, or_, select, union_all

from runner.journey.values import MILLIONTHS
from runner.store.tables import conversion, run
from runner.store.types import Instant, constant
from runner.store.watching.sendings import Period, goal_counts, one, value_of


@dataclass(frozen=True, kw_only=True)
class Group:
    """People who entered a journey, on one side. ``reached`` of them reached the goal, ``goals`` times; ``value`` is
    the sum in millionths, None where no goal had a value, ``squares`` that of the squares of each person's, in whole
    units."""

    people: int = 0
    reached: int = 0
    goals: int = 0
    value: int | None = None
    squares: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Sides:
    """``mixed`` entered on both sides: once held out, once not."""

    treated: Group
    held_out: Group
    mixed: int


_SIDES = ("treated", "held_out", "mixed")


def sides(
    connection: Connection, period: Period, journey: str | None = None, *, comparable: bool
) -> Mapping[str, Sides]:
    """By journey, the people who entered in the period.

    ``comparable``: of journeys that hold people out, only those who entered since the first was: before, nobody was
    drawn, and it was another season.
    """
    entered = period.holds(run.c.entered_at)
    if journey:
        entered.append(run.c.journey == journey)
    rows: Any = run
    if comparable:
        held = run.alias("held")
        first = (
            select(held.c.journey, func.min(held.c.entered_at, type_=Instant()).label("since"))
            .where(held.c.held_out)
            .group_by(held.c.journey)
            .subquery("first")
        )
        rows = run.outerjoin(first, first.c.journey == run.c.journey)
        entered.append(or_(first.c.since.is_(None), run.c.entered_at >= first.c.since))
    whose = (run.c.journey, run.c.partition, run.c.contact, one(run.c.held_out).label("held_out"))
    goal = goal_counts(conversion.c.value)
    won = and_(
        conversion.c.partition == run.c.partition,
        conversion.c.contact == run.c.contact,
        conversion.c.run == run.c.id,
    )
    parts = union_all(
        select(*whose, *(constant(0).label(name) for name in goal)).select_from(rows).where(*entered),
        select(*whose, *(counted.label(name) for name, counted in goal.items()))
        .select_from(rows.join(conversion, won))
        .where(*entered),
    ).subquery("parts")
    person = (
        select(
            parts.c.journey,
            func.min(parts.c.held_out).label("always"),
            func.max(parts.c.held_out).label("ever"),
            *(func.sum(parts.c[name]).label(name) for name in goal),
        )
        .group_by(parts.c.journey, parts.c.partition, parts.c.contact)
        .subquery("person")
    )
    side = (person.c.ever + (person.c.ever - person.c.always)).label("side")
    worth = cast(person.c.whole, Float()) + cast(person.c.rest, Float()) / constant(MILLIONTHS)
    counted = (
        select(
            person.c.journey,
            side,
            func.count().label("people"),
            func.sum(one(person.c.goals > 0)).label("reached"),
            *(func.sum(person.c[name]).label(name) for name in goal),
            func.sum(worth * worth).label("squares"),
        )
        .group_by(person.c.journey, "side")
        .order_by(person.c.journey, "side")
    )
    found: dict[str, dict[str, Group]] = {}
    for row in connection.execute(counted):
        found.setdefault(row.journey, {})[_SIDES[int(row.side)]] = Group(
            people=row.people,
            reached=int(row.reached),
            goals=int(row.goals),
            value=value_of(row),
            squares=float(row.squares),
        )
    return {
        name: Sides(
            treated=groups.get("treated", Group()),
            held_out=groups.get("held_out", Group()),
            mixed=groups.get("mixed", Group()).people,
        )
        for name, groups in found.items()
    }

"""Until when people may stand in versions, and for whom triggers hold: what a plan tells before anything is changed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, case, exists, func, literal, or_, select

from runner.journey.expression import Expression
from runner.store.causes.existing import Existing, holds_already
from runner.store.passes.timeline import ACTIVE
from runner.store.predicates import Row, value
from runner.store.tables import begun, contact, run
from runner.store.types import ByCodePoint, Instant


@dataclass(frozen=True, kw_only=True)
class Stand:
    """The people at one node of a version, and how many they are: the last of them came at ``arrived``, the last timer
    is due at ``due``; ``untimed`` have no timer."""

    version: int
    node: int
    people: int
    untimed: int
    arrived: datetime
    due: datetime | None


def stands(connection: Connection, versions: Collection[int]) -> tuple[Stand, ...]:
    """Where the people of ``versions`` stand, how many, since and until when, by version and node. Served by
    ix_run_version."""
    query = (
        select(
            run.c.version,
            run.c.node,
            func.count().label("people"),
            func.sum(case((run.c.due_at.is_(None), 1), else_=0)).label("untimed"),
            func.max(run.c.arrived_at, type_=Instant()).label("arrived"),
            func.max(run.c.due_at, type_=Instant()).label("due"),
        )
        .where(run.c.version.in_(sorted(versions)), ACTIVE, run.c.node.is_not(None))
        .group_by(run.c.version, run.c.node)
        .order_by(run.c.version, run.c.node)
    )
    return tuple(
        Stand(
            version=row.version,
            node=row.node,
            people=row.people,
            untimed=int(row.untimed),
            arrived=row.arrived,
            due=row.due,
        )
        for row in connection.execute(query)
    )


def not_looked_for(connection: Connection, existing: Collection[Existing]) -> tuple[Existing, ...]:
    """Those of ``existing`` for whom nobody has looked yet: the people of the others have entered."""
    names = {one.begun for one in existing}
    known = set(connection.execute(select(begun.c.name).where(begun.c.name.in_(names)).distinct()).scalars())
    return tuple(one for one in existing if one.begun not in known)


def people_for_whom(
    connection: Connection, existing: Collection[Existing], journey: str, now: datetime
) -> int:
    """For how many contacts who are not in ``journey`` one of ``existing`` holds at ``now``. Reads all contacts."""
    if not existing:
        return 0
    dialect = connection.dialect.name
    holds = [holds_already(dialect, one, now) for one in existing]
    inside = exists().where(
        run.c.partition == contact.c.partition,
        run.c.contact == contact.c.id,
        run.c.journey == literal(journey, ByCodePoint()),
        ACTIVE,
    )
    query = select(func.count()).select_from(contact).where(or_(*holds), ~inside)
    return int(connection.execute(query).scalar_one())


def people_with(connection: Connection, value_of: Expression, zone: str, now: datetime) -> int:
    """How many contacts have a value of ``value_of`` at ``now``; ``zone`` is that of contacts without one. Reads all
    contacts."""
    row = Row(
        partition=contact.c.partition,
        contact=contact.c.id,
        contact_table=contact,
        zone=func.coalesce(contact.c.timezone, literal(zone, ByCodePoint())),
        instant=literal(now, Instant()),
    )
    known = value(value_of, row, connection.dialect.name).is_not(None)
    return int(connection.execute(select(func.count()).select_from(contact).where(known)).scalar_one())

"""Who is in a segment: its condition, read for all contacts at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Select,
    SmallInteger,
    any_,
    bindparam,
    func,
    literal,
    select,
)

from runner.journey.expression import Expression
from runner.store.people.contacts import Identity
from runner.store.predicates import Row, predicate
from runner.store.predicates.gathered import Gathered
from runner.store.tables import contact
from runner.store.types import ByCodePoint, Instant

_AT_A_TIME = 10_000
"""Rows that are fetched together, so that a large segment does not fill the memory."""


def members(
    connection: Connection,
    condition: Expression,
    now: datetime,
    *,
    timezone: str,
    partitions: Sequence[int] | None = None,
) -> Iterator[Identity]:
    """The contacts for which ``condition`` holds at ``now``, in no particular order; of ``partitions`` only, where
    they are given. ``timezone`` stands in where a contact has none.

    One statement reads every contact once. What it looks up of each is served by ``ix_event_history`` and primary keys;
    on PostgreSQL, counts and sums over the past are gathered for all of them first.
    """
    query = member_query(condition, connection.dialect.name, timezone, partitions)
    rows = connection.execution_options(yield_per=_AT_A_TIME).execute(query, {"now": now})
    return ((partition, number) for partition, number in rows)


def member_query(
    condition: Expression, dialect: str, timezone: str, partitions: Sequence[int] | None = None
) -> Select[Any]:
    """Partition and id of the contacts for which ``condition`` holds at the instant of the parameter ``now``."""
    chosen = _chosen(dialect, partitions)
    gathered = Gathered(chosen) if dialect == "postgresql" else None
    row = Row(
        partition=contact.c.partition,
        contact=contact.c.id,
        contact_table=contact,
        zone=func.coalesce(contact.c.timezone, literal(timezone, ByCodePoint())),
        instant=bindparam("now", type_=Instant()),
        gathered=gathered.value if gathered else None,
    )
    holds = predicate(condition, row, dialect)
    rows = gathered.joined(contact, contact.c.partition, contact.c.id) if gathered else contact
    query = select(contact.c.partition, contact.c.id).select_from(rows).where(holds)
    return query.where(chosen(contact.c.partition)) if chosen else query


def _chosen(dialect: str, partitions: Sequence[int] | None) -> Callable[[Any], ColumnElement[bool]] | None:
    if partitions is None:
        return None
    if dialect == "postgresql":
        return lambda column: column == any_(literal(list(partitions), ARRAY(SmallInteger)))
    return lambda column: column.in_(sorted(partitions))

"""What expressions come to for one contact at an instant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, FromClause, and_, func, literal, select

from runner.journey.expression import Expression
from runner.store.predicates import Row, json_value
from runner.store.tables import contact, event, run
from runner.store.types import ByCodePoint, Instant


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an expression is read: at an instant, for a run, or for an event that has arrived (0: for
    none).
    """

    at: datetime
    run: int = 0
    event: int = 0


def read_values(
    connection: Connection, key: str, place: Place, expressions: Sequence[Expression], *, timezone: str
) -> list[Any]:
    """What ``expressions`` come to for the contact ``key`` at ``place``, in stored form; ``timezone`` is the
    catalog's.

    Raises LookupError where there is no such contact, run or event.
    """
    rows: FromClause = contact
    where = [contact.c.key == key]
    if place.run:
        rows = rows.join(run, and_(run.c.partition == contact.c.partition, run.c.contact == contact.c.id))
        where.append(run.c.id == place.run)
    if place.event:
        rows = rows.join(
            event, and_(event.c.partition == contact.c.partition, event.c.contact == contact.c.id)
        )
        where.append(event.c.id == place.event)
    row = Row(
        partition=contact.c.partition,
        contact=contact.c.id,
        contact_table=contact,
        zone=func.coalesce(contact.c.timezone, literal(timezone, ByCodePoint())),
        instant=literal(place.at, Instant()),
        trigger=run.c.trigger if place.run else None,
        data=run.c.data if place.run else None,
        event=event.c.properties if place.event else None,
        run=run.c.id if place.run else None,
        entered_at=run.c.entered_at if place.run else None,
    )
    dialect = connection.dialect.name
    columns = [
        json_value(expression, row, dialect).label(f"value_{index}")
        for index, expression in enumerate(expressions)
    ]
    found = connection.execute(select(*columns).select_from(rows).where(*where)).first()
    if found is None:
        raise LookupError(f"no contact {key} with {place}")
    # The driver of PostgreSQL has read JSON already.
    return list(found) if dialect == "postgresql" else [json.loads(value) for value in found]

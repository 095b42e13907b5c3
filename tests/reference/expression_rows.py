"""The contacts of ``expression_world`` in a database, and the row that expressions are read for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, insert, literal, select

from runner.store import tables
from runner.store.local_time.zones import ensure_zones
from runner.store.predicates import Row
from runner.store.types import from_microseconds
from tests.reference.expression_world import JOURNEYS, NOON, ZONES
from tests.reference.expressions import Situation


def store(connection: Connection, people: Sequence[Situation]) -> None:
    """Write the contacts, each with one run that is read and perhaps another. The event looked at is kept as one of a
    name of its own."""
    ensure_zones(connection, ["UTC", *(zone for zone in ZONES if zone)])
    accounts = {
        str(person.columns["account"]): person.account for person in people if person.account is not None
    }
    for key, attributes in accounts.items():
        made = {"partition": 0, "key": key, "attributes": attributes, "created_at": from_microseconds(NOON)}
        connection.execute(insert(tables.account).values(**made))
    for number, person in enumerate(people):
        _store_one(connection, number, person)


def _store_one(connection: Connection, number: int, person: Situation) -> None:
    own = {"partition": 0, "contact": number}
    at = from_microseconds(person.instant)
    fields = ("email", "phone", "timezone", "locale", "account")
    connection.execute(
        insert(tables.contact).values(
            partition=0,
            id=number,
            key=person.columns["id"],
            **{name: person.columns[name] for name in fields},
            attributes=person.attributes,
            tags=list(person.tags),
            created_at=at,
        )
    )
    rows = [*((event, False) for event in person.events), *((event, True) for event in person.pending)]
    rows.append((("Looked At", person.instant, person.event or {}), False))
    connection.execute(
        insert(tables.event),
        [
            {
                **own,
                "id": place,
                "name": name,
                "at": from_microseconds(when),
                "received_at": at,
                "properties": properties,
                "dedup_key": str(place),
                "pending": pending,
            }
            for place, ((name, when, properties), pending) in enumerate(rows)
        ],
    )
    assert person.entered_at is not None
    for place, (journey, status) in enumerate(person.runs, start=1):
        active = status == "active"
        connection.execute(
            insert(tables.run).values(
                **own,
                id=place,
                journey=journey,
                version=1,
                per="",
                entry_key="e",
                status=status,
                step="s" if active else None,
                arrived_at=at,
                entered_at=from_microseconds(person.entered_at),
                ended_at=None if active else at,
                trigger=person.trigger,
                data=person.run,
            )
        )
    for run, (journey, steps) in enumerate(JOURNEYS.items(), start=1):
        for step in sorted(steps):
            status = "sent" if (journey, step) in person.sent_by else "blocked"
            values = _message_columns(run, journey, step, at, status)
            connection.execute(insert(tables.message).values(**own, **values))
    for (topic, channel), given in person.consents.items():
        state = "given" if given else "pending" if channel == "sms" else "withdrawn"
        since = from_microseconds(person.consents_since[topic, channel])
        connection.execute(
            insert(tables.consent).values(**own, topic=topic, channel=channel, state=state, since=since)
        )
    for channel, address in sorted(person.suppressed):
        row = {**own, "channel": channel, "address": address, "reason": "bounced", "since": at}
        connection.execute(insert(tables.suppression).values(row))


def _message_columns(run: int, journey: str, step: str, at: datetime, status: str) -> dict[str, Any]:
    return {
        "run": run,
        "step": step,
        "visit": 1,
        "journey": journey,
        "version": 1,
        "channel": "email",
        "topic": "offers",
        "status": status,
        "let_go_at": at,
        "expires_at": at + timedelta(days=1),
        "attempts": 1,
        "sent_at": at if status == "sent" else None,
    }


def _row() -> tuple[Row, Any]:
    looked_at = tables.event.alias("looked_at")
    contact, run = tables.contact, tables.run
    joined = contact.join(
        run,
        and_(run.c.partition == contact.c.partition, run.c.contact == contact.c.id, run.c.id == 1),
    ).join(
        looked_at,
        and_(
            looked_at.c.partition == contact.c.partition,
            looked_at.c.contact == contact.c.id,
            looked_at.c.name == "Looked At",
        ),
    )
    found = Row(
        partition=contact.c.partition,
        contact=contact.c.id,
        contact_table=contact,
        zone=func.coalesce(contact.c.timezone, literal("UTC")),
        instant=run.c.arrived_at,
        trigger=run.c.trigger,
        data=run.c.data,
        event=looked_at.c.properties,
        run=run.c.id,
        entered_at=run.c.entered_at,
    )
    return found, joined


ROW, _JOINED = _row()
"""The row that expressions are read for: one a contact."""


def reading(columns: list[ColumnElement[Any]]) -> Select[Any]:
    """The query that reads the columns for every contact, in order of their ids."""
    # With labels of their own, columns that are alike stay apart.
    named = [column.label(f"c{place}") for place, column in enumerate(columns)]
    return select(*named).select_from(_JOINED).order_by(tables.contact.c.id)


def read_all(connection: Connection, columns: list[ColumnElement[Any]]) -> list[tuple[Any, ...]]:
    """The columns, read for every contact, in order of their ids."""
    # What is read once need not be found again: SQLAlchemy's cache would walk through all of it for its key.
    uncached = connection.execution_options(compiled_cache=None)
    return [tuple(found) for found in uncached.execute(reading(columns))]

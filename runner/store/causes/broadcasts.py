"""Events that have no contact: stored once, and open until every partition has heard them.

Who hears one is in ``hearers.py``, how far each has come in ``hearing.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Connection, Integer, bindparam, func, literal_column, select, update

from runner.store.insert import insert_new
from runner.store.statement import Statement
from runner.store.tables import broadcast, broadcast_heard
from runner.store.types import Instant, from_microseconds, microseconds_of

_now = bindparam("now", type_=Instant())


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A broadcast as it arrives, its values fitted."""

    name: str
    at: datetime
    received_at: datetime
    properties: Mapping[str, Any]
    undeclared: Mapping[str, Any]
    dedup_key: str


def store_broadcasts(connection: Connection, sent: Sequence[Sent], *, pending: bool) -> int:
    """Store those of ``sent`` that are not there yet; answers how many. What is not ``pending`` is history,
    and heard by nobody."""
    stored = 0
    for one in sent:
        row = {
            "name": one.name,
            "at": one.at,
            "received_at": one.received_at,
            "properties": dict(one.properties),
            "undeclared": dict(one.undeclared) or None,
            "dedup_key": one.dedup_key,
            "open": pending,
        }
        made = connection.execute(insert_new(connection, broadcast).returning(broadcast.c.id), row)
        stored += len(made.all())
    return stored


@dataclass(frozen=True, kw_only=True)
class Open:
    """A broadcast that some partition has yet to hear."""

    number: int
    name: str
    at: datetime


_OPEN = Statement(
    select(broadcast.c.id, broadcast.c.name, microseconds_of(broadcast.c.at))
    .where(broadcast.c.open, broadcast.c.at <= _now)
    .order_by(broadcast.c.at, broadcast.c.id)
)


def open_broadcasts(connection: Connection, now: datetime) -> list[Open]:
    """The broadcasts that some partition has yet to hear, by their instants. Served by ix_broadcast_open."""
    return [
        Open(number=number, name=name, at=from_microseconds(at))
        for number, name, at in _OPEN.run(connection, now=now)
    ]


_CLOSE = Statement(
    update(broadcast)
    .values(open=literal_column("false", Boolean()))
    .where(
        broadcast.c.open,
        select(func.count())
        .select_from(broadcast_heard)
        .where(broadcast_heard.c.broadcast == broadcast.c.id)
        .scalar_subquery()
        >= bindparam("partitions", type_=Integer()),
    )
)


def close_broadcasts(connection: Connection, partitions: int) -> None:
    """Close the broadcasts that all ``partitions`` have heard."""
    _CLOSE.run(connection, partitions=partitions)

"""Events that have no contact: stored once, and copied to whoever hears them, partition by partition.

The copies are made in a tick, under the partition's lock, before its events are handled. Each contact gets one copy of
a broadcast, however often it is looked at. Whoever has something to be handled first may hear it after that, so they
get their copy in any case; whether a listener means it is asked when it is handled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    false,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    true,
    union,
    update,
)

from runner.journey.broadcasts import Ear
from runner.journey.expression import Expression
from runner.journey.values import BOOLEAN
from runner.store.causes.announce import announcement
from runner.store.causes.older_work import has_older_work
from runner.store.held import held
from runner.store.insert import insert_new
from runner.store.passes.told import store_told
from runner.store.predicates import Row, predicate
from runner.store.statement import Statement
from runner.store.tables import RunStatus, broadcast, broadcast_heard, contact, run, shard
from runner.store.types import ByCodePoint, Instant, constant

_now = bindparam("now", type_=Instant())
_its_id = bindparam("its_id", type_=BigInteger())


@dataclass(frozen=True)
class Listener:
    """Somebody who hears: by ``ear``, and, where that looks at what started a run, in the runs of ``journey``."""

    ear: Ear
    timezone: str
    journey: str | None = None

    @property
    def looks_at_runs(self) -> bool:
        return self.ear.source == "trigger"


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


_OPEN = Statement(
    select(broadcast.c.id, broadcast.c.name)
    .where(broadcast.c.open, broadcast.c.at <= _now)
    .order_by(broadcast.c.at, broadcast.c.id)
)


def open_broadcasts(connection: Connection, now: datetime) -> list[tuple[int, str]]:
    """The broadcasts that some partition has yet to hear, by their instants. Served by ix_broadcast_open."""
    return [(number, name) for number, name in _OPEN.run(connection, now=now)]


_heard_here = exists(
    select(literal_column("1")).where(
        broadcast_heard.c.partition == shard.c.partition, broadcast_heard.c.broadcast == _its_id
    )
)
_NOT_HEARD = Statement(select(shard.c.partition).where(held(shard.c.partition), ~_heard_here))


class Copies:
    """The statements that make copies, by the event's name, for the listeners of the versions in use."""

    def __init__(self, dialect: str, listeners: Mapping[str, frozenset[Listener]]) -> None:
        self._dialect = dialect
        self._listeners = listeners
        self._statements: dict[str, Statement] = {}

    def make(self, connection: Connection, number: int, name: str) -> None:
        """Give a copy of the broadcast to everybody of the partitions held who hears it."""
        if not self._listeners.get(name):
            return
        if name not in self._statements:
            self._statements[name] = _copies(self._dialect, sorted(self._listeners[name], key=repr))
        statement = self._statements[name]
        if self._dialect == "postgresql":
            statement.run(connection, its_id=number)
            return
        # SQLite keeps in memory what is told and not stored.
        most = _MOST.run(connection).scalar() or 0
        for reached in range(0, most, PORTION):
            store_told(connection)
            statement.run(connection, its_id=number, reached=reached, last=reached + PORTION)


PORTION = 20_000
"""Contacts that are told of a broadcast at a time on SQLite."""
_MOST = Statement(select(func.max(contact.c.id)))


def _copies(dialect: str, listeners: Sequence[Listener]) -> Statement:
    in_runs = [listener for listener in listeners if listener.looks_at_runs]
    hearers: Any = _hearers(dialect, [listener for listener in listeners if listener not in in_runs])
    if in_runs:
        hearers = union(hearers, *(_hearing_runs(dialect, listener) for listener in in_runs))
    found = hearers.subquery("hearers")
    bounds = [bindparam(name, type_=BigInteger()) for name in ("reached", "last")]
    of_portion = [found.c.contact > bounds[0], found.c.contact <= bounds[1]] if dialect == "sqlite" else []
    return announcement(
        dialect,
        select(
            found.c.partition,
            found.c.contact,
            cast(null(), BigInteger()).label("run"),
            broadcast.c.at,
            broadcast.c.name,
            broadcast.c.properties,
            (literal_column("'broadcast:'") + cast(broadcast.c.id, Text())).label("key"),
        )
        .select_from(found.join(broadcast, broadcast.c.id == _its_id))
        .where(_untold(found.c.partition), *of_portion),
        one_each=True,
    )


def _untold(partition: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether the partition has not heard the broadcast."""
    return ~exists(
        select(literal_column("1")).where(
            broadcast_heard.c.partition == partition, broadcast_heard.c.broadcast == _its_id
        )
    )


def _hearers(dialect: str, listeners: Sequence[Listener]) -> Select[Any]:
    """The contacts that have what a listener looks at, and those with older work: that may make them hear."""
    heard = or_(*(_means(dialect, listener) for listener in listeners)) if listeners else false()
    return (
        select(contact.c.partition, contact.c.id.label("contact"))
        .select_from(broadcast.join(contact, held(contact.c.partition)))
        .where(broadcast.c.id == _its_id, case((heard, true()), else_=has_older_work(broadcast.c.at)))
    )


def _hearing_runs(dialect: str, listener: Listener) -> Select[Any]:
    """The contacts with a run of the journey that was started by what the listener looks at."""
    runs = and_(
        run.c.partition == contact.c.partition,
        run.c.contact == contact.c.id,
        run.c.status == constant(RunStatus.ACTIVE.value),
        run.c.journey == literal(listener.journey or "", ByCodePoint()),
    )
    return (
        select(contact.c.partition, contact.c.id.label("contact"))
        .select_from(broadcast.join(contact, held(contact.c.partition)).join(run, runs))
        .where(broadcast.c.id == _its_id, _means(dialect, listener))
    )


def _means(dialect: str, listener: Listener) -> ColumnElement[bool]:
    row = Row(
        partition=contact.c.partition,
        contact=contact.c.id,
        contact_table=contact,
        zone=func.coalesce(contact.c.timezone, literal(listener.timezone, ByCodePoint())),
        instant=broadcast.c.at,
        event=broadcast.c.properties,
        trigger=run.c.trigger if listener.looks_at_runs else None,
    )
    return predicate(Expression("", listener.ear.equality, BOOLEAN), row, dialect)


_TOLD = insert(broadcast_heard)
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


def hear_broadcasts(
    connection: Connection, copies: Copies, partitions: Sequence[int], now: datetime, *, of_all: int
) -> bool:
    """Copy the broadcasts up to ``now`` to those who hear them in ``partitions``, which are held, once each.
    ``of_all`` is how many partitions there are. Answers whether there was one that had not come here before, be it
    that nobody hears it."""
    found, new = open_broadcasts(connection, now), False
    for number, name in found:
        untold = sorted(set(_NOT_HEARD.run(connection, its_id=number).scalars()) & set(partitions))
        if not untold:
            continue
        new = True
        copies.make(connection, number, name)
        connection.execute(_TOLD, [{"partition": partition, "broadcast": number} for partition in untold])
    if found:
        _CLOSE.run(connection, partitions=of_all)
    return new

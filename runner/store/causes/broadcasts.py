"""Events that have no contact: stored once, and copied to whoever hears them, partition by partition.

The copies are made in a tick, under the partition's lock, before its events are handled, for a portion of its contacts
after the other: for those who were there when it began. Each contact gets one copy of a broadcast, however often it is
looked at. Whoever has something to be handled first may hear it after that, so they get their copy in any case; whether
they hear it is asked again when its turn has come, and a copy that nobody hears was never there: else it would hang on
when it was told whether it is one of the events at which conditions are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    Delete,
    FromClause,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
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
    tuple_,
    union,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from runner.journey.broadcasts import Ear
from runner.journey.expression import Expression
from runner.journey.values import BOOLEAN
from runner.store.causes.announce import RECEIVED_AT, announcement
from runner.store.causes.older_work import has_older_work
from runner.store.held import held
from runner.store.insert import insert_new
from runner.store.passes.program import WAVE_CONTACT, WAVE_EVENT
from runner.store.passes.working import in_pass, wave
from runner.store.predicates import Row, predicate
from runner.store.presence import is_there
from runner.store.statement import Statement
from runner.store.tables import (
    RunStatus,
    broadcast,
    broadcast_heard,
    broadcast_hearing,
    contact,
    event,
    run,
    shard,
)
from runner.store.types import ByCodePoint, Instant, constant, from_microseconds, microseconds_of

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


class Copies:
    """The statements that make copies, by the event's name, for the listeners of the versions in use."""

    def __init__(self, dialect: str, listeners: Mapping[str, frozenset[Listener]]) -> None:
        self._dialect = dialect
        self._listeners = listeners
        self._statements: dict[tuple[str, bool], Statement] = {}
        self._unheard: dict[str, Statement] = {}

    def tell(self, connection: Connection, of: Open, *, asks: bool = True) -> None:
        """Give a copy of the broadcast to everybody of the portions that are next who hears it, or,
        where nobody is asked, to all: a copy that is not heard is taken away at its turn."""
        if not (listeners := sorted(self._listeners.get(of.name, ()), key=repr)):
            return
        if (of.name, asks) not in self._statements:
            self._statements[of.name, asks] = _copies(self._dialect, listeners, asks=asks)
        self._statements[of.name, asks].run(connection, its_id=of.number)

    def take_away_unheard(self, connection: Connection, n: int, names: Iterable[str | None]) -> bool:
        """Take away the copies that are the events of pass ``n`` and are not heard by now. ``names`` are those of its
        events. Answers whether there were any."""
        found = 0
        for name in sorted(self._listeners.keys() & names):
            if name not in self._unheard:
                listeners = sorted(self._listeners[name], key=repr)
                self._unheard[name] = Statement(_unheard(self._dialect, name, listeners))
            taken_away = self._unheard[name].run(connection, n=n).rowcount
            if taken_away:
                _NOTHING_THERE.run(connection, n=n, name=name)
            found += taken_away
        return found > 0


def _unheard(dialect: str, name: str, listeners: Sequence[Listener]) -> Delete:
    # Of whom it was told at once it is known that they hear it.
    waited = and_(in_pass(wave), wave.c.name == literal(name, ByCodePoint()), wave.c.past.is_(None))
    its = (wave.c.at, event.c.properties)
    heard = or_(
        *(
            _has_such_run(listener, _means(dialect, listener, *its))
            if listener.looks_at_runs
            else _means(dialect, listener, *its)
            for listener in listeners
        )
    )
    unheard = (
        select(wave.c.partition, wave.c.contact, wave.c.event)
        .select_from(wave.join(event, WAVE_EVENT).join(contact, WAVE_CONTACT))
        .where(waited, ~heard)
    )
    return delete(event).where(tuple_(event.c.partition, event.c.contact, event.c.id).in_(unheard))


def _has_such_run(listener: Listener, means: ColumnElement[bool]) -> ColumnElement[bool]:
    return is_there(run, *_run_of_contact(listener), means)


_NOTHING_THERE = Statement(
    update(wave)
    .values(event=null(), name=null(), nth=null())
    .where(
        in_pass(wave),
        wave.c.name == bindparam("name", type_=ByCodePoint()),
        wave.c.past.is_(None),
        ~is_there(
            event,
            event.c.partition == wave.c.partition,
            event.c.contact == wave.c.contact,
            event.c.id == wave.c.event,
        ),
    )
)


def _copies(dialect: str, listeners: Sequence[Listener], *, asks: bool) -> Statement:
    in_runs = [listener for listener in listeners if listener.looks_at_runs]
    of_all = [listener for listener in listeners if not listener.looks_at_runs]
    hearers: Any = _hearers(dialect, of_all) if asks else _everybody()
    if asks and in_runs:
        hearers = union(hearers, *(_hearing_runs(dialect, listener) for listener in in_runs))
    found = hearers.subquery("hearers")
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
            broadcast.c.received_at.label(RECEIVED_AT),
        ).select_from(found.join(broadcast, broadcast.c.id == _its_id)),
        one_each=True,
    )


def _looked_at() -> FromClause:
    """The broadcast, with each contact of the portions that are next."""
    portions = and_(broadcast_hearing.c.broadcast == broadcast.c.id, held(broadcast_hearing.c.partition))
    people = and_(
        contact.c.partition == broadcast_hearing.c.partition,
        contact.c.id > broadcast_hearing.c.reached,
        contact.c.id <= broadcast_hearing.c.portion,
    )
    return broadcast.join(broadcast_hearing, portions).join(contact, people)


def _everybody() -> Select[Any]:
    people = select(contact.c.partition, contact.c.id.label("contact"))
    return people.select_from(_looked_at()).where(broadcast.c.id == _its_id)


def _hearers(dialect: str, listeners: Sequence[Listener]) -> Select[Any]:
    """The contacts that have what a listener looks at, and those with older work: that may make them hear."""
    heard = or_(*(_means(dialect, listener, *_ITS) for listener in listeners)) if listeners else false()
    return _everybody().where(case((heard, true()), else_=has_older_work(broadcast.c.at)))


def _hearing_runs(dialect: str, listener: Listener) -> Select[Any]:
    """The contacts with a run of the journey that was started by what the listener looks at."""
    return (
        select(contact.c.partition, contact.c.id.label("contact"))
        .select_from(_looked_at().join(run, and_(*_run_of_contact(listener))))
        .where(broadcast.c.id == _its_id, _means(dialect, listener, *_ITS))
    )


def _run_of_contact(listener: Listener) -> tuple[ColumnElement[bool], ...]:
    """Whether a run of the contact is on in the journey that listens."""
    return (
        run.c.partition == contact.c.partition,
        run.c.contact == contact.c.id,
        run.c.status == constant(RunStatus.ACTIVE.value),
        run.c.journey == literal(listener.journey or "", ByCodePoint()),
    )


_ITS = (broadcast.c.at, broadcast.c.properties)


def _means(
    dialect: str, listener: Listener, at: ColumnElement[Any], properties: ColumnElement[Any]
) -> ColumnElement[bool]:
    """Whether the listener means the contact, by what the broadcast says that happened ``at`` that instant."""
    row = Row(
        partition=contact.c.partition,
        contact=contact.c.id,
        contact_table=contact,
        zone=func.coalesce(contact.c.timezone, literal(listener.timezone, ByCodePoint())),
        instant=at,
        event=properties,
        trigger=run.c.trigger if listener.looks_at_runs else None,
    )
    return predicate(Expression("", listener.ear.equality, BOOLEAN), row, dialect)


# How far they have come -----------------------------------------------------------------------------------------------

_heard = exists(
    select(literal_column("1")).where(
        broadcast_heard.c.partition == shard.c.partition, broadcast_heard.c.broadcast == _its_id
    )
)
_TO_HEAR = Statement(select(func.count()).select_from(shard).where(held(shard.c.partition), ~_heard))
_its_rows = and_(held(broadcast_hearing.c.partition), broadcast_hearing.c.broadcast == _its_id)


def _begin(dialect: str) -> Statement:
    last = select(func.max(contact.c.id)).where(contact.c.partition == shard.c.partition).scalar_subquery()
    nobody_yet: ColumnElement[int] = literal_column("0")
    into = (postgresql if dialect == "postgresql" else sqlite).insert(broadcast_hearing)
    begun = into.from_select(
        ["partition", "broadcast", "last", "reached", "portion"],
        select(shard.c.partition, _its_id, func.coalesce(last, nobody_yet), nobody_yet, nobody_yet).where(
            held(shard.c.partition), ~_heard
        ),
    )
    return Statement(begun.on_conflict_do_nothing())


_BEGIN = {dialect: _begin(dialect) for dialect in ("sqlite", "postgresql")}
_end_of_portion = (
    select(contact.c.id)
    .where(
        contact.c.partition == broadcast_hearing.c.partition,
        contact.c.id > broadcast_hearing.c.reached,
        contact.c.id <= broadcast_hearing.c.last,
    )
    .order_by(contact.c.id)
    .limit(literal_column("1"))
    .offset(bindparam("behind", type_=Integer()))
    .scalar_subquery()
)
_NEXT_PORTION = Statement(
    update(broadcast_hearing)
    .values(portion=func.coalesce(_end_of_portion, broadcast_hearing.c.last))
    .where(_its_rows)
)
_HEARD = Statement(
    insert(broadcast_heard).from_select(
        ["partition", "broadcast"],
        select(broadcast_hearing.c.partition, broadcast_hearing.c.broadcast).where(
            _its_rows, broadcast_hearing.c.portion >= broadcast_hearing.c.last
        ),
    )
)
# Also what older software, which tells a partition at once, has told meanwhile.
_OVER = Statement(
    delete(broadcast_hearing).where(
        _its_rows,
        exists(
            select(literal_column("1")).where(
                broadcast_heard.c.partition == broadcast_hearing.c.partition,
                broadcast_heard.c.broadcast == broadcast_hearing.c.broadcast,
            )
        ),
    )
)
_GO_ON = Statement(update(broadcast_hearing).values(reached=broadcast_hearing.c.portion).where(_its_rows))


def hear(connection: Connection, copies: Copies, of: Open, size: int, *, asks: bool = True) -> bool | None:
    """Give a copy of the broadcast to those who hear it (``asks`` as in ``Copies.tell``), of the next contacts, up to
    about ``size``, of the partitions that are held, and write down how far it has come there. Answers whether it has
    come to everybody by now who was there when it began; None where it had before."""
    its = {"its_id": of.number}
    partitions = int(_TO_HEAR.run(connection, **its).scalar_one())
    if not partitions:
        return None
    _OVER.run(connection, **its)
    _BEGIN[connection.dialect.name].run(connection, **its)
    _NEXT_PORTION.run(connection, **its, behind=-(-size // partitions) - 1)
    copies.tell(connection, of, asks=asks)
    _HEARD.run(connection, **its)
    through = _OVER.run(connection, **its).rowcount
    _GO_ON.run(connection, **its)
    return through >= partitions


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

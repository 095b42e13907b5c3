"""Who hears a broadcast: each of them gets a copy of it, an event of their own.

Whoever has something to be handled first may hear it after that, so they get their copy in any case; whether they hear
it is asked again when its turn has come, and a copy that nobody hears was never there: else it would hang on when it
was told whether it is one of the events at which conditions are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Delete,
    FromClause,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    false,
    func,
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

from runner.journey.broadcasts import Ear
from runner.journey.expression import Expression
from runner.journey.values import BOOLEAN
from runner.store.causes.announce import RECEIVED_AT, announcement
from runner.store.causes.broadcasts import Open
from runner.store.causes.older_work import has_older_work
from runner.store.held import held
from runner.store.passes.program import WAVE_CONTACT
from runner.store.passes.working import in_pass, wave
from runner.store.predicates import Row, predicate
from runner.store.presence import is_there
from runner.store.statement import Statement
from runner.store.tables import RunStatus, broadcast, broadcast_hearing, contact, event, run
from runner.store.types import ByCodePoint, constant

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
    its = (wave.c.at, wave.c.properties)
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
        .select_from(wave.join(contact, WAVE_CONTACT))
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

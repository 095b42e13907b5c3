"""Internal events that a pass has told, until their turn is known.

Most are what their contact does next: nothing else is due before them. Such an event goes straight into the next pass
and is stored as handled. To store it as one to be handled, find it again, and mark it, would cost three times as much.
The others are stored to be handled, and take their turn like any event that arrives.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Select,
    SmallInteger,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from runner.store.held import held
from runner.store.passes.standing import key_of, stands_for
from runner.store.passes.working import OF_EVENT, PASS, in_pass, told, wave
from runner.store.presence import asked_of_each, is_there
from runner.store.statement import Statement
from runner.store.tables import RunStatus, appointment, event, event_id_sequence, run
from runner.store.types import Instant, constant

ROUND = bindparam("round", type_=Integer())
"""Which round of telling it is: a round is over when what was told in it is stored."""

_now = bindparam("now", type_=Instant())
_late_before = bindparam("late_before", type_=Instant())
_EVENT = (
    "partition",
    "contact",
    "id",
    "name",
    "at",
    "received_at",
    "properties",
    "dedup_key",
    "pending",
    "caused_by",
    "nth",
)


@dataclass
class Telling:
    """What a connection has told: in which round it is, and how many rows of it are not stored yet. ``several``: of one
    contact there may be more than one; ``appointments``: some are of appointments, which may yet move; ``unwritten``:
    those of them whose events are to wait have not been written down as such."""

    round: int = 0
    count: int = 0
    several: bool = False
    appointments: bool = False
    unwritten: bool = False

    def note(self, rows: int, *, one_each: bool) -> None:
        self.several = self.several or bool(rows and (self.count or not one_each))
        self.count += rows

    def take_back(self, rows: int) -> None:
        self.count -= rows

    def over(self) -> None:
        self.round += 1
        self.count, self.several, self.appointments, self.unwritten = 0, False, False, False


_TELLING = "telling"


def telling(connection: Connection) -> Telling:
    """What ``connection`` has told; begun where it has told nothing yet."""
    found: Telling | None = connection.info.get(_TELLING)
    if found is None:
        found = connection.info[_TELLING] = Telling()
        _empty(connection)  # after an error nobody knows any more which rounds there have been
    return found


def unstored(connection: Connection) -> int:
    """How many events this connection has told, and not stored. None may be left when its transaction ends."""
    found: Telling | None = connection.info.get(_TELLING)
    return found.count if found else 0


_of_round = and_(told.c.n == ROUND, held(told.c.partition))


def _of_contact(rows: Any) -> ColumnElement[bool]:
    return and_(rows.c.partition == told.c.partition, rows.c.contact == told.c.contact)


def has_been_told(contact: FromClause) -> ColumnElement[bool]:
    """Whether the contact has an event of this round."""
    return is_there(
        told, told.c.n == ROUND, told.c.partition == contact.c.partition, told.c.contact == contact.c.id
    )


def _surely_next(several: bool, alone: bool) -> ColumnElement[bool]:
    """Whether nothing else of the contact comes before. ``several``: it may have been told more than one event;
    ``alone``: its appointments that are due have not been told yet."""
    other, waiting, timer, due = (
        told.alias("other"),
        event.alias("waiting"),
        run.alias("timer"),
        appointment.alias("due"),
    )
    timed = and_(timer.c.next_at <= told.c.at, timer.c.next_at >= _late_before)
    before = [
        is_there(
            timer,
            _of_contact(timer),
            timer.c.status == constant(RunStatus.ACTIVE.value),
            asked_of_each(timed),
        ),
        is_there(waiting, _of_contact(waiting), waiting.c.pending, asked_of_each(waiting.c.at <= told.c.at)),
    ]
    if several:
        before.append(
            is_there(other, other.c.n == told.c.n, _of_contact(other), other.c.place != told.c.place)
        )
    if alone:
        others = key_of(due) != told.c.key
        before.append(is_there(due, _of_contact(due), asked_of_each(and_(due.c.due_at <= _now, others))))
    return and_(told.c.at <= _now, *(~each for each in before))


def _latest(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """``column`` of the newest event of the contact."""
    return (
        select(column)
        .where(_of_contact(event))
        .order_by(event.c.id.desc())
        .limit(1)
        .correlate(told)
        .scalar_subquery()
    )


_number_before = func.coalesce(
    _latest(case((event.c.at == told.c.at, func.coalesce(event.c.nth, 0)), else_=literal_column("0"))), 0
)
_RECEIVED_AT = func.coalesce(told.c.received_at, told.c.at)
_newest = func.coalesce(_latest(event.c.id), 0)


def _numbered(place: ColumnElement[int]) -> ColumnElement[int]:
    """Which of its instant it is. What no run causes is in no circle."""
    caused = told.c.run.is_not(None)
    return cast(case((caused, _number_before + place), else_=literal_column("0")), SmallInteger())


@cache
def _take(dialect: str, *, several: bool, alone: bool) -> Statement:
    """Puts those that are surely next into the pass."""
    one = literal_column("1", BigInteger())
    identity: ColumnElement[Any] = told.c.place if dialect == "postgresql" else _newest + one
    return Statement(
        insert(wave).from_select(
            ["n", "partition", "contact", "at", "late", "event", "past", *OF_EVENT],
            select(
                PASS,
                told.c.partition,
                told.c.contact,
                told.c.at,
                literal_column("0"),
                identity,
                literal_column("1"),
                told.c.name,
                _numbered(one),
                told.c.properties,
                _RECEIVED_AT,
                told.c.key,
                told.c.run,
                null(),
            )
            .where(_of_round, _surely_next(several, alone))
            .limit(bindparam("size", type_=Integer())),
        )
    )


_taken = and_(wave.c.n == PASS, _of_contact(wave))
_handled_at_once = exists(select(literal_column("1")).select_from(wave).where(_taken))


def _stored(dialect: str, found: Select[Any], *, new: bool = False) -> Statement:
    """Stores what was not told before; ``new``: it has to be so."""
    into = (postgresql if dialect == "postgresql" else sqlite).insert(event).from_select(_EVENT, found)
    keys = ["partition", "contact", "dedup_key"]
    return Statement(into if new else into.on_conflict_do_nothing(index_elements=keys))


@cache
def _handled(dialect: str, *, new: bool = False) -> Statement:
    """Stores those that the pass has taken, which has nothing else yet."""
    found = select(
        wave.c.partition,
        wave.c.contact,
        wave.c.event,
        wave.c.name,
        wave.c.at,
        wave.c.received_at,
        wave.c.properties,
        wave.c.dedup_key,
        literal_column(_FALSE[dialect]),
        wave.c.caused_by,
        wave.c.nth,
    )
    return _stored(dialect, found.where(in_pass(wave)), new=new)


MANY = 100
"""From so many rows on it is quicker on PostgreSQL to take for granted that nothing was told before, and to do it again
where that was wrong, than to have it looked up for each: by a third of what storing them takes."""


def _store_taken(connection: Connection, taken: int, **named: Any) -> int:
    """Store what the pass has taken; answers how many were new."""
    dialect = connection.dialect.name
    if dialect == "postgresql" and taken >= MANY:
        with suppress(IntegrityError), connection.begin_nested():
            return _handled(dialect, new=True).run(connection, **named).rowcount
    return _handled(dialect).run(connection, **named).rowcount


_FALSE, _TRUE = {"postgresql": "false", "sqlite": "0"}, {"postgresql": "true", "sqlite": "1"}
# The pass has taken what was told before: it is not to be handled again.
_KNOWN = Statement(
    delete(wave).where(
        in_pass(wave),
        ~exists(
            select(literal_column("1")).where(
                event.c.partition == wave.c.partition,
                event.c.contact == wave.c.contact,
                event.c.id == wave.c.event,
            )
        ),
    )
)


@cache
def _to_be_handled(dialect: str, *, all_of_them: bool) -> Statement:
    """Stores the others, or all."""
    place = func.row_number().over(partition_by=(told.c.partition, told.c.contact), order_by=told.c.place)
    identity: ColumnElement[Any] = told.c.place if dialect == "postgresql" else _newest + place
    conditions = [_of_round]
    if not all_of_them:
        conditions.append(~_handled_at_once)
    found = select(
        told.c.partition,
        told.c.contact,
        identity,
        told.c.name,
        told.c.at,
        _RECEIVED_AT,
        told.c.properties,
        told.c.key,
        literal_column(_TRUE[dialect]),
        told.c.run,
        _numbered(place),
    )
    return _stored(dialect, found.where(*conditions).order_by(told.c.place))


def waiting(*conditions: ColumnElement[bool]) -> Statement:
    """Writes down of appointments that were told that their events wait to be handled."""
    return Statement(
        update(appointment)
        .values(told_at=appointment.c.due_at, due_at=None)
        .where(_of_round, stands_for(appointment, told), appointment.c.due_at.is_not(None), *conditions)
    )


_ALL_WAIT = waiting()
_OTHERS_WAIT = waiting(~_handled_at_once)


def take_told(
    connection: Connection,
    n: int,
    now: datetime,
    late_before: datetime,
    size: int,
    *,
    alone: bool = False,
) -> int:
    """Store what was told, and put into pass ``n``, which is empty, what surely comes next, for up to ``size``
    contacts. ``alone``: their appointments have not been told. Returns how many contacts that is."""
    now_telling, dialect = telling(connection), connection.dialect.name
    if not now_telling.count:
        return 0
    named = {"n": n, "round": now_telling.round, "now": now, "late_before": late_before, "size": size}
    taken = _take(dialect, several=now_telling.several, alone=alone).run(connection, **named).rowcount
    every = taken == now_telling.count
    if taken and _store_taken(connection, taken, **named) < taken:
        taken -= _KNOWN.run(connection, **named).rowcount
    if not every:
        _to_be_handled(dialect, all_of_them=not taken).run(connection, **named)
    if now_telling.unwritten and taken < now_telling.count:
        _OTHERS_WAIT.run(connection, **named)
    _end_round(connection, now_telling)
    return taken


def store_told(connection: Connection) -> None:
    """Store what was told, to be handled when it has its turn."""
    if unstored(connection):
        now_telling = telling(connection)
        statement = _to_be_handled(connection.dialect.name, all_of_them=True)
        statement.run(connection, round=now_telling.round)
        if now_telling.unwritten:
            _ALL_WAIT.run(connection, round=now_telling.round)
        _end_round(connection, now_telling)


def _end_round(connection: Connection, now_telling: Telling) -> None:
    _empty(connection)
    now_telling.over()


def _empty(connection: Connection) -> None:
    """SQLite keeps it in memory, and empties a table at once; PostgreSQL empties it at the end of a transaction."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"DELETE FROM {told.name}")


NEXT_PLACE = event_id_sequence.next_value()
"""On PostgreSQL an event has its id from the moment at which it is told."""

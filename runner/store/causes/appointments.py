"""Appointments: a contact's own timers, outside of any run.

Each kind computes by itself when time next concerns a contact, at every change that may move that instant. What is due
becomes an event on the contact's timeline, at its instant, and takes its turn there; an appointment that moves before
its event was handled takes the event back. So the one who handles such an event need not ask whether it still holds.

``due_at`` is what is to come, ``told_at`` the instant of an event that waits to be handled. Nearly always the event is
what its contact does next, and a pass handles it at once: then the appointment need not be written twice, and is moved
straight from what it was to what follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from runner.journey.reserved import CONSENT_CHANGED, DATE_REACHED, SEGMENT_DUE
from runner.store.causes.announce import Announcement, announcement
from runner.store.held import held
from runner.store.passes.standing import PREFIX, STANDS, key_of
from runner.store.passes.told import ROUND, telling, waiting
from runner.store.passes.working import in_pass, told, wave
from runner.store.presence import asked_of_each, is_there
from runner.store.statement import Statement
from runner.store.tables import appointment, event, shard
from runner.store.types import ByCodePoint, Instant, constant


class Kind(StrEnum):
    """What an appointment is about; ``name`` tells those of one kind and contact apart."""

    DATE = "date"  # a date trigger; its cause
    SEGMENT = "segment"  # time alone may turn membership; the segment
    CONSENT = "consent"  # a consent grows stale; topic and channel


EVENTS: dict[Kind, str] = {
    Kind.DATE: DATE_REACHED,
    Kind.SEGMENT: SEGMENT_DUE,
    Kind.CONSENT: CONSENT_CHANGED,
}
"""The event that a due appointment becomes. Its properties are those of the appointment."""
HEARD = frozenset(EVENTS.values())
ANY = "*"
"""The name of the appointment at which everything kept of a contact is read: history has come beside its timeline."""

APPOINTED = ("partition", "contact", "name", "due_at", "properties")
"""The columns of the rows that say when appointments are due. ``due_at`` is NULL where nothing is to come."""

_now = bindparam("now", type_=Instant())
_late_before = bindparam("late_before", type_=Instant())
_limit = bindparam("limit", type_=Integer())
_kind = bindparam("kind", type_=Text())
_name = bindparam("name", type_=Text())

# Made and moved -------------------------------------------------------------------------------------------------------


def appoint(dialect: str, kind: Kind, found: Select[Any]) -> Statement:
    """The statement that makes or moves the appointments of ``found``, which has the columns ``APPOINTED``.

    One that stands where it is found to be is left as it is. A column ``known`` may say of each whether there is one
    already; else it is looked up. Follow it by ``withdraw`` and ``tell_of_pass``.
    """
    rows = found.cte("appointed").prefix_with("MATERIALIZED")
    known = appointment.alias("known")
    is_known: ColumnElement[bool] = (
        rows.c.known
        if "known" in rows.c
        else is_there(
            known,
            known.c.partition == rows.c.partition,
            known.c.contact == rows.c.contact,
            known.c.kind == constant(kind.value),
            known.c.name == rows.c.name,
        )
    )
    stands_elsewhere = STANDS.is_distinct_from(rows.c.due_at)

    def made(*conditions: ColumnElement[bool]) -> Any:
        into = (postgresql if dialect == "postgresql" else sqlite).insert(appointment)
        return into.from_select(
            ["partition", "contact", "kind", "name", "due_at", "told_at", "properties"],
            select(
                rows.c.partition,
                rows.c.contact,
                constant(kind.value),
                rows.c.name,
                rows.c.due_at,
                cast(null(), Instant()),
                rows.c.properties,
            ).where(*conditions),
        )

    if dialect == "postgresql":
        # Nearly all are known: an INSERT that finds a conflict each time costs twice as much.
        moved = (
            update(appointment)
            .values(due_at=rows.c.due_at, told_at=None, properties=rows.c.properties)
            .where(
                appointment.c.partition == rows.c.partition,
                appointment.c.contact == rows.c.contact,
                appointment.c.kind == constant(kind.value),
                appointment.c.name == rows.c.name,
                stands_elsewhere,
            )
            .cte("appointed_anew")
        )
        return Statement(made(rows.c.due_at.is_not(None), ~is_known).add_cte(moved))
    new = made(or_(rows.c.due_at.is_not(None), is_known))
    return Statement(
        new.on_conflict_do_update(
            index_elements=["partition", "contact", "kind", "name"],
            set_={"due_at": new.excluded.due_at, "told_at": None, "properties": new.excluded.properties},
            where=STANDS.is_distinct_from(new.excluded.due_at),
        )
    )


_other = appointment.alias("other")


def _moved_away(key: ColumnElement[str], rows: Any) -> ColumnElement[bool]:
    """Whether ``rows`` (events with ``key``, stored or told) are of an appointment of a contact of the pass that stands
    there no longer."""
    of_pass = exists(
        select(literal_column("1")).where(
            in_pass(wave), wave.c.partition == rows.c.partition, wave.c.contact == rows.c.contact
        )
    )
    standing = exists(
        select(literal_column("1")).where(
            _other.c.partition == rows.c.partition,
            _other.c.contact == rows.c.contact,
            key == key_of(_other),
        )
    )
    return and_(
        of_pass,
        rows.c.name.in_([literal_column(f"'{name}'") for name in sorted(HEARD)]),
        func.substr(key, 1, len(PREFIX)) == literal_column(f"'{PREFIX}'"),
        ~standing,
    )


_WITHDRAW = Statement(delete(event).where(event.c.pending, _moved_away(event.c.dedup_key, event)))
_WITHDRAW_TOLD = Statement(delete(told).where(told.c.n == ROUND, _moved_away(told.c.key, told)))


def withdraw(connection: Connection, n: int) -> None:
    """Take back the events of appointments that have moved, of the contacts of pass ``n``."""
    _WITHDRAW.run(connection, n=n)
    now_telling = telling(connection)
    if now_telling.appointments:
        now_telling.take_back(_WITHDRAW_TOLD.run(connection, n=n, round=now_telling.round).rowcount)


@cache
def _settle(anew: tuple[str, ...]) -> Statement:
    others = [appointment.c.name.not_in([literal(name, ByCodePoint()) for name in anew])] if anew else []
    return Statement(
        update(appointment)
        .values(told_at=None, due_at=None)
        .where(
            in_pass(wave),
            wave.c.name.in_([literal_column(f"'{name}'") for name in sorted(HEARD)]),
            appointment.c.partition == wave.c.partition,
            appointment.c.contact == wave.c.contact,
            asked_of_each(wave.c.at >= STANDS),
            *others,
            key_of(appointment) == wave.c.dedup_key,
        )
    )


def settle(connection: Connection, n: int, *, anew: Sequence[str] = ()) -> None:
    """The appointments whose events pass ``n`` handles are over, but for those named ``anew``: they are to be appointed
    anew in any case, which says the same. Compute the next of their kind after this."""
    _settle(tuple(sorted(anew))).run(connection, n=n)


# Due ------------------------------------------------------------------------------------------------------------------


def _first_due(partition: Any) -> Select[Any]:
    """The first appointments of one partition that are due, in the order of ix_appointment_due."""
    due = appointment.alias("due")
    return (
        select(*due.c)
        .where(due.c.partition == partition, due.c.due_at.is_not(None), due.c.due_at <= _now)
        .order_by(due.c.due_at, due.c.contact, due.c.kind, due.c.name)
        .limit(_limit)
    )


def _told(due: Any) -> Select[Any]:
    """The events that the appointments ``due`` become, with what puts them in ``_ORDER``. One that is late comes after
    all else of its contact, now."""
    return select(
        due.c.partition,
        due.c.contact,
        cast(null(), BigInteger()).label("run"),
        case((due.c.due_at < _late_before, _now), else_=due.c.due_at).label("at"),
        case(
            {constant(kind.value): literal_column(f"'{name}'") for kind, name in EVENTS.items()},
            value=due.c.kind,
        ).label("name"),
        due.c.properties,
        key_of(due).label("key"),
        due.c.due_at,
        due.c.kind,
        due.c.name.label("appointed"),
    )


_ORDER = ("due_at", "kind", "appointed")
"""In which those of one contact are told. Those that are late all come now, and one may move the next: so it is the
order in which ``_first_due`` finds them, however many it finds at once."""


def _moved(due: Any) -> Statement:
    return Statement(
        update(appointment)
        .values(told_at=appointment.c.due_at, due_at=None)
        .where(
            appointment.c.partition == due.c.partition,
            appointment.c.contact == due.c.contact,
            appointment.c.kind == due.c.kind,
            appointment.c.name == due.c.name,
        )
    )


class _Told(NamedTuple):
    """How appointments that are due become events. ``most`` answers how many a contact has, at the most: several need
    ``announce``, which puts them in order; ``announce_each`` is for the rest. ``move`` writes down that their events
    wait, at once."""

    most: Statement
    announce: Announcement
    announce_each: Announcement
    move: Statement


def _telling(dialect: str, due: Any) -> _Told:
    each = select(func.count().label("count")).select_from(due).group_by(due.c.partition, due.c.contact)
    return _Told(
        most=Statement(select(func.max(each.subquery("each").c.count))),
        announce=announcement(dialect, _told(due), order=_ORDER),
        announce_each=announcement(dialect, _told(due), one_each=True),
        move=_moved(due),
    )


def _tell_first(dialect: str) -> _Told:
    if dialect == "postgresql":
        each = _first_due(shard.c.partition).lateral()
        due: Any = (
            select(each)
            .select_from(shard.join(each, true()))
            .where(held(shard.c.partition))
            .subquery("first")
        )
    else:
        due = _first_due(bindparam("partition", type_=Integer())).subquery("first")
    return _telling(dialect, due)


def _tell_of_pass(dialect: str) -> _Told:
    due = (
        select(*appointment.c)
        .select_from(
            wave.join(
                appointment,
                and_(
                    appointment.c.partition == wave.c.partition,
                    appointment.c.contact == wave.c.contact,
                    asked_of_each(appointment.c.due_at <= _now),
                ),
            )
        )
        .where(in_pass(wave))
        .subquery("first")
    )
    return _telling(dialect, due)


_TELL_FIRST = {dialect: _tell_first(dialect) for dialect in ("sqlite", "postgresql")}
_TELL_OF_PASS = {dialect: _tell_of_pass(dialect) for dialect in ("sqlite", "postgresql")}
_SOME_DUE = Statement(
    select(literal_column("1"))
    .select_from(
        shard.join(
            appointment,
            and_(
                appointment.c.partition == shard.c.partition,
                appointment.c.due_at.is_not(None),
                appointment.c.due_at <= _now,
            ),
        )
    )
    .where(held(shard.c.partition))
    .limit(literal_column("1"))
)


def _tell(connection: Connection, told: _Told, **named: Any) -> int:
    """Answers how many became events."""
    most = told.most.run(connection, **named).scalar()
    if most is None:
        return 0
    telling(connection).appointments = True
    return (told.announce if most > 1 else told.announce_each).run(connection, **named).rowcount


# What history sets anew beside the timeline has to find it so: else it may miss that it is to be set again.
_OF_HISTORY = f"{PREFIX}{Kind.SEGMENT}:{ANY}:"
_HISTORY_WAITS = waiting(func.substr(told.c.key, 1, len(_OF_HISTORY)) == literal_column(f"'{_OF_HISTORY}'"))


def tell_first(
    connection: Connection, partitions: Sequence[int], now: datetime, late_before: datetime, size: int
) -> bool:
    """Turn up to about ``size`` appointments that are due at ``now`` into events, those in front first; once a round of
    telling. Answers whether more may be due."""
    share = max(1, -(-size // len(partitions)))
    told = _TELL_FIRST[connection.dialect.name]
    named = {"now": now, "late_before": late_before, "limit": share}
    if not _some_due(connection, now):
        return False
    if connection.dialect.name == "postgresql":
        more = _tell(connection, told, **named) >= share
    else:
        each = [_tell(connection, told, partition=partition, **named) for partition in partitions]
        more = max(each) >= share
    now_telling = telling(connection)
    now_telling.unwritten = True
    _HISTORY_WAITS.run(connection, round=now_telling.round)
    return more


def tell_of_pass(connection: Connection, n: int, now: datetime, late_before: datetime) -> None:
    """Turn all appointments of the contacts of pass ``n`` that are due at ``now`` into events."""
    if _some_due(connection, now):
        due, named = _TELL_OF_PASS[connection.dialect.name], {"n": n, "now": now, "late_before": late_before}
        if _tell(connection, due, **named):
            due.move.run(connection, **named)


def _some_due(connection: Connection, now: datetime) -> bool:
    """Whether any appointment of the partitions that are held is due: a look at ix_appointment_due in each."""
    return _SOME_DUE.run(connection, now=now).first() is not None

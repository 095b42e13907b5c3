"""Schedules: how far each has come in each partition, and whom it fires for.

A row of ``firing`` is one schedule in one partition, and in one zone where the schedule goes by each contact's own
clock. It says when it fires next; the partition's lock makes that happen once. A firing is an event of every contact
for whom the audience holds. Of somebody who has other things to be handled before nobody knows that yet: such a contact
has the event in any case, and the audience is asked when it takes its turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)

from runner.journey.expression import Expression
from runner.journey.reserved import SCHEDULE_FIRED
from runner.store.causes.announce import announcement
from runner.store.held import held
from runner.store.insert import insert_new
from runner.store.local_time.wall_clock import Firing
from runner.store.passes.program import WAVE_CONTACT, ProgramSql
from runner.store.passes.working import in_pass, wave
from runner.store.predicates import Row, predicate
from runner.store.statement import Statement
from runner.store.tables import contact, event, firing, run, shard
from runner.store.types import (
    ByCodePoint,
    Instant,
    constant,
    from_microseconds,
    json_object,
    microseconds_of,
)

WHOLE = ""
"""The zone of the row that stands for a whole partition: of a schedule with one zone; else of the schedule itself."""

_now = bindparam("now", type_=Instant())
_at = bindparam("at", type_=Instant())
_partition = bindparam("partition", type_=Integer())
_cause = bindparam("cause", type_=Text())
_zone = bindparam("zone", type_=Text())
_reached = bindparam("reached", type_=BigInteger())
_last = bindparam("last", type_=BigInteger())


@dataclass(frozen=True, kw_only=True)
class Due:
    """A schedule that is due in a partition. ``nominal`` is None where it is only to be looked at, as of ``next_at``:
    it is new. ``reached`` is the last contact for whom it has fired this time."""

    partition: int
    cause: str
    zone: str
    next_at: datetime
    nominal: str | None
    reached: int


# How far they have come ----------------------------------------------------------------------------------------------


def begin_schedule(connection: Connection, cause: str, since: datetime) -> None:
    """Have the ticks begin with a schedule: it fires from ``since`` on. One that is known goes on as it is."""
    connection.execute(
        insert_new(connection, firing).from_select(
            ["partition", "cause", "zone", "since", "next_at", "reached"],
            select(
                shard.c.partition,
                bindparam("its_cause", cause, Text()),
                literal_column(f"'{WHOLE}'"),
                bindparam("its_since", since, Instant()),
                bindparam("its_since", since, Instant()),
                literal_column("0"),
            ).where(true()),
        )
    )


def known_schedules(connection: Connection) -> frozenset[str]:
    """The causes of all schedules that were begun."""
    return frozenset(connection.execute(select(firing.c.cause).distinct()).scalars())


def forget_schedule(connection: Connection, cause: str) -> None:
    connection.execute(delete(firing).where(firing.c.cause == cause))


def next_firings(connection: Connection) -> datetime | None:
    """When the first of all schedules fires, or is looked at."""
    found: datetime | None = connection.execute(select(func.min(firing.c.next_at))).scalar()
    return found


_DUE = Statement(
    select(
        firing.c.partition,
        firing.c.cause,
        firing.c.zone,
        microseconds_of(firing.c.next_at),
        firing.c.nominal,
        firing.c.reached,
    )
    .where(held(firing.c.partition), firing.c.next_at <= _now)
    .order_by(firing.c.next_at, firing.c.cause, firing.c.zone, firing.c.partition)
)


def due_schedules(connection: Connection, now: datetime) -> tuple[Due, ...]:
    """The schedules that are due at ``now`` in the partitions that are held, in order (ix_firing_next)."""
    return tuple(
        Due(
            partition=partition,
            cause=cause,
            zone=zone,
            next_at=from_microseconds(next_at),
            nominal=nominal,
            reached=reached,
        )
        for partition, cause, zone, next_at, nominal, reached in _DUE.run(connection, now=now)
    )


_its_row = (firing.c.partition == _partition, firing.c.cause == _cause, firing.c.zone == _zone)
_NEXT = Statement(
    update(firing)
    .values(
        next_at=bindparam("next_at", type_=Instant()),
        nominal=bindparam("nominal", type_=Text()),
        reached=_reached,
    )
    .where(*_its_row)
)


def plan(connection: Connection, due: Due, upcoming: Firing | None, *, reached: int = 0) -> None:
    """Write down when a schedule fires next, and for whom it has done so; None is never again."""
    _NEXT.run(
        connection,
        partition=due.partition,
        cause=due.cause,
        zone=due.zone,
        next_at=upcoming.at if upcoming else None,
        nominal=upcoming.nominal if upcoming else None,
        reached=reached,
    )


def plan_in_zone(
    connection: Connection, partition: int, cause: str, zone: str, since: datetime, upcoming: Firing | None
) -> None:
    """The same for a zone that the schedule does not know in this partition yet."""
    connection.execute(
        insert_new(connection, firing),
        {
            "partition": partition,
            "cause": cause,
            "zone": zone,
            "since": since,
            "next_at": upcoming.at if upcoming else None,
            "nominal": upcoming.nominal if upcoming else None,
            "reached": 0,
        },
    )


# Zones ---------------------------------------------------------------------------------------------------------------


def zones_of_partition(connection: Connection, partition: int) -> tuple[str | None, ...]:
    """The zones in which the contacts of a partition live, from one to the next in ix_contact_timezone; None where
    somebody has none."""
    found: list[str | None] = []
    lives = select(contact.c.timezone).where(contact.c.partition == partition)
    if connection.execute(lives.where(contact.c.timezone.is_(None)).limit(1)).first() is not None:
        found.append(None)
    zone = ""
    while True:
        following = lives.where(contact.c.timezone > zone).order_by(contact.c.timezone).limit(1)
        name = connection.execute(following).scalar()
        if name is None:
            return tuple(found)
        found.append(name)
        zone = name


def _zones_of_pass(names: Iterable[str]) -> Statement:
    zone = func.coalesce(contact.c.timezone, bindparam("timezone", type_=ByCodePoint()))
    return Statement(
        select(wave.c.partition, zone, microseconds_of(func.min(wave.c.at, type_=Instant())))
        .select_from(wave.join(contact, WAVE_CONTACT))
        .where(in_pass(wave), wave.c.name.in_([literal_column(f"'{name}'") for name in names]))
        .group_by(wave.c.partition, zone)
    )


_ZONES_OF_PASS: dict[frozenset[str], Statement] = {}


def zones_of_pass(
    connection: Connection, n: int, names: frozenset[str], timezone: str
) -> tuple[tuple[int, str, datetime], ...]:
    """Partition, zone and earliest instant of the contacts that have one of these events in pass ``n``."""
    statement = _ZONES_OF_PASS.setdefault(names, _zones_of_pass(sorted(names)))
    rows = statement.run(connection, n=n, timezone=timezone)
    return tuple((partition, zone, from_microseconds(at)) for partition, zone, at in rows)


_KNOWN_ZONES = Statement(
    select(firing.c.partition, firing.c.zone, microseconds_of(firing.c.since)).where(
        held(firing.c.partition), firing.c.cause == _cause
    )
)


def zones_of_schedule(connection: Connection, cause: str) -> Mapping[tuple[int, str], datetime]:
    """Since when a schedule fires, by partition and zone, in the partitions that are held."""
    rows = _KNOWN_ZONES.run(connection, cause=cause)
    return {(partition, zone): from_microseconds(since) for partition, zone, since in rows}


# Whom it fires for ---------------------------------------------------------------------------------------------------

_in_partition = contact.c.partition == _partition


class Whom(StrEnum):
    """For which contacts of a partition the row of a schedule stands."""

    ALL = "all"
    ZONE = "zone"  # those who live in its zone
    DEFAULT = "default"  # the same of the catalog's zone, in which those live who have none


_WHERE: Mapping[Whom, ColumnElement[bool]] = {
    Whom.ALL: true(),
    Whom.ZONE: contact.c.timezone == _zone,
    # By coalesce: nearly everybody lives there, and an index on zones would be no help.
    Whom.DEFAULT: func.coalesce(contact.c.timezone, _zone) == _zone,
}


def _portion(where: ColumnElement[bool]) -> Statement:
    ids = (
        select(contact.c.id)
        .where(_in_partition, where, contact.c.id > _reached)
        .order_by(contact.c.id)
        .limit(bindparam("limit", type_=Integer()))
        .subquery()
    )
    return Statement(select(func.count(), func.max(ids.c.id)))


_PORTIONS = {whom: _portion(where) for whom, where in _WHERE.items()}


def portion(connection: Connection, due: Due, whom: Whom, size: int) -> tuple[int, int]:
    """How many contacts are next, up to ``size``, and the last of them."""
    statement = _PORTIONS[whom]
    count, last = statement.run(
        connection, partition=due.partition, zone=due.zone, reached=due.reached, limit=size
    ).one()
    return int(count), int(last or 0)


def fire(
    sql: ProgramSql,
    cause: str,
    audience: Expression | None,
    connection: Connection,
    due: Due,
    whom: Whom,
    *,
    last: int,
    at: datetime,
) -> int:
    """Tell the contacts behind ``due.reached``, up to ``last``, that the schedule fires. ``at`` is the instant that it
    has on their timeline. Returns how many are told."""

    def build() -> Statement:
        return announcement(sql.dialect, _fired(sql, _WHERE[whom], audience), one_each=True)

    return (
        sql.once(("fire", cause, whom), build)
        .run(
            connection,
            partition=due.partition,
            zone=due.zone,
            reached=due.reached,
            last=last,
            at=at,
            fires_at=due.next_at,
            cause=cause,
            journey=sql.program.journey.name,
            nominal=due.nominal,
        )
        .rowcount
    )


def _fired(sql: ProgramSql, where: ColumnElement[bool], audience: Expression | None) -> Select[Any]:
    at = cast(_at, Instant())
    conditions = [
        _in_partition,
        where,
        contact.c.id > _reached,
        contact.c.id <= _last,
    ]
    if audience is not None:
        row = Row(
            partition=contact.c.partition,
            contact=contact.c.id,
            contact_table=contact,
            zone=sql.zone,
            instant=at,
        )
        conditions.append(case((or_(*_busy(at)), true()), else_=predicate(audience, row, sql.dialect)))
    return (
        select(
            contact.c.partition,
            contact.c.id.label("contact"),
            cast(null(), BigInteger()).label("run"),
            at.label("at"),
            literal_column(f"'{SCHEDULE_FIRED}'").label("name"),
            _properties().label("properties"),
            _key().label("key"),
        )
        .select_from(contact)
        .where(*conditions)
    )


def _busy(at: ColumnElement[Any]) -> tuple[ColumnElement[bool], ...]:
    """Whether something of the contact is to be handled before that instant, which the audience may hang on."""
    waiting, timer = event.alias("waiting"), run.alias("timer")
    return (
        exists(
            select(literal_column("1")).where(
                waiting.c.partition == contact.c.partition,
                waiting.c.contact == contact.c.id,
                waiting.c.pending,
                waiting.c.at <= at,
            )
        ),
        exists(
            select(literal_column("1")).where(
                timer.c.partition == contact.c.partition,
                timer.c.contact == contact.c.id,
                timer.c.status == constant("active"),
                timer.c.next_at.is_not(None),
                timer.c.next_at <= at,
            )
        ),
    )


def _text(name: str) -> ColumnElement[str]:
    return cast(bindparam(name, type_=Text()), Text())


def _properties() -> ColumnElement[Any]:
    fires_at = microseconds_of(cast(bindparam("fires_at", type_=Instant()), Instant()))
    return json_object(
        constant("journey"),
        _text("journey"),
        constant("at"),
        func.journeys_datetime_text(fires_at, type_=Text()),
        constant("cause"),
        _text("cause"),
        constant("zone"),
        _text("zone"),
        constant("entry"),
        literal_column("'schedule:'") + _text("nominal"),
    )


def _key() -> ColumnElement[str]:
    """A local time of a zone fires once."""
    separator: ColumnElement[str] = literal_column("' '")
    key: ColumnElement[str] = (
        literal_column("'schedule:'")
        + _text("cause")
        + separator
        + _text("zone")
        + separator
        + _text("nominal")
    )
    return key


def fire_in_pass(
    sql: ProgramSql,
    cause: str,
    connection: Connection,
    n: int,
    zone: str,
    fired: Firing,
    names: Sequence[str],
) -> int:
    """Tell those who have come into ``zone`` by one of these events of pass ``n``, before it fires there, that it does.
    Whoever was told already is not told again."""

    def build() -> Statement:
        at = cast(_at, Instant())
        found = (
            select(
                wave.c.partition,
                wave.c.contact,
                cast(null(), BigInteger()).label("run"),
                at.label("at"),
                literal_column(f"'{SCHEDULE_FIRED}'").label("name"),
                _properties().label("properties"),
                _key().label("key"),
            )
            .select_from(wave.join(contact, WAVE_CONTACT))
            .where(
                in_pass(wave),
                wave.c.name.in_([literal_column(f"'{name}'") for name in names]),
                wave.c.at < at,
                sql.zone == _zone,
            )
        )
        return announcement(sql.dialect, found, one_each=True)

    return (
        sql.once(("fire in pass", cause), build)
        .run(
            connection,
            n=n,
            zone=zone,
            at=fired.at,
            fires_at=fired.at,
            cause=cause,
            journey=sql.program.journey.name,
            nominal=fired.nominal,
        )
        .rowcount
    )

"""Firings: whom a schedule fires for.

A firing is an event of every contact for whom the audience holds. Of somebody who has other things to be handled before
nobody knows that yet: such a contact has the event in any case, and the audience is asked when it takes its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    null,
    select,
    true,
    update,
)

from runner.journey.expression import Expression
from runner.journey.expression.literals import datetime_text
from runner.journey.reserved import SCHEDULE_FIRED
from runner.store.causes.announce import announcement
from runner.store.causes.older_work import has_older_work
from runner.store.causes.schedules import Due, its_rows, plan
from runner.store.local_time.wall_clock import Firing
from runner.store.passes.program import WAVE_CONTACT, ProgramSql
from runner.store.passes.working import in_pass, wave
from runner.store.predicates import Row, predicate
from runner.store.statement import Statement
from runner.store.tables import contact, firing
from runner.store.types import Instant, Json, constant

_at = bindparam("at", type_=Instant())
_zone = bindparam("zone", type_=Text())
_limit = bindparam("limit", type_=Integer())
_partition = bindparam("partition", type_=Integer())
_reached = bindparam("reached", type_=BigInteger())


class Whom(StrEnum):
    """For which contacts of a partition the row of a schedule stands."""

    ALL = "all"
    ZONE = "zone"  # those who live in its zone
    DEFAULT = "default"  # the same of the catalog's zone, in which those live who have none


_WHERE: Mapping[Whom, Callable[[Any], ColumnElement[bool]]] = {
    Whom.ALL: lambda _people: true(),
    Whom.ZONE: lambda people: people.c.timezone == _zone,
    # By coalesce: nearly everybody lives there, and an index on zones would be no help.
    Whom.DEFAULT: lambda people: func.coalesce(people.c.timezone, _zone) == _zone,
}


def _portion(whom: Whom, partition: Any, reached: Any) -> Select[Any]:
    """How many contacts of a partition are next, up to a limit, and the last of them."""
    there = contact.alias("there")
    ids = (
        select(there.c.id)
        .where(there.c.partition == partition, _WHERE[whom](there), there.c.id > reached)
        .order_by(there.c.id)
        .limit(_limit)
        .correlate_except(there)
        .subquery("ids")
    )
    found = select(func.count().label("count"), func.max(ids.c.id).label("last"))
    return found.select_from(ids).correlate_except(ids)


def _portions(whom: Whom) -> FromClause:
    """The same for each row of ``firing`` (PostgreSQL)."""
    return _portion(whom, firing.c.partition, firing.c.reached).lateral("portion")


def fire(
    sql: ProgramSql,
    audience: Expression | None,
    connection: Connection,
    due: Due,
    whom: Whom,
    *,
    limit: int,
    at: datetime | None,
    following: Firing | None,
) -> int:
    """Tell the next contacts, up to ``limit`` in each partition, that the schedule fires, and write down how far it has
    come; where these were the last, that it fires next at ``following``. ``at`` is the instant that it has on their
    timeline; None tells nobody. Answers how many contacts it was looked at for."""
    dialect = sql.dialect
    named = {
        **due.named,
        "limit": limit,
        "reached": due.reached,
        "next_at": following.at if following else None,
        "following": following.nominal if following else None,
    }
    count = 0
    if dialect == "sqlite":
        count, last = _PORTION[whom].run(connection, **named).one()
        named["last"] = last
    if at is not None and (count or dialect == "postgresql"):
        announce = sql.once(
            ("fire", due.cause, whom, audience is not None),
            lambda: announcement(dialect, _fired(sql, whom, audience), one_each=True),
        )
        told = _told(sql, due.cause, due.zone, due.next_at, due.nominal)
        announce.run(connection, **named, **told, at=at)
    if dialect == "postgresql":
        return sum(each for (each,) in _COME[whom].run(connection, **named))
    if count < limit:
        plan(connection, due, following)
    else:
        _REACHED.run(connection, **named)
    return int(count)


_PORTION = {whom: Statement(_portion(whom, _partition, _reached)) for whom in Whom}
_REACHED = Statement(
    update(firing).values(reached=bindparam("last", type_=BigInteger())).where(*its_rows("sqlite"))
)


def _come(whom: Whom) -> Statement:
    """Writes down how far a schedule has come in each partition, and answers for how many contacts (PostgreSQL)."""
    each = _portions(whom)
    come = (
        select(firing.c.partition, each.c.count, each.c.last)
        .select_from(firing.join(each, true()))
        .where(*its_rows("postgresql"))
        .subquery("come")
    )
    through = come.c.count < _limit
    return Statement(
        update(firing)
        .values(
            next_at=case((through, bindparam("next_at", type_=Instant())), else_=firing.c.next_at),
            nominal=case((through, bindparam("following", type_=Text())), else_=firing.c.nominal),
            reached=case((through, constant(0)), else_=come.c.last),
        )
        .where(firing.c.partition == come.c.partition, *its_rows("postgresql"))
        .returning(come.c.count)
    )


_COME = {whom: _come(whom) for whom in Whom}


def _fired(sql: ProgramSql, whom: Whom, audience: Expression | None) -> Select[Any]:
    at = cast(_at, Instant())
    if sql.dialect == "postgresql":
        each = _portions(whom)
        theirs = and_(
            contact.c.partition == firing.c.partition,
            contact.c.id > firing.c.reached,
            contact.c.id <= each.c.last,
        )
        people: Any = firing.join(each, true()).join(contact, theirs)
        conditions = [*its_rows("postgresql")]
    else:
        people = contact
        last = bindparam("last", type_=BigInteger())
        conditions = [contact.c.partition == _partition, contact.c.id > _reached, contact.c.id <= last]
    conditions.append(_WHERE[whom](contact))
    if audience is not None:
        row = Row(
            partition=contact.c.partition,
            contact=contact.c.id,
            contact_table=contact,
            zone=sql.zone,
            instant=at,
        )
        conditions.append(case((predicate(audience, row, sql.dialect), true()), else_=has_older_work(at)))
    return (
        select(
            contact.c.partition,
            contact.c.id.label("contact"),
            cast(null(), BigInteger()).label("run"),
            at.label("at"),
            literal_column(f"'{SCHEDULE_FIRED}'").label("name"),
            _PROPERTIES.label("properties"),
            _KEY.label("key"),
        )
        .select_from(people)
        .where(*conditions)
    )


_PROPERTIES = bindparam("properties", type_=Json())
_KEY = cast(bindparam("key", type_=Text()), Text())


def _told(
    sql: ProgramSql, cause: str, zone: str, fires_at: datetime, nominal: str | None
) -> Mapping[str, object]:
    """What an event says of a firing, and its key: a local time of a zone fires once."""
    return {
        "properties": {
            "journey": sql.program.journey.name,
            "at": datetime_text(fires_at),
            "cause": cause,
            "zone": zone,
            "entry": f"schedule:{nominal}",
        },
        "key": f"schedule:{cause} {zone} {nominal}",
    }


def fire_in_pass(
    sql: ProgramSql,
    cause: str,
    connection: Connection,
    n: int,
    zone: str,
    fired: Firing,
    names: Sequence[str],
) -> int:
    """Tell those who have come into ``zone`` by one of these events of pass ``n``, no later than it fires there, that
    it does. Whoever was told already is not told again."""

    def build() -> Statement:
        at = cast(_at, Instant())
        found = (
            select(
                wave.c.partition,
                wave.c.contact,
                cast(null(), BigInteger()).label("run"),
                at.label("at"),
                literal_column(f"'{SCHEDULE_FIRED}'").label("name"),
                _PROPERTIES.label("properties"),
                _KEY.label("key"),
            )
            .select_from(wave.join(contact, WAVE_CONTACT))
            .where(
                in_pass(wave),
                wave.c.name.in_([literal_column(f"'{name}'") for name in names]),
                wave.c.at <= at,
                sql.zone == _zone,
            )
        )
        return announcement(sql.dialect, found, one_each=True)

    return (
        sql.once(("fire in pass", cause), build)
        .run(connection, n=n, zone=zone, at=fired.at, **_told(sql, cause, zone, fired.at, fired.nominal))
        .rowcount
    )

"""Who is in the segments that journeys are triggered by.

A segment is read for a contact at each of its events, but for those that tell of a segment, and at the turns of its
``refresh`` where time alone may have changed it since. What has changed is written down with its date and told as an
event of its own.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    insert,
    literal,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from runner.journey.expression import Expression, turn_problem
from runner.journey.reserved import SEGMENT_ENTERED, SEGMENT_LEFT
from runner.store.causes.announce import announcement
from runner.store.causes.appointments import Kind, appoint
from runner.store.causes.attributes import json_text_of
from runner.store.passes.program import WAVE_CONTACT
from runner.store.passes.working import PASS, in_pass, turned, wave
from runner.store.predicates import Row, next_turn, predicate
from runner.store.statement import Statement
from runner.store.tables import contact, event, membership
from runner.store.types import ByCodePoint, constant, instant_of, json_object, microseconds_of

Sql = ColumnElement[Any]


TELLING = frozenset({SEGMENT_ENTERED, SEGMENT_LEFT})
"""The events that tell of a segment."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A segment whose members are kept. ``key`` tells its definitions apart: another one is another segment.

    ``hears`` are the events that can change it, None for any but those that tell of a segment. ``refresh`` is in
    microseconds, ``timezone`` stands in for a missing one.
    """

    key: str
    name: str = field(compare=False)
    when: Expression = field(compare=False)
    refresh: int = field(compare=False)
    timezone: str = field(compare=False)
    hears: frozenset[str] | None = field(compare=False, default=None)

    @property
    def begun(self) -> str:
        """The name under which it is known that it was read for everybody."""
        return f"segment:{self.key}"

    @property
    def deaf(self) -> frozenset[str]:
        """The events at which it is not read: when they were told, it was read at the same instant."""
        return TELLING - self.when.reads.events if self.hears is None else frozenset()

    def concerned(self, events: Set[str]) -> bool:
        """Whether one of the events may change who is in it."""
        return bool(events - self.deaf) if self.hears is None else not self.hears.isdisjoint(events)

    @property
    def turns(self) -> bool:
        """Whether time alone can change who is in it."""
        return self.when.reads.time


def _row(kept: Kept) -> Row:
    return Row(
        partition=wave.c.partition,
        contact=wave.c.contact,
        contact_table=contact,
        zone=func.coalesce(contact.c.timezone, literal(kept.timezone, ByCodePoint())),
        instant=wave.c.at,
    )


def _not_deaf(kept: Kept) -> list[ColumnElement[bool]]:
    names: list[Sql] = [literal_column(f"'{name}'") for name in sorted(kept.deaf)]
    return [wave.c.name.not_in(names)] if names else []


def _its_membership(kept: Kept, rows: Any) -> ColumnElement[bool]:
    return and_(
        membership.c.partition == rows.c.partition,
        membership.c.contact == rows.c.contact,
        membership.c.segment == literal(kept.key, ByCodePoint()),
    )


# Read at events -----------------------------------------------------------------------------------------------------


@cache
def _turned(dialect: str, kept: Kept) -> Statement:
    """Collects whom the events of a pass have brought in or out."""
    one: Sql = literal_column("1")
    none: Sql = literal_column("0")
    found = (
        select(
            wave.c.partition,
            wave.c.contact,
            wave.c.at,
            wave.c.event,
            wave.c.caused_by.label("run"),
            case((wave.c.silent, one), else_=none).label("silent"),
            case((predicate(kept.when, _row(kept), dialect), one), else_=none).label("holds"),
            case((membership.c.inside, one), else_=none).label("inside"),
        )
        .select_from(wave.join(contact, WAVE_CONTACT).outerjoin(membership, _its_membership(kept, wave)))
        .where(in_pass(wave), *_not_deaf(kept))
        .suffix_with("OFFSET 0", dialect="postgresql")
        .subquery()
    )
    return Statement(
        insert(turned).from_select(
            ["n", "segment", "partition", "contact", "at", "event", "run", "holds", "silent"],
            select(
                PASS,
                literal(kept.key, ByCodePoint()),
                found.c.partition,
                found.c.contact,
                found.c.at,
                found.c.event,
                found.c.run,
                found.c.holds,
                found.c.silent,
            ).where(found.c.holds != found.c.inside),
        )
    )


def _of_turned(kept: Kept) -> ColumnElement[bool]:
    return and_(in_pass(turned), turned.c.segment == literal(kept.key, ByCodePoint()))


def _into_membership(dialect: str, found: Select[Any]) -> Statement:
    into = (postgresql if dialect == "postgresql" else sqlite).insert(membership)
    made = into.from_select(["partition", "contact", "segment", "since", "inside"], found)
    return Statement(
        made.on_conflict_do_update(
            index_elements=["partition", "contact", "segment"],
            set_={"since": made.excluded.since, "inside": made.excluded.inside},
        )
    )


@cache
def _written(dialect: str, kept: Kept) -> Statement:
    return _into_membership(
        dialect,
        select(
            turned.c.partition,
            turned.c.contact,
            turned.c.segment,
            turned.c.at,
            turned.c.holds == literal_column("1"),
        ).where(_of_turned(kept)),
    )


@cache
def _told(dialect: str, kept: Kept) -> Statement:
    inside = turned.c.holds == literal_column("1")
    name = case((inside, literal_column(f"'{SEGMENT_ENTERED}'")), else_=literal_column(f"'{SEGMENT_LEFT}'"))
    return announcement(
        dialect,
        select(
            turned.c.partition,
            turned.c.contact,
            turned.c.run,
            turned.c.at,
            name.label("name"),
            _properties(kept, dialect).label("properties"),
            (literal(f"segment:{kept.key}:", Text()) + cast(turned.c.event, Text())).label("key"),
        )
        .select_from(turned)
        .where(_of_turned(kept), turned.c.silent == literal_column("0")),
        one_each=True,
    )


def _properties(kept: Kept, dialect: str) -> Sql:
    return json_object(literal("segment", Text()), json_text_of(literal(kept.name, Text()), dialect))


def read_segments(connection: Connection, n: int, segments: Sequence[Kept], events: Set[str]) -> bool:
    """Read the segments that the ``events`` of pass ``n`` may change for their contacts, and tell what changed. Answers
    whether appointments may have moved."""
    dialect = connection.dialect.name
    for kept in segments:
        if not kept.concerned(events):
            continue
        if _turned(dialect, kept).run(connection, n=n).rowcount:
            _written(dialect, kept).run(connection, n=n)
            _told(dialect, kept).run(connection, n=n)
        if kept.turns:
            _appointed(dialect, kept).run(connection, n=n)
    return any(kept.turns and kept.concerned(events) for kept in segments)


# Turned by time -----------------------------------------------------------------------------------------------------


@cache
def _appointed(dialect: str, kept: Kept, *, all_contacts: bool = False) -> Statement:
    """Makes the appointments at which the segment is next to be read for the contacts of a pass: those who have an
    event in it. Whoever is here for a timer has yet to take the event by which the segment is read."""
    return appoint(
        dialect,
        Kind.SEGMENT,
        select(
            wave.c.partition,
            wave.c.contact,
            literal(kept.key, ByCodePoint()).label("name"),
            _next_refresh(dialect, kept).label("due_at"),
            _properties(kept, dialect).label("properties"),
        )
        .select_from(wave.join(contact, WAVE_CONTACT))
        .where(in_pass(wave), *([] if all_contacts else [wave.c.event.is_not(None), *_not_deaf(kept)])),
    )


def _next_refresh(dialect: str, kept: Kept) -> Sql:
    """The first refresh at or after the next turn; the very next one where turns cannot be computed."""
    every = constant(kept.refresh)
    if turn_problem(kept.when) is not None:
        now = microseconds_of(wave.c.at)
        return instant_of((_whole(now, every) + literal_column("1", BigInteger())) * every)
    turn = next_turn(kept.when, _row(kept), dialect)
    assert turn is not None
    before = microseconds_of(turn) + every - literal_column("1", BigInteger())
    return instant_of(_whole(before, every) * every)


def _whole(microseconds: Sql, every: Sql) -> Sql:
    """How many whole turns of ``every`` lie before an instant; none of them is before 1970."""
    return microseconds.op("/", precedence=8, return_type=BigInteger())(every)


# Of everybody -------------------------------------------------------------------------------------------------------


@cache
def _begun(dialect: str, kept: Kept, *, newcomers: bool) -> Statement:
    return _into_membership(
        dialect,
        select(
            wave.c.partition,
            wave.c.contact,
            literal(kept.key, ByCodePoint()),
            wave.c.at,
            predicate(kept.when, _row(kept), dialect),
        )
        .select_from(wave.join(contact, WAVE_CONTACT).outerjoin(membership, _its_membership(kept, wave)))
        .where(
            in_pass(wave),
            # Who is not in it needs no row, but to be taken out.
            or_(predicate(kept.when, _row(kept), dialect), membership.c.inside),
            *([] if newcomers else [not_(_nothing_handled())]),
        ),
    )


def _nothing_handled() -> ColumnElement[bool]:
    """Whether a contact of a pass is one of whom nothing has been handled yet, and something waits."""
    of_contact = and_(event.c.partition == wave.c.partition, event.c.contact == wave.c.contact)
    return and_(
        exists().where(of_contact, event.c.pending),
        not_(exists().where(of_contact, not_(event.c.pending))),
    )


def begin_segment(connection: Connection, n: int, kept: Kept, *, newcomers: bool) -> None:
    """Write down who of the contacts of pass ``n`` is in the segment, as of their instants there, and tell nobody.

    ``newcomers``: those as well of whom nothing has been handled yet. Else they come into it by their first event, also
    where that came between an ``apply`` and the first look."""
    dialect = connection.dialect.name
    _begun(dialect, kept, newcomers=newcomers).run(connection, n=n)
    if kept.turns:
        _appointed(dialect, kept, all_contacts=True).run(connection, n=n)

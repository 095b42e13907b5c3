"""Who may enter a journey: whom its triggers mean, the run that is on already, and the time since the last entry."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ClauseElement,
    Column,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
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
)
from sqlalchemy.sql.visitors import iterate

from runner.journey.duration import Duration
from runner.journey.model import Again, Journey, Reentry
from runner.journey.model.triggers import AttributeTrigger, ConsentTrigger, SegmentTrigger, Trigger
from runner.journey.reserved import EXISTING, TIMED
from runner.store.passes.holdouts import let_in
from runner.store.passes.program import WAVE_CONTACT, ProgramSql
from runner.store.passes.working import PASS, entering, in_pass, wave
from runner.store.predicates import Row, predicate, text_value
from runner.store.presence import is_there
from runner.store.statement import Statement
from runner.store.tables import RunStatus, contact, run, shard
from runner.store.types import ByCodePoint, Instant, constant, json_text, shifted

_EVENT_FLOOR = bindparam("event_floor", type_=Instant())
_SINCE = bindparam("since", type_=Instant())
_RECEIVED_SINCE = bindparam("received_since", type_=Instant())


@dataclass(frozen=True, kw_only=True)
class Floors:
    """What starts nothing: what was received before ``received_since``, or happened before ``event``. A ramp begins at
    ``since``, when the journey was applied."""

    since: datetime
    received_since: datetime
    event: datetime

    @property
    def named(self) -> dict[str, datetime]:
        """The parameters of statements over ``Entrants``."""
        return {"since": self.since, "received_since": self.received_since, "event_floor": self.event}


@dataclass(frozen=True, kw_only=True)
class Entrants:
    """Those whose event of a pass lets them enter a version, or restarts or refreshes the run that is on: a row each of
    ``source`` (the wave and its contact) that fulfils ``conditions``. ``per`` is the value that tells runs
    of a contact apart, ``active`` the run that is on for it, if any."""

    source: FromClause
    conditions: tuple[ColumnElement[bool], ...]
    per: ColumnElement[str]
    active: ColumnElement[Any]


def entrants(sql: ProgramSql) -> Entrants:
    """Who may enter; of colleagues that count as one, all of them."""
    journey = sql.program.journey
    row = sql.row(wave, with_run=False, with_event=True)
    # The event that may start a run is what `trigger` will be in it: `entry.per` reads it so.
    per_row = replace(row, trigger=wave.c.properties)
    per: ColumnElement[str] = literal("", ByCodePoint())
    if journey.entry.per is not None:
        per = func.journeys_key(text_value(journey.entry.per, per_row, sql.dialect), type_=ByCodePoint())
    on = run.alias("on")
    its_run = (
        on.c.partition == wave.c.partition,
        on.c.contact == wave.c.contact,
        on.c.journey == literal(journey.name),
        on.c.per == per,
    )
    is_on = on.c.status == constant(RunStatus.ACTIVE.value)
    source: FromClause = wave
    active: ColumnElement[Any] = cast(null(), on.c.id.type)
    ignores = journey.entry.again is Again.IGNORE
    let: ColumnElement[bool]
    if ignores:
        # Who has entered once and never does again has no run that is on either.
        once = journey.entry.reentry is Reentry.NEVER and not journey.entry.by_account
        let = _reentry(journey, per)
        let = let if once else and_(~is_there(on, *its_run, is_on), let)
    else:
        active = on.c.id
        let = or_(on.c.id.is_not(None), _reentry(journey, per))
    fires = or_(
        *(
            and_(wave.c.name == literal(found.event), _holds(found, journey, row, sql.dialect))
            for found in journey.triggers
        )
    )
    ramped = let_in(journey.ramp, journey.name, _SINCE, wave.c.at)
    conditions = (
        in_pass(wave),
        wave.c.name.in_([literal(found.event) for found in journey.triggers]),
        wave.c.received_at >= _RECEIVED_SINCE,
        wave.c.at >= _EVENT_FLOOR,
        # In this order: whether the contact may enter is a look at an index, while the author's
        # condition may read years of history.
        case((let, fires), else_=false()),
        *_first_of_cause(journey),
        *([ramped] if ramped is not None else []),
    )
    if journey.entry.by_account or _read(contact, *conditions, per):
        source = source.join(contact, WAVE_CONTACT)
    if not ignores:
        source = source.outerjoin(on, and_(*its_run, is_on))
    return Entrants(source=source, conditions=conditions, per=per, active=active)


def _read(table: Table, *clauses: ClauseElement) -> bool:
    """Whether one of the clauses reads a column of the table."""
    return any(
        isinstance(part, Column) and part.table is table for clause in clauses for part in iterate(clause)
    )


def trigger(sql: ProgramSql, connection: Connection, n: int, floors: Floors) -> int:
    """Collect the contacts whose event of pass ``n`` lets them enter this version, or restarts or refreshes the run
    that is on. Returns how many there are."""

    def build() -> Statement:
        found = entrants(sql)
        columns: dict[str, ColumnElement[Any]] = {
            "n": PASS,
            "version": constant(sql.version),
            "partition": wave.c.partition,
            "contact": wave.c.contact,
            "event": wave.c.event,
            "at": wave.c.at,
            "per": found.per,
            "active": found.active,
        }
        rows: Select[Any] = (
            select(*(column.label(name) for name, column in columns.items()))
            .select_from(found.source)
            .where(*found.conditions)
        )
        if sql.program.journey.entry.by_account:
            # Of colleagues who would enter at once, the first does.
            of_account = (
                func.coalesce(contact.c.account, contact.c.key),
                contact.c.account.is_(None),
                found.per,
            )
            order = (wave.c.at, wave.c.partition, wave.c.contact)
            rank = func.row_number().over(partition_by=of_account, order_by=order)
            each = rows.add_columns(rank.label("rank")).subquery("found")
            rows = select(*(each.c[name] for name in columns)).where(each.c.rank == literal_column("1"))
        return Statement(insert(entering).from_select(list(columns), rows))

    return sql.once("trigger", build).run(connection, n=n, **floors.named).rowcount


def _holds(found: Trigger, journey: Journey, row: Row, dialect: str) -> ColumnElement[bool]:
    """Whether the trigger means an event of its name."""
    condition = predicate(found.where, row, dialect) if found.where else true()
    if not isinstance(found, SegmentTrigger | AttributeTrigger | ConsentTrigger):
        return condition
    # About somebody for whom a trigger held already: that is asked where the event was made, for one journey.
    only = json_text(wave.c.properties, constant(EXISTING))
    return or_(and_(only.is_(None), condition), only == literal(journey.name))


def hold_accounts(sql: ProgramSql, connection: Connection, n: int) -> None:
    """Keep other runners from letting colleagues of the contacts of pass ``n`` enter until this transaction ends.
    SQLite has one writer at a time."""

    def build() -> Statement:
        names = {found.event for found in sql.program.journey.triggers}
        accounts = (
            select(contact.c.account)
            .select_from(wave.join(contact, WAVE_CONTACT))
            .where(
                in_pass(wave),
                wave.c.name.in_([literal(name) for name in names]),
                contact.c.account.is_not(None),
            )
            .distinct()
            .order_by(contact.c.account)
            .suffix_with("OFFSET 0")
            .subquery()
        )
        key = literal(f"{sql.program.journey.name}:", Text()) + accounts.c.account
        return Statement(select(func.pg_advisory_xact_lock(func.hashtextextended(key, literal_column("0")))))

    if sql.dialect == "postgresql":
        sql.once("hold accounts", build).run(connection, n=n)


def _reentry(journey: Journey, per: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the time since the last entry lets the contact in, and, where colleagues count as one, no run of theirs
    is on."""
    earlier = run.alias("earlier")
    mate = contact.alias("mate")
    same = (
        earlier.c.partition == wave.c.partition,
        earlier.c.contact == wave.c.contact,
        earlier.c.journey == literal(journey.name),
        earlier.c.per == per,
    )

    def nobody(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        """Whether no run of the contact, or of those who count as one with it, fulfils the conditions."""
        own = ~is_there(earlier, *same, *conditions)
        return and_(own, no_colleague(*conditions)) if journey.entry.by_account else own

    def no_colleague(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        # Colleagues live in any partition; of each it is one look at ix_contact_account.
        others = shard.join(
            mate, and_(mate.c.partition == shard.c.partition, mate.c.account == contact.c.account)
        ).join(
            earlier,
            and_(
                earlier.c.partition == mate.c.partition,
                earlier.c.contact == mate.c.id,
                earlier.c.journey == literal(journey.name),
                earlier.c.per == per,
            ),
        )
        return ~exists(
            select(literal_column("1"))
            .select_from(others)
            .where(
                or_(mate.c.partition != wave.c.partition, mate.c.id != wave.c.contact),
                *conditions,
            )
            .correlate(wave, contact)
        )

    reentry: ColumnElement[bool] = true()
    match journey.entry.reentry:
        case Reentry.NEVER:
            reentry = nobody()
        case Duration() as apart:
            reentry = nobody(shifted(earlier.c.entered_at, constant(apart.elapsed)) > wave.c.at)
    if journey.entry.by_account:
        is_on = earlier.c.status == constant(RunStatus.ACTIVE.value)
        reentry = and_(no_colleague(is_on), reentry)
    return reentry


ENTRY: ColumnElement[str] = json_text(wave.c.properties, constant("entry"))
"""Of what time causes: for which cause an event stands."""


def timed_events(journey: Journey) -> Set[str]:
    """The events by which time starts the journey."""
    return {found.event for found in journey.triggers} & TIMED


def quoted(events: Set[str]) -> list[ColumnElement[str]]:
    """Names of the engine's own events, in the SQL text itself."""
    return [literal_column(f"'{name}'") for name in sorted(events)]


def _first_of_cause(journey: Journey) -> list[ColumnElement[bool]]:
    """Of a cause that several events may stand for, only the first starts, restarts or refreshes anything."""
    timed = timed_events(journey)
    if not timed:
        return []
    earlier = run.alias("same_cause")
    has_entered = is_there(
        earlier,
        earlier.c.partition == wave.c.partition,
        earlier.c.contact == wave.c.contact,
        earlier.c.journey == literal(journey.name),
        earlier.c.entry_key == ENTRY,
    )
    if all(found.event in timed for found in journey.triggers):
        return [~has_entered]
    return [or_(wave.c.name.not_in(quoted(timed)), ~has_entered)]

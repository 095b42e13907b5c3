"""Who enters a journey: triggers, the run that may be on already, and the time since the last entry."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
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
    update,
)

from runner.journey.duration import Duration
from runner.journey.model import Again, Journey, Reentry, WaitAny, WaitCollect, WaitEvent, WaitFor
from runner.journey.model.triggers import AttributeTrigger, ConsentTrigger, SegmentTrigger, Trigger
from runner.journey.reserved import EXISTING, TIMED
from runner.journey.reserved import PROPERTIES as RESERVED
from runner.journey.wakes import wakes_of
from runner.store.passes.exits import into_leaving
from runner.store.passes.holdouts import draw_holdouts, held_out, let_in
from runner.store.passes.program import WAVE_CONTACT, WAVE_EVENT, ProgramSql, stays
from runner.store.passes.timeline import ACTIVE
from runner.store.passes.working import PASS, entering, in_pass, moving, once_each, wave
from runner.store.predicates import Row, predicate, text_value
from runner.store.statement import Statement
from runner.store.steps.waits.at_once import rests_at_once
from runner.store.steps.waits.due import elapsed_length
from runner.store.tables import RunStatus, contact, event, run, shard
from runner.store.types import ByCodePoint, Instant, Json, constant, json_text, shifted

_EVENT_FLOOR = bindparam("event_floor", type_=Instant())
_SINCE = bindparam("since", type_=Instant())
_RECEIVED_SINCE = bindparam("received_since", type_=Instant())
_STAGE = bindparam("stage", type_=Integer())


def trigger(
    sql: ProgramSql,
    connection: Connection,
    n: int,
    *,
    since: datetime,
    received_since: datetime,
    event_floor: datetime,
) -> int:
    """Collect the contacts whose event of pass ``n`` lets them enter this version, or restarts or refreshes the run
    that is on.

    What was received before ``received_since`` or happened before ``event_floor`` starts nothing; a ramp begins at
    ``since``, when the journey was applied. Returns how many there are.
    """

    def build() -> Statement:
        journey = sql.program.journey
        row = sql.row(wave, with_run=False, with_event=True)
        # The event that may start a run is what `trigger` will be in it: `entry.per` reads it so.
        per_row = replace(row, trigger=event.c.properties)
        per: ColumnElement[str] = literal("", ByCodePoint())
        if journey.entry.per is not None:
            per = func.journeys_key(text_value(journey.entry.per, per_row, sql.dialect), type_=ByCodePoint())
        on = run.alias("on")
        active = and_(
            on.c.partition == wave.c.partition,
            on.c.contact == wave.c.contact,
            on.c.journey == literal(journey.name),
            on.c.per == per,
            on.c.status == constant(RunStatus.ACTIVE.value),
        )
        fires = or_(
            *(
                and_(wave.c.name == literal(found.event), _holds(found, journey, row, sql.dialect))
                for found in journey.triggers
            )
        )
        # Of colleagues who would enter at once, the first does.
        rank = func.row_number().over(
            partition_by=(func.coalesce(contact.c.account, contact.c.key), contact.c.account.is_(None), per),
            order_by=(wave.c.at, wave.c.partition, wave.c.contact),
        )
        ramped = let_in(journey.ramp, journey.name, _SINCE, wave.c.at)
        found = (
            select(
                PASS.label("n"),
                constant(sql.version).label("version"),
                wave.c.partition,
                wave.c.contact,
                wave.c.event,
                wave.c.at,
                per.label("per"),
                on.c.id.label("active"),
                *([rank.label("rank")] if journey.entry.by_account else []),
            )
            .select_from(wave.join(event, WAVE_EVENT).join(contact, WAVE_CONTACT).outerjoin(on, active))
            .where(
                in_pass(wave),
                wave.c.name.in_([literal(found.event) for found in journey.triggers]),
                event.c.received_at >= _RECEIVED_SINCE,
                wave.c.at >= _EVENT_FLOOR,
                # In this order: whether the contact may enter is a look at an index, while the author's
                # condition may read years of history.
                case((_may_enter(journey, on, per), fires), else_=false()),
                *_first_of_cause(journey),
                *([ramped] if ramped is not None else []),
            )
        )
        columns = ["n", "version", "partition", "contact", "event", "at", "per", "active"]
        if journey.entry.by_account:
            each = found.subquery("found")
            found = select(*(each.c[name] for name in columns)).where(each.c.rank == literal_column("1"))
        return Statement(insert(entering).from_select(columns, found))

    return (
        sql.once("trigger", build)
        .run(connection, n=n, since=since, received_since=received_since, event_floor=event_floor)
        .rowcount
    )


def _holds(found: Trigger, journey: Journey, row: Row, dialect: str) -> ColumnElement[bool]:
    """Whether the trigger means an event of its name."""
    condition = predicate(found.where, row, dialect) if found.where else true()
    if not isinstance(found, SegmentTrigger | AttributeTrigger | ConsentTrigger):
        return condition
    # About somebody for whom a trigger held already: that is asked where the event was made, for one journey.
    only = json_text(event.c.properties, constant(EXISTING))
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


def _may_enter(journey: Journey, on: Any, per: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether ``again`` and ``reentry`` let the contact in; ``on`` is the run that is on, if any."""
    earlier = run.alias("earlier")
    mate = contact.alias("mate")
    same = and_(
        earlier.c.partition == wave.c.partition,
        earlier.c.contact == wave.c.contact,
        earlier.c.journey == literal(journey.name),
        earlier.c.per == per,
    )

    def nobody(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        """Whether no run of the contact, or of those who count as one with it, fulfils the conditions."""
        own = ~exists(select(literal_column("1")).select_from(earlier).where(same, *conditions))
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
            .correlate(wave, contact, event)
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
    if journey.entry.again is Again.IGNORE:
        return and_(on.c.id.is_(None), reentry)
    return or_(on.c.id.is_not(None), reentry)


def _entering(sql: ProgramSql) -> Any:
    return and_(in_pass(entering), entering.c.version == constant(sql.version))


_RUN_ON = and_(
    run.c.partition == entering.c.partition,
    run.c.contact == entering.c.contact,
    run.c.id == entering.c.active,
)


def _cause(journey: Journey) -> ColumnElement[str]:
    """What started a run. An internal event says in its own key what it stands for; an event that arrived is the cause
    itself."""
    arrived: ColumnElement[str] = literal_column("'event:'") + cast(entering.c.event, Text())
    internal = {found.event for found in journey.triggers} & RESERVED.keys()
    if not internal:
        return arrived
    timed, others = _quoted(internal & TIMED), _quoted(internal - TIMED)
    return case(
        *([(event.c.name.in_(timed), _ENTRY)] if timed else []),
        *([(event.c.name.in_(others), event.c.dedup_key)] if others else []),
        else_=arrived,
    )


def _quoted(names: Set[str]) -> list[ColumnElement[str]]:
    return [literal_column(f"'{name}'") for name in sorted(names)]


_ENTRY: ColumnElement[str] = json_text(event.c.properties, constant("entry"))


def _first_of_cause(journey: Journey) -> list[ColumnElement[bool]]:
    """Of a cause that several events may stand for, only the first starts, restarts or refreshes anything."""
    timed = _quoted({found.event for found in journey.triggers} & TIMED)
    if not timed:
        return []
    earlier = run.alias("same_cause")
    has_entered = exists(
        select(literal_column("1")).where(
            earlier.c.partition == wave.c.partition,
            earlier.c.contact == wave.c.contact,
            earlier.c.journey == literal(journey.name),
            earlier.c.entry_key == _ENTRY,
        )
    )
    return [or_(wave.c.name.not_in(timed), ~has_entered)]


def end_for_restart(sql: ProgramSql, connection: Connection, n: int, stage: int) -> int:
    """Put the runs that are on, and that the trigger restarts, into ``leaving``. Returns how many."""

    def build() -> Statement:
        return into_leaving(
            sql.dialect,
            select(
                _STAGE,
                entering.c.partition,
                entering.c.contact,
                entering.c.active,
                entering.c.at,
                constant("restarted"),
            ).where(_entering(sql), entering.c.active.is_not(None)),
        )

    return sql.once("end for restart", build).run(connection, n=n, stage=stage).rowcount


def refresh(sql: ProgramSql, connection: Connection, n: int) -> int:
    """Give the runs that are on the properties of the new trigger, and take them up again where they stand, since a
    wait may hang on a trigger date. Returns how many."""

    def build_values() -> Statement:
        return Statement(
            update(run)
            .values(trigger=event.c.properties)
            .where(
                _entering(sql),
                entering.c.active.is_not(None),
                event.c.partition == entering.c.partition,
                event.c.contact == entering.c.contact,
                event.c.id == entering.c.event,
                _RUN_ON,
            )
        )

    def build_arrival() -> Statement:
        return Statement(
            once_each(insert(moving)).from_select(
                ["n", "version", "way", "partition", "contact", "run", "at"],
                select(
                    PASS,
                    run.c.version,
                    run.c.node + literal_column("1"),
                    run.c.partition,
                    run.c.contact,
                    run.c.id,
                    entering.c.at,
                )
                .select_from(entering.join(run, _RUN_ON))
                .where(_entering(sql), entering.c.active.is_not(None), *woken),
            )
        )

    # Whom the event has woken goes on, and is not taken up again.
    woken = [stays(sql)] if any(wakes_of(node.verb) for node in sql.program.nodes) else []
    refreshed = sql.once("refresh values", build_values).run(connection, n=n).rowcount
    if refreshed:
        sql.once("refresh arrival", build_arrival).run(connection, n=n)
    return refreshed


def rests_from_entry(sql: ProgramSql) -> bool:
    """Whether everybody who enters stands at the first node from then on, and nothing is asked or written before."""
    first = sql.program.nodes[0]
    waits = isinstance(first.verb, WaitFor | WaitEvent | WaitAny | WaitCollect)
    return waits and rests_at_once(sql, first) and not sql.may_exit


def enter(sql: ProgramSql, connection: Connection, n: int) -> int:
    """Begin the runs of those in ``entering``, at the first node. Returns how many.

    Where that is a wait at which everybody rests, they stand there at once; else they arrive there in the pass.
    The entry key (one entry a cause) makes the same event enter a contact once, however often it is handled.
    """

    def build() -> Statement:
        journey = sql.program.journey
        standing: dict[str, ColumnElement[Any]] = {"node": null()}
        if rests_from_entry(sql):
            until = shifted(entering.c.at, constant(elapsed_length(first.verb) or 0))
            standing = {"node": constant(first.index), "due_at": until, "next_at": until}
        # A run that is on has been ended by now where the trigger restarts it, and goes on where it refreshes it.
        new = [] if journey.entry.again is Again.RESTART else [entering.c.active.is_(None)]
        last = (
            select(func.coalesce(func.max(run.c.id), 0))
            .where(run.c.partition == entering.c.partition, run.c.contact == entering.c.contact)
            .scalar_subquery()
        )
        return Statement(
            insert(run).from_select(
                [
                    "partition",
                    "contact",
                    "id",
                    "journey",
                    "version",
                    "per",
                    "entry_key",
                    "cause",
                    "status",
                    "step",
                    *standing,
                    "arrived_at",
                    "entered_at",
                    "trigger",
                    "data",
                    "held_out",
                ],
                select(
                    entering.c.partition,
                    entering.c.contact,
                    last + 1,
                    literal(journey.name),
                    entering.c.version,
                    entering.c.per,
                    _cause(journey),
                    entering.c.event,
                    constant(RunStatus.ACTIVE.value),
                    literal(first.step.id),
                    *standing.values(),
                    entering.c.at,
                    entering.c.at,
                    event.c.properties,
                    literal({}, Json()),
                    held_out(sql),
                )
                .select_from(
                    entering.join(
                        event,
                        and_(
                            event.c.partition == entering.c.partition,
                            event.c.contact == entering.c.contact,
                            event.c.id == entering.c.event,
                        ),
                    )
                )
                .where(_entering(sql), *new),
            )
        )

    def build_arrival() -> Statement:
        return Statement(
            insert(moving).from_select(
                ["n", "version", "way", "partition", "contact", "run", "at"],
                select(
                    PASS,
                    run.c.version,
                    constant(sql.ways.arriving(0)),
                    run.c.partition,
                    run.c.contact,
                    run.c.id,
                    entering.c.at,
                )
                .select_from(
                    entering.join(
                        run,
                        and_(
                            run.c.partition == entering.c.partition,
                            run.c.contact == entering.c.contact,
                            run.c.journey == literal(sql.program.journey.name),
                            run.c.per == entering.c.per,
                            ACTIVE,
                        ),
                    )
                )
                .where(_entering(sql), run.c.node.is_(None)),
            )
        )

    first = sql.program.nodes[0]
    draw_holdouts(sql, connection, n)
    entered = sql.once("enter", build).run(connection, n=n).rowcount
    if entered and not rests_from_entry(sql):
        sql.once("enter arrival", build_arrival).run(connection, n=n)
    return entered

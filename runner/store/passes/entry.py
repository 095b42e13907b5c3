"""Those who may enter a journey do: their runs begin, or the ones that are on are restarted or refreshed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    cast,
    false,
    func,
    insert,
    literal,
    literal_column,
    null,
    select,
    update,
)

from runner.journey.model import Again, Journey, WaitAny, WaitCollect, WaitEvent, WaitFor
from runner.journey.reserved import PROPERTIES as RESERVED
from runner.journey.wakes import wakes_of
from runner.store.passes.entrants import ENTRY, Floors, entrants, quoted, timed_events
from runner.store.passes.exits import into_leaving
from runner.store.passes.holdouts import draw_holdouts, held_out, holdouts
from runner.store.passes.program import ProgramSql, stays
from runner.store.passes.timeline import ACTIVE
from runner.store.passes.working import PASS, entering, in_pass, moving, once_each, wave
from runner.store.statement import Statement
from runner.store.steps.waits.at_once import rests_at_once
from runner.store.steps.waits.due import elapsed_length
from runner.store.tables import RunStatus, run
from runner.store.types import Json, constant, shifted

_STAGE = bindparam("stage", type_=Integer())


def _entering(sql: ProgramSql) -> Any:
    return and_(in_pass(entering), entering.c.version == constant(sql.version))


_RUN_ON = and_(
    run.c.partition == entering.c.partition,
    run.c.contact == entering.c.contact,
    run.c.id == entering.c.active,
)


_ITS_WAVE = and_(
    wave.c.n == entering.c.n,
    wave.c.partition == entering.c.partition,
    wave.c.contact == entering.c.contact,
)
"""Joins the row of the wave, which has the event that lets them enter."""


def _cause(journey: Journey) -> ColumnElement[str]:
    """What started a run. An internal event says in its own key what it stands for; an event that arrived is the cause
    itself."""
    arrived: ColumnElement[str] = literal_column("'event:'") + cast(wave.c.event, Text())
    internal = {found.event for found in journey.triggers} & RESERVED.keys()
    if not internal:
        return arrived
    timed = timed_events(journey)
    others = internal - timed
    return case(
        *([(wave.c.name.in_(quoted(timed)), ENTRY)] if timed else []),
        *([(wave.c.name.in_(quoted(others)), wave.c.dedup_key)] if others else []),
        else_=arrived,
    )


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
            .values(trigger=wave.c.properties)
            .where(
                _entering(sql),
                entering.c.active.is_not(None),
                _ITS_WAVE,
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


def _begun(
    sql: ProgramSql,
    rows: Any,
    source: FromClause,
    *conditions: ColumnElement[bool],
    per: ColumnElement[str],
    held: ColumnElement[bool],
) -> Statement:
    """The statement that begins a run for each of ``rows`` (the wave, or ``entering``) of ``source``, where also the
    wave is."""
    journey, first = sql.program.journey, sql.program.nodes[0]
    last = (
        select(func.coalesce(func.max(run.c.id), literal_column("0")))
        .where(run.c.partition == rows.c.partition, run.c.contact == rows.c.contact)
        .correlate_except(run)
        .scalar_subquery()
    )
    written: dict[str, ColumnElement[Any]] = {
        "partition": rows.c.partition,
        "contact": rows.c.contact,
        "id": last + literal_column("1"),
        "journey": literal(journey.name),
        "version": constant(sql.version),
        "per": per,
        "entry_key": _cause(journey),
        "cause": rows.c.event,
        "status": constant(RunStatus.ACTIVE.value),
        "step": literal(first.step.id),
        "node": null(),
        "arrived_at": rows.c.at,
        "entered_at": rows.c.at,
        "trigger": wave.c.properties,
        "data": literal({}, Json()),
        "held_out": held,
    }
    if rests_from_entry(sql):
        until = shifted(rows.c.at, constant(elapsed_length(first.verb) or 0))
        written |= {"node": constant(first.index), "due_at": until, "next_at": until}
    found = select(*written.values()).select_from(source).where(*conditions)
    return Statement(insert(run).from_select(list(written), found))


def enters_at_once(sql: ProgramSql) -> bool:
    """Whether whom the triggers mean can begin at once, since nothing else is to be done about them: nobody is ended
    or refreshed, held out, or one with colleagues."""
    entry = sql.program.journey.entry
    alone = entry.again is Again.IGNORE and not entry.by_account
    return alone and rests_from_entry(sql) and not holdouts(sql)


def enter_at_once(sql: ProgramSql, connection: Connection, n: int, floors: Floors) -> int:
    """Begin the runs of those whose event of pass ``n`` lets them enter. Returns how many."""

    def build() -> Statement:
        found = entrants(sql)
        return _begun(sql, wave, found.source, *found.conditions, per=found.per, held=false())

    return sql.once("enter at once", build).run(connection, n=n, **floors.named).rowcount


def enter(sql: ProgramSql, connection: Connection, n: int) -> int:
    """Begin the runs of those in ``entering``, at the first node. Returns how many.

    Where that is a wait at which everybody rests, they stand there at once; else they arrive there in the pass.
    The entry key (one entry a cause) makes the same event enter a contact once, however often it is handled.
    """

    def build() -> Statement:
        # A run that is on has been ended by now where the trigger restarts it, and goes on where it refreshes it.
        restarts = sql.program.journey.entry.again is Again.RESTART
        new = [] if restarts else [entering.c.active.is_(None)]
        source = entering.join(wave, _ITS_WAVE)
        return _begun(sql, entering, source, _entering(sql), *new, per=entering.c.per, held=held_out(sql))

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

    draw_holdouts(sql, connection, n)
    entered = sql.once("enter", build).run(connection, n=n).rowcount
    if entered and not rests_from_entry(sql):
        sql.once("enter arrival", build_arrival).run(connection, n=n)
    return entered

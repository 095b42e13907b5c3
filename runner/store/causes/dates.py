"""Date triggers: when the date of each contact is next reached.

A date is a day on the wall clock of its contact. It is reached at an instant: the day, moved by the offset, at a local
time there. A yearly date is reached once in each year, 29 February on the 28th in the years that have none.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    true,
)

from runner.journey.catalog import CONTACT_UPDATED, IDENTIFIED
from runner.journey.duration import DAY, MICROSECONDS
from runner.journey.model.timed import DateTrigger, IfPast
from runner.journey.model.waits import LocalTimes
from runner.journey.reserved import DATE_REACHED
from runner.journey.values import Kind as ValueKind
from runner.store.causes.appointments import SEGMENT_DUE, STANDS, Kind, appoint
from runner.store.local_time.localtime import (
    day_number,
    due_after,
    due_on,
    local_microseconds,
    midnight,
    utc_microseconds,
)
from runner.store.passes.program import WAVE_CONTACT, WAVE_EVENT, ProgramSql
from runner.store.passes.working import in_pass, wave
from runner.store.predicates import day_microseconds, instant_microseconds
from runner.store.statement import Statement
from runner.store.tables import appointment, contact, event, run
from runner.store.types import Instant, constant, instant_of, json_object, json_text, microseconds_of

Sql = ColumnElement[Any]

CHANGES = (IDENTIFIED, CONTACT_UPDATED)
_OTHERS: list[ColumnElement[str]] = [literal_column(f"'{name}'") for name in (DATE_REACHED, SEGMENT_DUE)]
"""Other events at which the date is looked at: it was reached, or something was imported beside the timeline."""
_FAR_FUTURE = 2**53
"""In the year 2255, in microseconds: beyond it nobody waits."""
_MARGIN = 2 * DAY
"""More than any zone is away from UTC."""


def appoint_dates(sql: ProgramSql, trigger: DateTrigger, connection: Connection, n: int) -> None:
    """Compute anew when the date of ``trigger`` is next reached, for the contacts of pass ``n`` that have changed, or
    whose date was reached in it; for all, in a pass that goes through everybody."""
    sql.once(("appoint dates", trigger.cause), lambda: _appoint(sql, trigger)).run(connection, n=n)


def _appoint(sql: ProgramSql, trigger: DateTrigger) -> Statement:
    known = _known(sql, trigger)
    reached = _yearly(trigger, known) if trigger.yearly else _once(trigger, known)
    if trigger.if_past is IfPast.ENTER:
        reached = _entering(sql, reached)
    day_text: Sql = func.journeys_date_text(reached.c.day, type_=Text())
    found = select(
        reached.c.partition,
        reached.c.contact,
        _text(trigger.cause).label("name"),
        case((reached.c.due < constant(_FAR_FUTURE), instant_of(reached.c.due))).label("due_at"),
        json_object(
            constant("journey"),
            _text(sql.program.journey.name),
            constant("date"),
            day_text,
            constant("cause"),
            _text(trigger.cause),
            constant("entry"),
            _entry(day_text),
        ).label("properties"),
    )
    return appoint(sql.dialect, Kind.DATE, found)


def _text(value: str) -> Sql:
    return cast(literal(value, Text()), Text())


def _entry(day_text: Sql) -> Sql:
    """A contact enters once for each date, whatever else changes."""
    entry: Sql = literal_column("'date:'") + day_text
    return entry


def _layer(name: str, query: Select[Any]) -> CTE:
    """What is computed once, however often it is mentioned."""
    return query.cte(name).prefix_with("MATERIALIZED")


def _known(sql: ProgramSql, trigger: DateTrigger) -> CTE:
    """Of each contact: its zone, the date as the number of its day, the time of day (µs), and where the appointment
    stands: ``standing`` (µs) for the day ``about``. A datetime is ``moment`` (µs) besides."""
    row = sql.row(wave, with_run=False)
    changed = wave.c.name.in_([literal_column(f"'{name}'") for name in CHANGES])
    its_own = and_(
        appointment.c.partition == wave.c.partition,
        appointment.c.contact == wave.c.contact,
        appointment.c.kind == constant(Kind.DATE.value),
        appointment.c.name == _text(trigger.cause),
    )
    is_date = trigger.date.type.kind is ValueKind.DATE
    given = (
        day_microseconds(trigger.date, row, sql.dialect)
        if is_date
        else instant_microseconds(trigger.date, row, sql.dialect)
    )
    found = _layer(
        "found",
        select(
            wave.c.partition,
            wave.c.contact,
            # Known since it was received: what came between is past.
            microseconds_of(func.coalesce(event.c.received_at, wave.c.at, type_=Instant())).label("at"),
            sql.zone.label("zone"),
            given.label("given"),
            microseconds_of(STANDS).label("standing"),
            json_text(appointment.c.properties, constant("date")).label("about"),
            case((changed, literal_column("1")), else_=literal_column("0")).label("changed"),
        )
        .select_from(
            wave.join(contact, WAVE_CONTACT).outerjoin(event, WAVE_EVENT).outerjoin(appointment, its_own)
        )
        .where(
            in_pass(wave),
            or_(wave.c.n < 0, changed, wave.c.name.in_(_OTHERS)),
        ),
    )
    shown = found.c.given if is_date else local_microseconds(found.c.given, found.c.zone)
    local = _layer("local", select(*found.c, shown.label("shown")))
    time_of_day: Sql = (
        constant(_since_midnight(trigger))
        if trigger.at or is_date
        else local.c.shown - midnight(local.c.shown)
    )
    # What stands at or before this instant waits to be handled: it is computed as of before.
    ref = case((local.c.standing <= local.c.at, local.c.standing - constant(1)), else_=local.c.at)
    return _layer(
        "known",
        select(
            *local.c,
            day_number(local.c.shown).label("first_day"),
            time_of_day.label("time_of_day"),
            ref.label("ref"),
        ),
    )


def _since_midnight(trigger: DateTrigger) -> int:
    at = trigger.at
    return at.hour * MICROSECONDS["h"] + at.minute * MICROSECONDS["m"] if at else 0


# A date that comes once ----------------------------------------------------------------------------------------------


def _once(trigger: DateTrigger, known: CTE) -> CTE:
    local = LocalTimes(at=trigger.at) if trigger.at else None
    if trigger.date.type.kind is ValueKind.DATE or local:
        reached = due_on(midnight(known.c.shown), known.c.zone, trigger.offset, trigger.at)
    else:
        reached = due_after(known.c.given, known.c.zone, trigger.offset)
    raw = _layer("raw", select(*known.c, reached.label("reached")))
    due = case((or_(raw.c.reached == raw.c.standing, raw.c.reached > raw.c.at), raw.c.reached))
    return _layer(
        "reached_once",
        select(
            *raw.c,
            due.label("due"),
            raw.c.first_day.label("day"),
            case((raw.c.reached <= raw.c.at, raw.c.first_day)).label("past_day"),
        ),
    )


# A date of every year ------------------------------------------------------------------------------------------------


def _yearly(trigger: DateTrigger, known: CTE) -> CTE:
    chosen = _layer(
        "chosen",
        select(
            *known.c,
            _next_day(trigger, known, known.c.ref).label("ref_day"),
            case((known.c.ref < known.c.at, _next_day(trigger, known, known.c.at))).label("at_day"),
            (_first_from(known) if trigger.if_past is IfPast.ENTER else null()).label("coming_day"),
        ),
    )
    timed = _layer(
        "timed",
        select(
            *chosen.c,
            _reached(trigger, chosen, chosen.c.ref_day).label("ref_due"),
            case((chosen.c.at_day.is_not(None), _reached(trigger, chosen, chosen.c.at_day))).label("at_due"),
            (
                _reached(trigger, chosen, chosen.c.coming_day)
                if trigger.if_past is IfPast.ENTER
                else cast(null(), BigInteger())
            ).label("coming_due"),
        ),
    )
    later = and_(timed.c.ref < timed.c.at, timed.c.ref_due.is_distinct_from(timed.c.standing))
    return _layer(
        "reached_yearly",
        select(
            *timed.c,
            case((later, timed.c.at_due), else_=timed.c.ref_due).label("due"),
            case((later, timed.c.at_day), else_=timed.c.ref_day).label("day"),
            case((timed.c.coming_due <= timed.c.at, timed.c.coming_day)).label("past_day"),
        ),
    )


def _reached(trigger: DateTrigger, rows: Any, day: Sql) -> Sql:
    """When the date that falls on ``day`` is reached."""
    local = (day + constant(trigger.offset.days)) * constant(DAY) + rows.c.time_of_day
    return utc_microseconds(local, rows.c.zone) + constant(trigger.offset.microseconds)


def _anniversaries(rows: Any, around: Sql) -> Any:
    """The day on which the date falls in the year of ``around`` (µs), the one before, and the two after it."""
    years = (
        select(literal_column("-1", Integer()).label("k"))
        .union_all(*(select(literal_column(str(k), Integer())) for k in (0, 1, 2)))
        .subquery("years")
    )
    year = cast(func.substr(func.journeys_date_text(day_number(around), type_=Text()), 1, 4), Integer())
    text = cast(year + years.c.k, Text())
    date_text = func.journeys_date_text(rows.c.first_day, type_=Text())
    day = func.coalesce(
        func.journeys_day_number(text + func.substr(date_text, 5), type_=BigInteger()),
        func.journeys_day_number(text + literal_column("'-02-28'"), type_=BigInteger()),
        type_=BigInteger(),
    )
    return (
        select(case((rows.c.first_day.is_not(None), day)).label("day"))
        .select_from(years)
        .correlate_except(years)
        .subquery("days")
    )


def _next_day(trigger: DateTrigger, rows: Any, after: Sql) -> Sql:
    """The day for which the date is first reached after the instant ``after`` (µs)."""
    moved = constant(trigger.offset.elapsed) + rows.c.time_of_day
    days = _anniversaries(rows, after - moved)
    near = (
        select(days.c.day)
        .where(days.c.day * constant(DAY) + moved > after - constant(_MARGIN))
        .order_by(days.c.day)
        .limit(2)
        .correlate_except(days)
        .subquery("near")
    )
    return (
        select(near.c.day)
        .where(_reached(trigger, rows, near.c.day) > after)
        .order_by(near.c.day)
        .limit(1)
        .correlate_except(near)
        .scalar_subquery()
    )


def _first_from(rows: Any) -> Sql:
    """The day on which the date falls next, today included."""
    today = day_number(local_microseconds(rows.c.at, rows.c.zone))
    days = _anniversaries(rows, rows.c.at)
    return select(func.min(days.c.day)).where(days.c.day >= today).correlate_except(days).scalar_subquery()


# A date that is past -------------------------------------------------------------------------------------------------


def _entering(sql: ProgramSql, reached: CTE) -> CTE:
    """Those whose date was past when it became known enter at once, each once a date."""
    entered = run.alias("entered")
    day_text: Sql = func.journeys_date_text(reached.c.past_day, type_=Text())
    has_entered = exists(
        select(literal_column("1")).where(
            entered.c.partition == reached.c.partition,
            entered.c.contact == reached.c.contact,
            entered.c.journey == _text(sql.program.journey.name),
            entered.c.entry_key == _entry(day_text),
        )
    )
    is_about = and_(
        reached.c.past_day.is_not(None), reached.c.about.is_not(None), day_text == reached.c.about
    )
    waits = and_(is_about, reached.c.standing.is_not(None))
    enters = and_(reached.c.past_day.is_not(None), reached.c.changed == 1, ~is_about, ~has_entered)
    return _layer(
        "entering_late",
        select(
            reached.c.partition,
            reached.c.contact,
            case((waits, reached.c.standing), (enters, reached.c.at), else_=reached.c.due).label("due"),
            case((or_(waits, enters), reached.c.past_day), else_=reached.c.day).label("day"),
        ).where(true()),
    )

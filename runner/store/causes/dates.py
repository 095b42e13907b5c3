"""Date triggers: when the date of each contact is next reached.

A date is a day on the wall clock of its contact. It is reached at an instant: the day, moved by the offset, at a local
time there. A yearly date is reached once in each year, 29 February on the 28th in the years that have none.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
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
    exists,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    true,
)

from runner.journey.catalog import CONTACT_CHANGES, CONTACT_UPDATED, IDENTIFIED
from runner.journey.duration import DAY, MICROSECONDS
from runner.journey.model.timed import DateTrigger, IfPast
from runner.journey.model.waits import LocalTimes
from runner.journey.reserved import DATE_REACHED, SEGMENT_DUE
from runner.journey.values import Kind as ValueKind
from runner.store.causes.appointments import Kind, appoint
from runner.store.local_time.localtime import (
    day_number,
    due_after,
    due_on,
    local_microseconds,
    midnight,
    utc_microseconds,
)
from runner.store.local_time.years import day_of_year, falls_on, year_of
from runner.store.passes.program import WAVE_CONTACT, ProgramSql, handles
from runner.store.passes.standing import key_of, standing
from runner.store.passes.working import in_pass, wave
from runner.store.predicates import beginning_of, instant_of_text, value
from runner.store.statement import Statement
from runner.store.tables import appointment, contact, run
from runner.store.types import (
    Instant,
    constant,
    instant_of,
    json_has,
    json_object,
    json_text,
    microseconds_of,
)

Sql = ColumnElement[Any]

_SINCE = bindparam("since", type_=Instant())
_RECEIVED_SINCE = bindparam("received_since", type_=Instant())
_FAR_FUTURE = 2**53
"""In the year 2255, in microseconds: beyond it nobody waits."""


def appoint_dates(
    sql: ProgramSql,
    trigger: DateTrigger,
    connection: Connection,
    n: int,
    *,
    since: datetime,
    received_since: datetime,
    as_received: bool,
) -> None:
    """Compute anew when the date of ``trigger`` is next reached, for the contacts of pass ``n`` that have changed, or
    whose date was reached in it; for all, in a pass that goes through everybody. What came before ``since``, the first
    apply of the journey, is past; and by a date that is past nobody enters who told it before ``received_since``.

    A date is known since its event was received; where it is not ``as_received``, as in virtual time, since the event
    happened."""
    statement = sql.once(
        ("appoint dates", trigger.cause, as_received), lambda: _appoint(sql, trigger, as_received=as_received)
    )
    statement.run(connection, n=n, since=since, received_since=received_since)


def _appoint(sql: ProgramSql, trigger: DateTrigger, *, as_received: bool) -> Statement:
    known = _known(sql, trigger, as_received=as_received)
    reached = _yearly(trigger, known) if trigger.yearly else _once(trigger, known)
    if trigger.if_past is IfPast.ENTER:
        reached = _entering(sql, reached)
    day_text = _day_text(reached.c.day, sql.dialect)
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
        reached.c.known,
    )
    return appoint(sql.dialect, Kind.DATE, found)


def _text(value: str) -> Sql:
    return cast(literal(value, Text()), Text())


def _day_text(day: Sql, dialect: str) -> Sql:
    """The day of that number as ISO text."""
    if dialect == "sqlite":
        return func.journeys_date_text(day, type_=Text())
    # PostgreSQL would call a function of ours for each row, as it may not fold one around `to_char`: ten times as long.
    return func.to_char(
        literal_column("date '1970-01-01'") + cast(day, Integer()),
        literal_column("'YYYY-MM-DD'"),
        type_=Text(),
    )


def _entry(day_text: Sql) -> Sql:
    """A contact enters once for each date, whatever else changes."""
    entry: Sql = literal_column("'date:'") + day_text
    return entry


def _layer(name: str, query: Select[Any]) -> CTE:
    """What is computed once a row, however often it is mentioned: neither database folds it into what stands around it,
    nor keeps its rows."""
    apart = query.suffix_with("OFFSET 0", dialect="postgresql")
    return apart.suffix_with("LIMIT -1 OFFSET 0", dialect="sqlite").cte(name)


def _known(sql: ProgramSql, trigger: DateTrigger, *, as_received: bool) -> CTE:
    """Of each contact: its zone, the date as it is ``given`` and as its zone has it (``shown``), the number of its day,
    the time of day, and the instant at which the appointment is ``standing``; ``ref`` is the one after which the date
    is looked for. For those who enter late also the day ``about`` which it is, and whether it was their date that was
    told, and since the journey is entered: whose date was past before does not enter for whatever else becomes known.
    All in µs."""
    row = sql.row(wave, with_run=False)
    changed = handles(*CONTACT_CHANGES)
    of_date = json_has(wave.c.properties, constant(trigger.attribute))
    its_own = and_(
        appointment.c.partition == wave.c.partition,
        appointment.c.contact == wave.c.contact,
        appointment.c.kind == constant(Kind.DATE.value),
        appointment.c.name == _text(trigger.cause),
    )
    own: FromClause = appointment
    is_own: ColumnElement[bool] = its_own
    if sql.dialect == "postgresql":
        # Looked up for each: while the table is small, a plan may read all of it for each.
        one = select(appointment).where(its_own).limit(literal_column("1")).correlate(wave)
        own, is_own = one.lateral("own"), true()
    is_date = trigger.date.type.kind is ValueKind.DATE
    # Known since it was received: what came between is past, and so is what came before the journey.
    received: Sql = (
        func.coalesce(wave.c.received_at, wave.c.at, type_=Instant()) if as_received else wave.c.at
    )
    known_since: Sql = case((received < _SINCE, _SINCE), else_=received)
    late: list[Sql] = []
    if trigger.if_past is IfPast.ENTER:
        told = and_(changed, of_date, received >= _RECEIVED_SINCE)
        late = [
            json_text(own.c.properties, constant("date")).label("about"),
            case((told, literal_column("1")), else_=literal_column("0")).label("changed"),
        ]
    found = _layer(
        "found",
        select(
            wave.c.partition,
            wave.c.contact,
            microseconds_of(known_since).label("at"),
            sql.zone.label("zone"),
            value(trigger.date, row, sql.dialect).label("text"),
            # What this very event has told is over.
            case(
                (wave.c.dedup_key == key_of(own), null()),
                else_=microseconds_of(standing(own)),
            ).label("standing"),
            own.c.kind.is_not(None).label("known"),
            *late,
        )
        .select_from(wave.join(contact, WAVE_CONTACT).outerjoin(own, is_own))
        .where(in_pass(wave), or_(wave.c.n < 0, _concerns(trigger))),
    )
    of_text = beginning_of if is_date else instant_of_text
    found = _layer("read", select(*found.c, of_text(found.c.text).label("given")))
    local = found
    if not is_date:
        shown = local_microseconds(found.c.given, found.c.zone)
        local = _layer("local", select(*found.c, shown.label("shown")))
    shown = found.c.given if is_date else local.c.shown
    set_time: Sql = constant(_since_midnight(trigger))
    # What stands at or before this instant waits to be handled: it is computed as of before.
    ref = case((local.c.standing <= local.c.at, local.c.standing - constant(1)), else_=local.c.at)
    return _layer(
        "known",
        select(
            *(local.c[column.name] for column in found.c),
            shown.label("shown"),
            day_number(shown).label("first_day"),
            (set_time if trigger.at or is_date else shown - midnight(shown)).label("time_of_day"),
            ref.label("ref"),
        ),
    )


def _concerns(trigger: DateTrigger) -> Sql:
    """Whether the contact's own event may move its date, whatever the others of the pass hear of: an `identify` of the
    date or the zone, an update, which does not say of what, that this very date was reached, or that something was
    imported beside the timeline."""

    def says(trait: str) -> Sql:
        return json_has(wave.c.properties, constant(trait))

    cause = json_text(wave.c.properties, constant("cause"))
    return or_(
        handles(CONTACT_UPDATED, SEGMENT_DUE),
        and_(handles(IDENTIFIED), or_(says(trigger.attribute), says("timezone"))),
        and_(handles(DATE_REACHED), cause == _text(trigger.cause)),
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
    kept = [column for column in known.c if column.name not in ("given", "shown", "first_day")]
    placed = _layer("placed", select(*kept, day_of_year(known.c.first_day).label("place")))
    found = _following(trigger, placed, "ref").cte("following").prefix_with("MATERIALIZED")
    # What stood and waited to be handled has moved: then it is what follows this instant. Seldom, so apart.
    moved = and_(found.c.ref < found.c.at, found.c.due.is_distinct_from(found.c.standing))
    again = _layer("moved", select(*(found.c[column.name] for column in placed.c)).where(moved))
    anew = _following(trigger, again, "at").cte("following_anew")
    due = select(*found.c).where(~moved).union_all(select(*anew.c)).cte("reached_yearly")
    if trigger.if_past is not IfPast.ENTER:
        return due
    today = _layer(
        "today", select(*due.c, day_number(local_microseconds(due.c.at, due.c.zone)).label("today"))
    )
    coming = _first_from(today, "today", "coming_day")
    is_past = _reached(trigger, coming, coming.c.coming_day) <= coming.c.at
    return _layer(
        "reached_or_past", select(*coming.c, case((is_past, coming.c.coming_day)).label("past_day"))
    )


def _reached(trigger: DateTrigger, rows: Any, day: Sql) -> Sql:
    """When the date that falls on ``day`` is reached."""
    local = (day + constant(trigger.offset.days)) * constant(DAY) + rows.c.time_of_day
    return utc_microseconds(local, rows.c.zone) + constant(trigger.offset.microseconds)


def _following(trigger: DateTrigger, rows: CTE, after: str) -> Select[Any]:
    """``rows`` with the ``day`` for which the date is first reached after the instant in the column ``after`` (µs), and
    that instant as ``due`` (µs)."""
    moved = constant(trigger.offset.days * DAY) + rows.c.time_of_day
    shown = local_microseconds(rows.c[after] - constant(trigger.offset.microseconds), rows.c.zone)
    start = (day_number(shown - moved) + constant(1)).label(f"from_{after}")
    first = _first_from(_layer(f"after_{after}", select(*rows.c, start)), start.name, f"{after}_day")
    day = first.c[f"{after}_day"]
    timed = _layer(f"timed_{after}", select(*first.c, _reached(trigger, first, day).label(f"{after}_due")))
    day, due = timed.c[f"{after}_day"], timed.c[f"{after}_due"]
    # While the clock shows times for the second time, it was the first that counted: the next is in another year.
    is_over = due <= timed.c[after]
    another = falls_on(year_of(day) + constant(1), timed.c.place)
    return select(
        *(timed.c[column.name] for column in rows.c),
        case((is_over, another), else_=day).label("day"),
        case((is_over, _reached(trigger, timed, another)), else_=due).label("due"),
    )


def _first_from(rows: CTE, start: str, name: str) -> CTE:
    """``rows`` with the first day on which the date falls, from the day in the column ``start`` on, as ``name``."""
    in_year = _layer(f"{start}_year", select(*rows.c, year_of(rows.c[start]).label("year")))
    this = falls_on(in_year.c.year, in_year.c.place)
    following = falls_on(in_year.c.year + constant(1), in_year.c.place)
    day: Sql = case((this >= in_year.c[start], this), else_=following)
    columns = [column for column in in_year.c if column.name not in ("year", start)]
    return _layer(f"{start}_found", select(*columns, day.label(name)))


# A date that is past -------------------------------------------------------------------------------------------------


def _entering(sql: ProgramSql, reached: CTE) -> CTE:
    """Those whose date was past when it became known enter at once, each once a date."""
    entered = run.alias("entered")
    day_text = _day_text(reached.c.past_day, sql.dialect)
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
            reached.c.known,
        ).where(true()),
    )

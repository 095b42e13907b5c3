"""What each message that is decided about together hangs on by itself: its contact, its run, and the clock on their
wall."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    SmallInteger,
    String,
    Subquery,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
)

from runner.journey.graph import Node
from runner.journey.model import BestHour, Delivery, Send, Window
from runner.journey.send_rules import (
    EMPTY_CELL,
    EXPIRED,
    HELD_OUT,
    HOLD,
    LATE,
    ONLY_IF,
    QUIET_HOURS,
    RATE,
    WINDOW,
)
from runner.store.local_time.localtime import local_microseconds, midnight
from runner.store.local_time.windows import HOUR, opening, showing, since_midnight, within
from runner.store.passes.advance import RUN_KEY_AND_INSTANT, at_node
from runner.store.passes.deciding import deciding
from runner.store.passes.program import MOVING_CONTACT, MOVING_RUN, ProgramSql
from runner.store.passes.working import PASS, moving
from runner.store.predicates import predicate, text_value
from runner.store.statement import Connection, Statement
from runner.store.steps.behind import has_message, pass_over
from runner.store.steps.best_hour import best_hour
from runner.store.steps.sends import ADDRESS_OF, blocks, with_consent
from runner.store.tables import contact, run
from runner.store.types import Instant, constant, instant_of, microseconds_of, shifted

LOOK_AGAIN = HOUR
"""How long a message is held at the most before its hold is looked at again."""
_NOTHING: ColumnElement[Any] = cast(null(), Text())
_NEVER: ColumnElement[Any] = cast(null(), Instant())
_LATE_BEFORE = bindparam("late_before", type_=Instant())


def collect(sql: ProgramSql, node: Node, connection: Connection, n: int, late_before: datetime) -> int:
    """Put the runs that are at the send ``node`` in pass ``n`` into ``deciding``; those that have its message already
    go on. Those whose instant is before ``late_before`` are asked later, at the present. Returns how many there are to
    be decided about."""
    send = node.verb
    assert isinstance(send, Send)
    pass_over(sql, node, connection, n)
    collected = sql.once(("collect", node.index), lambda: _collect(sql, node, send))
    return collected.run(connection, n=n, late_before=late_before).rowcount


def _collect(sql: ProgramSql, node: Node, send: Send) -> Statement:
    waits = _waits(sql, send, _here(sql, node, send))
    too_late = and_(waits.c.reason.is_not(None), waits.c.at >= waits.c.expires)
    waiting = and_(waits.c.blocked.is_(None), ~too_late)
    return Statement(
        insert(deciding).from_select(
            [each.name for each in deciding.c],
            select(
                PASS,
                constant(sql.version),
                constant(node.index),
                waits.c.partition,
                waits.c.contact,
                waits.c.run,
                waits.c.at,
                waits.c.since,
                waits.c.expires,
                literal(sql.program.journey.name, String()),
                constant(sql.rules.priority(send)),
                constant(int(bool(sql.rules.caps(send) or send.rate))),
                waits.c.template,
                waits.c.withheld,
                case((waits.c.blocked.is_not(None), waits.c.blocked), (too_late, constant(EXPIRED))),
                case((waiting, waits.c.reason)),
                case((waiting, waits.c.until)),
            ),
        )
    )


def _waits(sql: ProgramSql, send: Send, here: Subquery) -> Subquery:
    """Of each run why it has to wait, if it has to, and until when: the first reason that holds."""
    asked = [
        (reason, until)
        for reason, until in (
            # Whoever has been given a place keeps it; what the clock says is asked when it comes.
            (RATE, here.c.place),
            # Quiet hours that are over are no leave to write now.
            (LATE, here.c.late),
            (HOLD, here.c.hold),
            (QUIET_HOURS, quiet_until(sql, send, here)),
            (WINDOW, window_until(send, here)),
        )
        if until is not None
    ]
    found = select(
        *here.c, *(until.label(f"until_{place}") for place, (_, until) in enumerate(asked))
    ).subquery()
    untils = [(reason, found.c[f"until_{place}"]) for place, (reason, _) in enumerate(asked)]
    reasons = [(until.is_not(None), constant(reason)) for reason, until in untils]
    return select(
        *(found.c[each.name] for each in here.c),
        case(*reasons, else_=_NOTHING).label("reason"),
        case(*((until.is_not(None), until) for _, until in untils), else_=_NEVER).label("until"),
    ).subquery()


def _here(sql: ProgramSql, node: Node, send: Send) -> Subquery:
    """The runs, since when each is here, what its wall clock shows, and why its message may not leave at all."""
    standing = run.c.node == constant(node.index)
    since = case((standing, run.c.arrived_at), else_=moving.c.at)
    rows: FromClause = moving.join(run, MOVING_RUN).join(contact, MOVING_CONTACT)
    utc = microseconds_of(moving.c.at)
    held = [predicate(each.when, sql.row(moving), sql.dialect) for each in sql.rules.holds(send)]
    best = send.window if isinstance(send.window, BestHour) else None
    reads_clock = sql.rules.quiet_hours(send) is not None or send.window is not None
    template = _template(sql, send)
    late = moving.c.at < _LATE_BEFORE
    blocked = [(late, _NOTHING), *_blocked(sql, send, since, template)]
    return (
        select(
            *(each.label(each.name) for each in RUN_KEY_AND_INSTANT),
            since.label("since"),
            shifted(since, constant(send.valid_for.elapsed)).label("expires"),
            template.label("template"),
            _withheld(sql, send).label("withheld"),
            case(*blocked, else_=_NOTHING).label("blocked"),
            sql.zone.label("zone"),
            utc.label("utc"),
            (local_microseconds(utc, sql.zone) if reads_clock else utc).label("local"),
            (best_hour(moving, sql.zone) if best else cast(null(), SmallInteger())).label("best"),
            case((late, moving.c.at)).label("late"),
            (case((or_(*held), shifted(moving.c.at, constant(LOOK_AGAIN)))) if held else _NEVER).label(
                "hold"
            ),
            (
                case(
                    (
                        and_(standing, run.c.deferred == constant(RATE), run.c.due_at > moving.c.at),
                        run.c.due_at,
                    )
                )
                if send.rate
                else _NEVER
            ).label("place"),
        )
        .select_from(with_consent(sql, send, rows))
        .where(at_node(sql, node), *([~has_message(sql, node)] if sql.follows else []))
        .suffix_with("OFFSET 0", dialect="postgresql")
        .subquery()
    )


def _blocked(
    sql: ProgramSql, send: Send, since: ColumnElement[Any], template: ColumnElement[Any]
) -> list[tuple[ColumnElement[bool], Any]]:
    found = dict(blocks(sql, send))
    if send.only_if is not None:
        found[ONLY_IF] = ~predicate(send.only_if, sql.row(moving), sql.dialect)
    if send.cells is not None:
        found[EMPTY_CELL] = template.is_(None)
    found[EXPIRED] = moving.c.at > shifted(since, constant(send.valid_for.elapsed))
    return [(when, constant(reason)) for reason, when in found.items()]


def _template(sql: ProgramSql, send: Send) -> ColumnElement[Any]:
    """The cell that the contact falls into; NULL for the step's only template, or where no cell is written."""
    if send.cells is None:
        return _NOTHING
    row = sql.row(moving)
    name: ColumnElement[str] = literal(send.cells.folder, Text())
    for expression in send.cells.by:
        name = name + literal_column("'/'", Text()) + text_value(expression, row, sql.dialect)
    written = sorted(each for each in sql.rules.templates if send.cells.holds(each))
    empty = _NOTHING if send.cells.empty is None else literal(send.cells.empty, Text())
    if not written:
        return empty
    names = [literal(each, Text()) for each in written]
    return case((name.in_(names), name), else_=empty)


def _withheld(sql: ProgramSql, send: Send) -> ColumnElement[Any]:
    delivery = sql.rules.delivery
    cases: list[tuple[Any, Any]] = [(run.c.held_out, constant(HELD_OUT))]
    otherwise: ColumnElement[Any] = _NOTHING
    if delivery is Delivery.SHADOW:
        otherwise = constant(delivery.value)
    elif delivery is Delivery.SEED:
        address = contact.c[ADDRESS_OF.get(send.channel, "key")]
        seeds = [literal(seed.lower(), Text()) for seed in sql.rules.seeds]
        cases.append((func.lower(address).in_(seeds), _NOTHING))
        otherwise = constant(delivery.value)
    return case(*cases, else_=otherwise)


def quiet_until(sql: ProgramSql, send: Send, here: Subquery) -> ColumnElement[Any] | None:
    quiet = sql.rules.quiet_hours(send)
    if quiet is None:
        return None
    ends = showing(here.c.utc, here.c.local, here.c.zone, constant(since_midnight(quiet.ends)))
    return case((within(here.c.local, quiet.begins, quiet.ends), instant_of(ends)))


def window_until(send: Send, here: Subquery) -> ColumnElement[Any] | None:
    match send.window:
        case Window(begins=begins, ends=ends, days=days):
            begun = instant_of(opening(here.c.utc, here.c.zone, begins, days))
            return case((~within(here.c.local, begins, ends, days), begun))
        case BestHour(within=most, fallback=fallback):
            shown = here.c.local - midnight(here.c.local)
            hour = shown.op("/", precedence=8)(constant(HOUR))
            wanted = case(
                (here.c.best.is_not(None), here.c.best * constant(HOUR)),
                else_=constant(since_midnight(fallback)),
            )
            now = case(
                (here.c.best.is_not(None), hour == here.c.best),
                else_=shown == constant(since_midnight(fallback)),
            )
            latest = microseconds_of(here.c.since) + constant(most.elapsed)
            next_one = showing(here.c.utc, here.c.local, here.c.zone, wanted)
            until = case((next_one < latest, next_one), else_=latest)
            return case((and_(~now, here.c.utc < latest), instant_of(until)))
    return None

"""Until when messages that have been let go, and did not leave then, have to wait: by the contact's clock, and by what
holds them back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, SmallInteger, bindparam, case, cast, func, null, or_, select

from runner.journey.graph import Node
from runner.journey.model import BestHour, Send
from runner.journey.send_rules import HOLD, QUIET_HOURS, WINDOW
from runner.store.local_time.localtime import local_microseconds
from runner.store.passes.program import ProgramSql
from runner.store.predicates import predicate
from runner.store.sending import message_statements as statements
from runner.store.sending.asked_again import leaving, row_of
from runner.store.sending.messages import Held, packed_keys
from runner.store.statement import Connection, Statement
from runner.store.steps.best_hour import best_hour
from runner.store.steps.collect import LOOK_AGAIN, quiet_until, window_until
from runner.store.tables import message
from runner.store.types import Instant, constant, from_microseconds, microseconds_of, shifted

_NOW = bindparam("now", type_=Instant())
_NEVER: ColumnElement[Any] = cast(null(), Instant())


def not_yet(
    connection: Connection, sql: ProgramSql, node: Node, held: Sequence[Held], now: datetime
) -> dict[Held, tuple[str, datetime]]:
    """Of the messages ``held`` of one send those that may not leave at ``now``: why, and when to ask again."""
    send = node.verb
    assert isinstance(send, Send)
    if not (sql.rules.holds(send) or sql.rules.quiet_hours(send) or send.window):
        return {}
    statement = sql.once(("not yet", node.index), lambda: _not_yet(sql, send))
    found = statement.run(connection, batch=packed_keys(held), now=now)
    by_key = {tuple(one.key): one for one in held}
    return {
        by_key[tuple(row[:5])]: (row.reason, from_microseconds(row.until))
        for row in found
        if row.reason is not None
    }


def _not_yet(sql: ProgramSql, send: Send) -> Statement:
    holds = [predicate(each.when, row_of(sql), sql.dialect) for each in sql.rules.holds(send)]
    base = (
        select(
            *statements.KEY,
            _NOW.label("at"),
            microseconds_of(_NOW).label("utc"),
            sql.zone.label("zone"),
            shifted(message.c.expires_at, constant(-send.valid_for.elapsed)).label("since"),
            (case((or_(*holds), shifted(_NOW, constant(LOOK_AGAIN)))) if holds else _NEVER).label(
                "held_until"
            ),
        )
        .select_from(leaving(statements.batch_of(sql.dialect)))
        .suffix_with("OFFSET 0", dialect="postgresql")
        .subquery("base")
    )
    best = isinstance(send.window, BestHour)
    here = (
        select(
            *base.c,
            local_microseconds(base.c.utc, base.c.zone).label("local"),
            (best_hour(base, base.c.zone) if best else cast(null(), SmallInteger())).label("best"),
        )
        .suffix_with("OFFSET 0", dialect="postgresql")
        .subquery("here")
    )
    asked = {
        HOLD: here.c.held_until,
        QUIET_HOURS: quiet_until(sql, send, here),
        WINDOW: window_until(send, here),
    }
    waits = select(
        *here.c, *((_NEVER if until is None else until).label(reason) for reason, until in asked.items())
    ).subquery("waits")
    untils = {reason: waits.c[reason] for reason in asked}
    return Statement(
        select(
            *(waits.c[each.name] for each in statements.KEY),
            case(*((until.is_not(None), constant(reason)) for reason, until in untils.items())).label(
                "reason"
            ),
            microseconds_of(func.coalesce(*untils.values())).label("until"),
        )
    )

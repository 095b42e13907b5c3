"""What messages led to, by message and month: those of journeys. How the sums are made is shared with ``campaigns.py``.

Reads every message of the period: it is for a person who waits for the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    union_all,
)

from runner.journey.catalog import (
    MESSAGE_BOUNCED,
    MESSAGE_CLICKED,
    MESSAGE_COMPLAINED,
    MESSAGE_DELIVERED,
    MESSAGE_OPENED,
    MESSAGE_REPLIED,
    MESSAGE_UNSUBSCRIBED,
)
from runner.journey.values import MILLIONTHS
from runner.store.tables import LET_GO, MessageKind, MessageStatus, conversion, event, message, run
from runner.store.types import Instant, constant, json_text, json_true
from runner.store.watching.called_now import StepNames, step_now

TOLD = {
    "delivered": MESSAGE_DELIVERED,
    "opened": MESSAGE_OPENED,
    "clicked": MESSAGE_CLICKED,
    "replied": MESSAGE_REPLIED,
    "bounced": MESSAGE_BOUNCED,
    "unsubscribed": MESSAGE_UNSUBSCRIBED,
    "complained": MESSAGE_COMPLAINED,
}
"""What may be told of a message after it left, and the event that tells it."""
GONE = (MessageStatus.SENT, MessageStatus.UNKNOWN)
"""The states of a message that has left, as far as anybody knows."""
COUNTS = ("sent", *TOLD, "goals", "valued", "whole", "rest")


@dataclass(frozen=True, kw_only=True)
class Period:
    """What was sent from ``since`` on and before ``until``; None for no such end."""

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, instant: ColumnElement[Any]) -> list[ColumnElement[bool]]:
        return [
            *([instant >= literal(self.since, Instant())] if self.since else ()),
            *([instant < literal(self.until, Instant())] if self.until else ()),
        ]


@dataclass(frozen=True, kw_only=True)
class Led:
    """What the messages of ``step`` (of a journey) or of a campaign (of a tool) led to that were sent in one month.

    ``month`` is a place in the list of months asked for. ``people`` were sent one, ``reached`` of them reached the goal
    after it. ``told`` counts messages of which something was told at least once, ``goals`` goals; ``value`` is
    their sum in millionths, None where none had a value. ``states``: of journeys, messages by state."""

    name: str
    step: str
    channel: str
    month: int
    sent: int
    people: int
    reached: int
    goals: int
    value: int | None
    told: Mapping[str, int]
    states: Mapping[MessageStatus, int]


def span_of(connection: Connection, instant: Any, *among: ColumnElement[bool]) -> tuple[datetime, ...]:
    """The first and the last of the instants, or none."""
    first, last = (found(instant, type_=Instant()) for found in (func.min, func.max))
    return tuple(each for each in connection.execute(select(first, last).where(*among)).one() if each)


def month_of(instant: ColumnElement[Any], begins: Sequence[datetime]) -> ColumnElement[int]:
    """The last of the months, by place, that begin no later than ``instant``."""
    later = [(instant < literal(begin, Instant()), constant(place)) for place, begin in enumerate(begins[1:])]
    last = constant(max(0, len(begins) - 1))
    return case(*later, else_=last) if later else last


def led_to(
    connection: Connection,
    found: Sequence[Select[Any]],
    *,
    by: Sequence[str],
    of_message: Sequence[str],
    more: Sequence[str] = (),
) -> list[Row[Any]]:
    """The rows of ``found``, each a part of what is known of a message, added up ``by`` columns and counted by contact:
    ``people`` and ``reached`` too. Their columns are ``partition`` and ``contact``, ``of_message``, which tell the
    messages of a contact apart, those of ``by``, ``COUNTS`` and ``more``.

    All parts stand in one list, which is grouped: PostgreSQL cannot guess how many rows a grouped part has that is
    joined, and would go through all of it for each message."""
    counts = (*COUNTS, *more)
    parts = union_all(*found).subquery("parts")
    whose = [parts.c[name] for name in (*by, "partition", "contact")]
    each = (
        select(
            *whose,
            *(_at_most_once(name, func.sum(parts.c[name])).label(name) for name in counts),
        )
        .group_by(*whose, *(parts.c[name] for name in of_message))
        .subquery("each")
    )
    of_one = (
        select(*(each.c[name] for name in by), *(func.sum(each.c[name]).label(name) for name in counts))
        .group_by(*(each.c[name] for name in by), each.c.partition, each.c.contact)
        .subquery("of_one")
    )
    rows = (
        select(
            *(of_one.c[name] for name in by),
            *(func.sum(of_one.c[name]).label(name) for name in counts),
            func.sum(one(of_one.c.sent > 0)).label("people"),
            func.sum(one(of_one.c.goals > 0)).label("reached"),
        )
        .group_by(*(of_one.c[name] for name in by))
        .order_by(*(of_one.c[name] for name in by))
    )
    return list(connection.execute(rows))


def _at_most_once(name: str, counted: ColumnElement[Any]) -> ColumnElement[Any]:
    """A message is opened, or not, however often that is told."""
    return one(counted > 0) if name in TOLD else counted


def one(holds: ColumnElement[bool]) -> ColumnElement[int]:
    """1 where something holds, else 0: to be added up."""
    return case((holds, constant(1)), else_=constant(0))


def counts_of(given: Mapping[str, ColumnElement[Any]], more: Sequence[str] = ()) -> list[ColumnElement[Any]]:
    """A column for each of ``COUNTS`` and ``more``: 0 for what is not ``given``."""
    return [given.get(name, constant(0)).label(name) for name in (*COUNTS, *more)]


def goal_counts(value: ColumnElement[Any]) -> dict[str, ColumnElement[Any]]:
    """What one goal counts for, from its value in millionths, which may be NULL. Whole units and the rest stand apart,
    since the sum of many large values would not fit 64 bits, in which SQLite adds."""
    million, zero = constant(MILLIONTHS), constant(0)
    return {
        "goals": constant(1),
        "valued": one(value.is_not(None)),
        "whole": func.coalesce(value // million, zero),
        "rest": func.coalesce(value % million, zero),
    }


def value_of(row: Row[Any]) -> int | None:
    """The sum in millionths that ``goal_counts`` has taken apart."""
    return int(row.whole) * MILLIONTHS + int(row.rest) if row.valued else None


def message_span(connection: Connection, period: Period) -> tuple[datetime, ...]:
    """When the first and the last message of the period were decided about; none where there are none."""
    return span_of(connection, message.c.let_go_at, *period.holds(message.c.let_go_at))


def messages_led(
    connection: Connection,
    period: Period,
    begins: Sequence[datetime],
    journey: str | None,
    names: StepNames,
) -> list[Led]:
    """What the messages of journeys led to, those of held-out runs left out, by the steps as they are called now. A
    message belongs to the month in which policy let it go or blocked it. Served by the primary keys and
    ix_event_history."""
    states = {f"state_{status.value}": one(message.c.status == status.value) for status in MessageStatus}
    columns = (
        message.c.partition,
        message.c.contact,
        message.c.run,
        message.c.visit,
        message.c.journey,
        message.c.step.label("was"),
        step_now(message, names).label("step"),
        message.c.channel,
        month_of(message.c.let_go_at, begins).label("month"),
    )
    wanted = (
        *period.holds(message.c.let_go_at),
        *([message.c.journey == journey] if journey else ()),
        message.c.kind == constant(MessageKind.MESSAGE.value),
        ~run.c.held_out,
    )
    gone = message.c.status.in_([constant(status.value) for status in GONE])
    told, credited = _told(period), _credited(journey)
    flags = {name: one(told.c.name == event_name) for name, event_name in TOLD.items()}
    found = [
        select(*columns, *counts_of({"sent": one(gone), **states}, tuple(states)))
        .select_from(message.join(run, _of_run()))
        .where(*wanted),
        select(*columns, *counts_of(flags, tuple(states)))
        .select_from(told.join(message, _of_message(told)).join(run, _of_run()))
        .where(*wanted),
        select(*columns, *counts_of(goal_counts(credited.c.value), tuple(states)))
        .select_from(credited.join(message, _of_message(credited)).join(run, _of_run()))
        .where(*wanted, gone, credited.c.nth == constant(1)),
    ]
    by = ("journey", "step", "channel", "month")
    rows = led_to(connection, found, by=by, of_message=("run", "visit", "was"), more=tuple(states))
    return [
        Led(
            name=row.journey,
            step=row.step,
            channel=row.channel,
            month=row.month,
            sent=int(row.sent),
            people=int(row.people),
            reached=int(row.reached),
            goals=int(row.goals),
            value=value_of(row),
            told={name: int(getattr(row, name)) for name in TOLD},
            states={
                status: count
                for status in MessageStatus
                if (count := int(getattr(row, f"state_{status.value}")))
            },
        )
        for row in rows
    ]


def _of_run() -> ColumnElement[bool]:
    return and_(
        run.c.partition == message.c.partition,
        run.c.contact == message.c.contact,
        run.c.id == message.c.run,
    )


def _of_message(other: FromClause) -> ColumnElement[bool]:
    return and_(*(other.c[key.name] == key for key in message.primary_key.columns))


def _told(period: Period) -> FromClause:
    """What was told of messages, by humans, and of which; no bounce that passes. It cannot have been before the message
    was decided about."""
    run_number, visit = (
        cast(json_text(event.c.properties, constant(name)), BigInteger()) // constant(MILLIONTHS)
        for name in ("run", "visit")
    )
    return (
        select(
            event.c.partition,
            event.c.contact,
            event.c.name,
            run_number.label("run"),
            json_text(event.c.properties, constant("step")).label("step"),
            func.coalesce(visit, constant(1)).label("visit"),
        )
        .where(
            event.c.name.in_(list(TOLD.values())),
            ~json_true(event.c.properties, constant("bot")),
            or_(event.c.name != MESSAGE_BOUNCED, ~json_true(event.c.properties, constant("soft"))),
            *Period(since=period.since).holds(event.c.at),
        )
        .subquery("told")
    )


def _credited(journey: str | None) -> FromClause:
    """The goals, and the messages of their runs that stand before them with that step; the last has ``nth`` 1."""
    let_go = message.alias("let_go")
    nth = func.row_number().over(
        partition_by=(conversion.c.partition, conversion.c.contact, conversion.c.run, conversion.c.event),
        order_by=(let_go.c.let_go_at.desc(), let_go.c.visit.desc()),
    )
    return (
        select(
            *(let_go.c[key.name] for key in message.primary_key.columns), conversion.c.value, nth.label("nth")
        )
        .select_from(
            conversion.join(
                let_go,
                and_(
                    let_go.c.partition == conversion.c.partition,
                    let_go.c.contact == conversion.c.contact,
                    let_go.c.run == conversion.c.run,
                    let_go.c.step == conversion.c.step,
                    let_go.c.let_go_at <= conversion.c.at,
                    let_go.c.status.in_([constant(status.value) for status in LET_GO]),
                ),
            )
        )
        .where(*([conversion.c.journey == journey] if journey else ()))
        .subquery("credited")
    )

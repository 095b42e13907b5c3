"""What happened to all contacts together: counts a journey and step, and every message as a line.

Each query groups in the database, so that its answer has a row per journey, step and reason, however many
contacts there are. Contacts are counted once each; ids of contacts count within their partition, so both go
into the grouping.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, case, func, select

from runner.journey.values import MILLIONTHS
from runner.store.sending.message_statements import POSSIBLE_DUPLICATE
from runner.store.tables import (
    LET_GO,
    MessageStatus,
    RunStatus,
    contact,
    conversion,
    event,
    message,
    run,
    step_log,
    suppressed_address,
    suppression,
)
from runner.store.types import constant
from runner.store.watching.called_now import NO_NAMES, StepNames, with_names

ROWS_AT_ONCE = 5_000
"""How many rows of a long answer are held in memory."""


@dataclass(frozen=True, kw_only=True)
class RunCount:
    """Runs of ``journey`` that share a status, a reason and (while active) the step that they stand on."""

    journey: str
    status: RunStatus
    reason: str | None
    step: str | None
    runs: int


@dataclass(frozen=True, kw_only=True)
class EntryCount:
    """Runs of ``journey``, and how many contacts they belong to; ``held_out`` of these were held out."""

    journey: str
    runs: int
    contacts: int
    held_out: int


@dataclass(frozen=True, kw_only=True)
class MessageCount:
    """How many messages of a step have a status and reason, and to how many contacts."""

    journey: str
    step: str
    channel: str
    status: MessageStatus
    reason: str | None
    messages: int
    contacts: int


@dataclass(frozen=True, kw_only=True)
class ConversionCount:
    """Goals reached within their window, by runs that were held out or by the others. ``value`` is a sum in millionths;
    None where no goal had a value."""

    journey: str
    held_out: bool
    conversions: int
    contacts: int
    value: int | None


@dataclass(frozen=True, kw_only=True)
class Totals:
    """``first`` and ``last`` are the instants of the earliest and the latest event; None without any. ``suppressed``
    are the addresses to which nothing is sent."""

    contacts: int
    events: int
    pending: int
    first: datetime | None
    last: datetime | None
    suppressed: int = 0


@dataclass(frozen=True, kw_only=True)
class MessageLine:
    """One message. ``at`` is the instant at which policy let it go or blocked it (aware, UTC)."""

    contact: str
    journey: str
    step: str
    channel: str
    at: datetime
    status: MessageStatus
    reason: str | None

    @property
    def let_go(self) -> bool:
        """Whether policy let it go, whatever became of it afterwards."""
        return self.status in LET_GO


def run_counts(connection: Connection, names: StepNames = NO_NAMES) -> list[RunCount]:
    """How many runs of each journey stand on each step, or ended for each reason."""
    named = with_names(run, names)
    counted = (
        select(named.c.journey, named.c.status, named.c.reason, named.c.step, func.count().label("runs"))
        .group_by(named.c.journey, named.c.status, named.c.reason, named.c.step)
        .order_by(named.c.journey, named.c.status, named.c.reason, named.c.step)
    )
    return [
        RunCount(
            journey=row.journey,
            status=RunStatus(row.status),
            reason=row.reason,
            step=row.step,
            runs=row.runs,
        )
        for row in connection.execute(counted)
    ]


def entry_counts(connection: Connection) -> list[EntryCount]:
    """How many times each journey was entered, and by how many contacts."""
    one_contact = (
        select(
            run.c.journey,
            func.count().label("runs"),
            func.max(case((run.c.held_out, 1), else_=0)).label("held_out"),
        )
        .group_by(run.c.journey, run.c.partition, run.c.contact)
        .subquery()
    )
    counted = (
        select(
            one_contact.c.journey,
            func.sum(one_contact.c.runs).label("runs"),
            func.count().label("contacts"),
            func.sum(one_contact.c.held_out).label("held_out"),
        )
        .group_by(one_contact.c.journey)
        .order_by(one_contact.c.journey)
    )
    return [
        EntryCount(journey=row.journey, runs=int(row.runs), contacts=row.contacts, held_out=int(row.held_out))
        for row in connection.execute(counted)
    ]


def left_by(connection: Connection, outcome: str) -> dict[tuple[str, str], int]:
    """How many times runs left a step by ``outcome``, by journey and step: reads every step of every run."""
    same = and_(
        run.c.partition == step_log.c.partition,
        run.c.contact == step_log.c.contact,
        run.c.id == step_log.c.run,
    )
    counted = (
        select(run.c.journey, step_log.c.step, func.count().label("times"))
        .select_from(step_log.join(run, same))
        .where(step_log.c.outcome == constant(outcome))
        .group_by(run.c.journey, step_log.c.step)
    )
    return {(row.journey, row.step): row.times for row in connection.execute(counted)}


def active_by_version(connection: Connection) -> dict[tuple[str, int], int]:
    """How many runs are on, by (journey, version id)."""
    counted = (
        select(run.c.journey, run.c.version, func.count().label("runs"))
        .where(run.c.status == RunStatus.ACTIVE)
        .group_by(run.c.journey, run.c.version)
    )
    return {(row.journey, row.version): row.runs for row in connection.execute(counted)}


def message_counts(connection: Connection, names: StepNames = NO_NAMES) -> list[MessageCount]:
    """How many messages of each step are in each state, for each reason, and to how many contacts."""
    named = with_names(message, names)
    kind = (named.c.journey, named.c.step, named.c.channel, named.c.status, named.c.reason)
    one_contact = (
        select(*kind, func.count().label("messages"))
        .group_by(*kind, named.c.partition, named.c.contact)
        .subquery()
    )
    grouped = [one_contact.c[column.name] for column in kind]
    counted = (
        select(*grouped, func.sum(one_contact.c.messages).label("messages"), func.count().label("contacts"))
        .group_by(*grouped)
        .order_by(*grouped)
    )
    return [
        MessageCount(
            journey=row.journey,
            step=row.step,
            channel=row.channel,
            status=MessageStatus(row.status),
            reason=row.reason,
            messages=int(row.messages),
            contacts=row.contacts,
        )
        for row in connection.execute(counted)
    ]


def message_states(connection: Connection) -> dict[tuple[MessageStatus, str | None], int]:
    """How many messages are in each state; by reason where that is a word of ours: those that policy blocked, and
    those that may have arrived twice. Looks at every message there is, so it is not to be asked all the time."""
    blocked = message.c.status == constant(MessageStatus.BLOCKED.value)
    twice = message.c.reason == constant(POSSIBLE_DUPLICATE)
    counted = select(
        message.c.status,
        case((blocked | twice, message.c.reason)).label("why"),
        func.count().label("messages"),
    ).group_by("status", "why")
    return {(MessageStatus(row.status), row.why): row.messages for row in connection.execute(counted)}


def recipient_counts(connection: Connection, names: StepNames = NO_NAMES) -> dict[tuple[str, str, str], int]:
    """How many contacts were let go at least one message that was not withheld, by (journey, step, channel)."""
    named = with_names(message, names)
    kind = (named.c.journey, named.c.step, named.c.channel)
    one_contact = (
        select(*kind)
        .where(named.c.status.in_(LET_GO), named.c.status != MessageStatus.WITHHELD)
        .group_by(*kind, named.c.partition, named.c.contact)
        .subquery()
    )
    grouped = [one_contact.c[column.name] for column in kind]
    counted = select(*grouped, func.count().label("contacts")).group_by(*grouped)
    return {(row.journey, row.step, row.channel): row.contacts for row in connection.execute(counted)}


def conversion_counts(connection: Connection) -> list[ConversionCount]:
    """How often each journey's goal was reached, by how many contacts, and the sum of its values: those of runs that
    were held out, and those of the others.

    Whole units and the rest are added apart: the sum of many values near the largest number would not fit an
    integer of 64 bits, in which SQLite adds.
    """
    million = constant(MILLIONTHS)
    whole = func.sum(conversion.c.value // million)
    rest = func.sum(conversion.c.value % million)
    one_contact = (
        select(
            conversion.c.journey,
            run.c.held_out,
            func.count().label("conversions"),
            func.count(conversion.c.value).label("valued"),
            whole.label("whole"),
            rest.label("rest"),
        )
        .join(
            run,
            (run.c.partition == conversion.c.partition)
            & (run.c.contact == conversion.c.contact)
            & (run.c.id == conversion.c.run),
        )
        .group_by(conversion.c.journey, run.c.held_out, conversion.c.partition, conversion.c.contact)
        .subquery()
    )
    counted = (
        select(
            one_contact.c.journey,
            one_contact.c.held_out,
            func.sum(one_contact.c.conversions).label("conversions"),
            func.count().label("contacts"),
            func.sum(one_contact.c.valued).label("valued"),
            func.sum(one_contact.c.whole).label("whole"),
            func.sum(one_contact.c.rest).label("rest"),
        )
        .group_by(one_contact.c.journey, one_contact.c.held_out)
        .order_by(one_contact.c.journey, one_contact.c.held_out)
    )
    return [
        ConversionCount(
            journey=row.journey,
            held_out=row.held_out,
            conversions=int(row.conversions),
            contacts=row.contacts,
            value=int(row.whole) * MILLIONTHS + int(row.rest) if row.valued else None,
        )
        for row in connection.execute(counted)
    ]


def totals(connection: Connection) -> Totals:
    """How much the database holds, and the time that its events span."""
    people = connection.execute(select(func.count()).select_from(contact)).scalar_one()
    row = connection.execute(
        select(
            func.count().label("events"),
            func.coalesce(func.sum(case((event.c.pending, 1), else_=0)), 0).label("pending"),
            func.min(event.c.at, type_=event.c.at.type).label("first"),
            func.max(event.c.at, type_=event.c.at.type).label("last"),
        )
    ).one()
    noted, to_note = (
        connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()
        for table, where in ((suppressed_address, ()), (suppression, (suppression.c.noted.is_(None),)))
    )
    return Totals(
        contacts=people,
        events=row.events,
        pending=int(row.pending),
        first=row.first,
        last=row.last,
        suppressed=noted + to_note,
    )


def message_lines(connection: Connection) -> Iterator[MessageLine]:
    """Every message, by instant, contact, journey and step; held in memory a few thousand at a time."""
    lines = (
        select(
            contact.c.key,
            message.c.journey,
            message.c.step,
            message.c.channel,
            message.c.let_go_at,
            message.c.status,
            message.c.reason,
        )
        .join(contact, (contact.c.partition == message.c.partition) & (contact.c.id == message.c.contact))
        .order_by(
            message.c.let_go_at,
            contact.c.key,
            message.c.journey,
            message.c.step,
            message.c.run,
            message.c.visit,
        )
    )
    for row in _streamed(connection, lines):
        yield MessageLine(
            contact=row.key,
            journey=row.journey,
            step=row.step,
            channel=row.channel,
            at=row.let_go_at,
            status=MessageStatus(row.status),
            reason=row.reason,
        )


def _streamed(connection: Connection, query: Select[Any]) -> Iterator[Row[Any]]:
    """The rows of a long answer, fetched in portions."""
    options = {"stream_results": True, "yield_per": ROWS_AT_ONCE}
    with connection.execute(query, execution_options=options) as rows:
        yield from rows

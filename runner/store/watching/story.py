"""One contact's story: what arrived, which runs began and ended, which steps they left, what was decided to
be sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    or_,
    select,
)

from runner.journey.catalog import CONTACT_UPDATED
from runner.store.journeys.states import paused_journeys
from runner.store.sending.messages import MessageKey
from runner.store.tables import (
    LET_GO,
    MessageKind,
    MessageStatus,
    RunStatus,
    audit,
    contact,
    deferral,
    event,
    journey_version,
    message,
    run,
    step_log,
)
from runner.store.types import constant


class Chapter(StrEnum):
    """What one entry of a story is about; in the order of what happens at one instant to one run."""

    RECEIVED = "received"  # an event was handled
    ENTERED = "entered"  # a run began
    DEFERRED = "deferred"  # policy let a run stand at its send
    LEFT = "left"  # a run left a step; of a send, with its message
    STANDS = "stands"  # a run stands on a step, since then
    ENDED = "ended"  # a run ended


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of a story. ``step`` is set for what happens at a step; ``outcome`` is the way a step was
    left, the reason of an exit, or None. ``status`` is that of the run that ended. ``message`` is that of a
    send. ``per`` is the value of ``entry.per`` of the run, empty where there is none; ``due_at`` is when the wait
    on which a run stands ends by itself, or when a message that was deferred is looked at again; then ``outcome`` says
    why. ``properties`` are those of what was received, in their stored form. ``paused``: the run stands there, or its
    message is kept back, while the journey is paused. ``carried``: how often a run that stands or has ended was carried
    over into another version, and ``version`` the hash of the one in which it is by now, where it was, since
    ``carried_at``; that is None where it was not written down."""

    at: datetime
    chapter: Chapter
    name: str
    run: int = 0
    event: int = 0
    node: int = 0
    step: str | None = None
    outcome: str | None = None
    status: RunStatus | None = None
    message: MessageDecision | None = None
    per: str = ""
    due_at: datetime | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    paused: bool = False
    carried: int = 0
    version: str | None = None
    carried_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class MessageDecision:
    """What policy decided about a message, and what became of it. ``available_at``: while it is ready, when it may be
    handed over (next)."""

    key: MessageKey
    channel: str
    status: MessageStatus
    reason: str | None
    template: str | None = None
    available_at: datetime | None = None

    @property
    def let_go(self) -> bool:
        return self.status in LET_GO


def story(connection: Connection, key: str) -> tuple[Entry, ...]:
    """All that happened to the contact ``key``, in order of time; empty where there is no such contact.

    ``Entry.name`` is the event's name for what was received, and the journey's for all else.
    """
    found = connection.execute(select(contact.c.partition, contact.c.id).where(contact.c.key == key)).first()
    if found is None:
        return ()
    partition, contact_id = found

    def own(table: Table) -> ColumnElement[bool]:
        return and_(table.c.partition == partition, table.c.contact == contact_id)

    paused = paused_journeys(connection)
    entries = [
        *_received(connection, own(event)),
        *_runs(connection, own(run), paused),
        *_steps(connection, own(step_log), paused),
        *_deferrals(connection, own(deferral)),
    ]
    order = list(Chapter)
    # At one instant what arrived comes first, then each run for itself, in the order of its nodes.
    return tuple(
        sorted(
            entries,
            key=lambda entry: (entry.at, entry.run, entry.event, order.index(entry.chapter), entry.node),
        )
    )


def _received(connection: Connection, own: ColumnElement[bool]) -> Iterator[Entry]:
    rows = connection.execute(
        select(event.c.id, event.c.at, event.c.name, event.c.properties)
        .where(own, ~event.c.pending, event.c.name != CONTACT_UPDATED)
        .order_by(event.c.at, event.c.id)
    )
    for row in rows:
        yield Entry(
            at=row.at, chapter=Chapter.RECEIVED, name=row.name, event=row.id, properties=row.properties
        )


def _runs(connection: Connection, own: ColumnElement[bool], paused: frozenset[str]) -> Iterator[Entry]:
    columns: tuple[Any, ...] = (
        run.c.id,
        run.c.journey,
        run.c.per,
        run.c.due_at,
        run.c.deferred,
        run.c.status,
        run.c.reason,
        run.c.step,
        run.c.node,
        run.c.arrived_at,
        run.c.entered_at,
        run.c.ended_at,
        run.c.carried,
        journey_version.c.hash,
    )
    of_version = journey_version.c.id == run.c.version
    rows = connection.execute(select(*columns).join(journey_version, of_version).where(own)).all()
    applied = _applied(connection, {row.journey for row in rows if row.carried})
    for row in rows:
        into, carried_at = row.hash if row.carried else None, None
        for at in applied.get((row.journey, into), ()):
            if row.entered_at <= at and (row.ended_at is None or at <= row.ended_at):
                carried_at = at
        yield Entry(at=row.entered_at, chapter=Chapter.ENTERED, name=row.journey, run=row.id, per=row.per)
        if row.ended_at is None:
            yield Entry(
                at=row.arrived_at,
                chapter=Chapter.STANDS,
                name=row.journey,
                run=row.id,
                per=row.per,
                due_at=row.due_at,
                node=row.node or 0,
                step=row.step,
                outcome=row.deferred,
                paused=row.journey in paused,
                carried=row.carried,
                version=into,
                carried_at=carried_at,
            )
        else:
            yield Entry(
                at=row.ended_at,
                chapter=Chapter.ENDED,
                name=row.journey,
                run=row.id,
                per=row.per,
                outcome=row.reason,
                status=RunStatus(row.status),
                carried=row.carried,
                version=into,
                carried_at=carried_at,
            )


def _applied(
    connection: Connection, journeys: Collection[str]
) -> dict[tuple[str, str | None], list[datetime]]:
    """By journey and the hash of a version, when it was applied, the earliest first."""
    found: dict[tuple[str, str | None], list[datetime]] = {}
    for name in journeys:
        rows = select(audit.c.at, audit.c.detail).where(audit.c.what == f"apply {name}").order_by(audit.c.id)
        for row in connection.execute(rows):
            found.setdefault((name, row.detail["hash"]), []).append(row.at)
    return found


def _steps(connection: Connection, own: ColumnElement[bool], paused: frozenset[str]) -> Iterator[Entry]:
    """The steps that runs left. A send is left when policy has decided, so its message is there."""
    rows = connection.execute(
        select(
            step_log.c.partition,
            step_log.c.contact,
            step_log.c.at,
            step_log.c.run,
            message.c.visit,
            step_log.c.node,
            step_log.c.step,
            step_log.c.outcome,
            run.c.journey,
            run.c.per,
            message.c.channel,
            message.c.status,
            message.c.reason,
            message.c.template,
            message.c.available_at,
        )
        .join(
            run,
            and_(
                run.c.partition == step_log.c.partition,
                run.c.contact == step_log.c.contact,
                run.c.id == step_log.c.run,
            ),
        )
        .outerjoin(
            message,
            and_(
                message.c.partition == step_log.c.partition,
                message.c.contact == step_log.c.contact,
                message.c.run == step_log.c.run,
                message.c.step == step_log.c.step,
                # Each visit to a send has one message, let go as the step was left. A step that is come to once more
                # in another version has none of its own then.
                or_(
                    and_(run.c.carried == 0, message.c.visit == step_log.c.visit),
                    message.c.let_go_at == step_log.c.at,
                ),
                message.c.kind == constant(MessageKind.MESSAGE.value),
            ),
        )
        .where(own)
    )
    for row in rows:
        yield Entry(
            at=row.at,
            chapter=Chapter.LEFT,
            name=row.journey,
            run=row.run,
            per=row.per,
            node=row.node,
            step=row.step,
            outcome=row.outcome,
            paused=row.status == MessageStatus.READY and row.journey in paused,
            message=None
            if row.channel is None
            else MessageDecision(
                key=MessageKey(row.partition, row.contact, row.run, row.step, row.visit),
                channel=row.channel,
                status=MessageStatus(row.status),
                reason=row.reason,
                template=row.template,
                available_at=row.available_at,
            ),
        )


def _deferrals(connection: Connection, own: ColumnElement[bool]) -> Iterator[Entry]:
    """When policy let a run stand at its send, why, and until when."""
    of_run = and_(
        run.c.partition == deferral.c.partition,
        run.c.contact == deferral.c.contact,
        run.c.id == deferral.c.run,
    )
    rows = connection.execute(
        select(
            deferral.c.at,
            deferral.c.run,
            deferral.c.node,
            deferral.c.step,
            deferral.c.reason,
            deferral.c.until,
            run.c.journey,
            run.c.per,
        )
        .join(run, of_run)
        .where(own)
    )
    for row in rows:
        yield Entry(
            at=row.at,
            chapter=Chapter.DEFERRED,
            name=row.journey,
            run=row.run,
            per=row.per,
            node=row.node,
            step=row.step,
            outcome=row.reason,
            due_at=row.until,
        )

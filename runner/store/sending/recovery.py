"""Messages in doubt, and what a restored backup may have done already: looked up, counted, and put in their places."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, tuple_

from runner.store.sending.messages import Held, MessageKey
from runner.store.tables import MessageStatus, RunStatus, contact, event, message, run
from runner.store.types import constant

_KEY = (message.c.partition, message.c.contact, message.c.run, message.c.step, message.c.visit)
_OF_CONTACT = and_(contact.c.partition == message.c.partition, contact.c.id == message.c.contact)
_OF_RUN = and_(
    run.c.partition == message.c.partition, run.c.contact == message.c.contact, run.c.id == message.c.run
)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A message as an operator sees it. ``entered_at`` is when its run began."""

    held: Held
    contact_key: str
    made_in: int | None
    journey: str
    version: int
    channel: str
    topic: str
    status: MessageStatus
    reason: str | None
    let_go_at: datetime
    expires_at: datetime
    sent_at: datetime | None
    provider_id: str | None
    entered_at: datetime


def listed(
    connection: Connection,
    status: MessageStatus,
    *,
    journey: str | None = None,
    reason: str | None = None,
    limit: int,
) -> tuple[Listed, ...]:
    """Up to ``limit`` messages with ``status``, in the order in which they were let go; those of one journey or with
    one reason, where these are given. Unknown ones are served by ``ix_message_unknown``."""
    where = [message.c.status == constant(status.value)]
    if journey is not None:
        where.append(message.c.journey == journey)
    if reason is not None:
        where.append(message.c.reason == reason)
    return _listed(connection, where, limit)


def resendable(
    connection: Connection,
    steps: Collection[tuple[int, str]],
    *,
    now: datetime,
    attempts_below: int,
    limit: int,
) -> tuple[Listed, ...]:
    """Up to ``limit`` unknown messages of ``steps`` (version and step) that have not expired at ``now`` and were
    claimed fewer than ``attempts_below`` times. Served by ``ix_message_unknown``."""
    where = [
        message.c.status == constant(MessageStatus.UNKNOWN.value),
        tuple_(message.c.version, message.c.step).in_(sorted(steps)),
        message.c.expires_at > now,
        message.c.attempts < attempts_below,
    ]
    return _listed(connection, where, limit)


def _listed(connection: Connection, where: Sequence[ColumnElement[bool]], limit: int) -> tuple[Listed, ...]:
    rows = connection.execute(
        select(message, contact.c.key, contact.c.made_in, run.c.entered_at)
        .select_from(message.join(contact, _OF_CONTACT).join(run, _OF_RUN))
        .where(*where)
        .order_by(message.c.let_go_at, *_KEY)
        .limit(limit)
    )
    return tuple(
        Listed(
            held=Held(MessageKey(row.partition, row.contact, row.run, row.step, row.visit), row.attempts),
            contact_key=row.key,
            made_in=row.made_in,
            journey=row.journey,
            version=row.version,
            channel=row.channel,
            topic=row.topic,
            status=MessageStatus(row.status),
            reason=row.reason,
            let_go_at=row.let_go_at,
            expires_at=row.expires_at,
            sent_at=row.sent_at,
            provider_id=row.provider_id,
            entered_at=row.entered_at,
        )
        for row in rows
    )


@dataclass(frozen=True, kw_only=True)
class SinceBackup:
    """What a restored database would do at once, and may have done before. ``messages`` wait or were on their way;
    ``runs`` are due; ``events`` have not been handled. ``newest`` is the last instant at which somebody was moved or
    written to: it was backed up after that. ``leased_until`` is the end of the last lease, if a message is held."""

    messages: int
    runs: int
    events: int
    newest: datetime | None
    leased_until: datetime | None


def since_backup(connection: Connection, now: datetime) -> SinceBackup:
    """The restored database at ``now``. Reads whole tables: for a command, not for a tick."""
    held = message.c.status.in_(
        [constant(status.value) for status in (MessageStatus.CLAIMED, MessageStatus.SENDING)]
    )
    ready = and_(message.c.status == constant(MessageStatus.READY.value), message.c.available_at <= now)
    due = and_(run.c.status == constant(RunStatus.ACTIVE.value), run.c.next_at <= now)
    known = [
        connection.execute(select(func.max(column))).scalar()
        for column in (message.c.sent_at, run.c.arrived_at)
    ]
    return SinceBackup(
        messages=connection.execute(
            select(func.count()).select_from(message).where(or_(ready, held))
        ).scalar_one(),
        runs=connection.execute(select(func.count()).select_from(run).where(due)).scalar_one(),
        events=connection.execute(
            select(func.count()).select_from(event).where(event.c.pending)
        ).scalar_one(),
        newest=max((instant for instant in known if instant is not None), default=None),
        leased_until=connection.execute(select(func.max(message.c.lease_until)).where(held)).scalar(),
    )

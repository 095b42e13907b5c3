"""Messages in doubt, and what a restored backup may have done already: looked up, counted, and put in their places."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, tuple_

from runner.store.journeys.states import NEVER
from runner.store.sending.messages import Held, MessageKey
from runner.store.tables import MessageStatus, RunStatus, contact, event, message, run
from runner.store.types import constant

_KEY = ("partition", "contact", "run", "step", "visit")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A message as an operator sees it. ``available_at``: while it is ready, when it may be handed over (next);
    ``lease_until``: while somebody hands it over, until when it is theirs.
    ``entered_at`` is when its run began."""

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
    available_at: datetime | None
    lease_until: datetime | None
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
    return _listed(connection, _those(status, journey, reason), limit)


def newest(
    connection: Connection,
    status: MessageStatus | None = None,
    *,
    journey: str | None = None,
    reason: str | None = None,
    limit: int,
) -> tuple[tuple[Listed, ...], int]:
    """Up to ``limit`` messages, those first that were let go last, and how many more there are; of one status, journey
    or reason, where these are given. Reads the whole table: for a command, not for a tick."""
    where = _those(status, journey, reason)
    rows = _listed(connection, where, limit, newest_first=True)
    if len(rows) < limit:
        return rows, 0
    count = connection.execute(select(func.count()).select_from(message).where(*where)).scalar_one()
    return rows, count - len(rows)


def _those(
    status: MessageStatus | None, journey: str | None, reason: str | None
) -> list[ColumnElement[bool]]:
    where = []
    if status is not None:
        where.append(message.c.status == constant(status.value))
    if journey is not None:
        where.append(message.c.journey == journey)
    if reason is not None:
        where.append(message.c.reason == reason)
    return where


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


def _listed(
    connection: Connection,
    where: Sequence[ColumnElement[bool]],
    limit: int,
    *,
    newest_first: bool = False,
) -> tuple[Listed, ...]:
    def ordered(rows: Any) -> tuple[ColumnElement[Any], ...]:
        at = rows.c.let_go_at
        return (at.desc() if newest_first else at, *(rows.c[name] for name in _KEY))

    # Chosen before they are joined with what is known of their contacts and runs.
    found = select(message).where(*where).order_by(*ordered(message)).limit(limit).subquery("found")
    of_contact = and_(contact.c.partition == found.c.partition, contact.c.id == found.c.contact)
    of_run = and_(
        run.c.partition == found.c.partition, run.c.contact == found.c.contact, run.c.id == found.c.run
    )
    rows = connection.execute(
        select(found, contact.c.key, contact.c.made_in, run.c.entered_at)
        .select_from(found.join(contact, of_contact).join(run, of_run))
        .order_by(*ordered(found))
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
            available_at=row.available_at,
            lease_until=row.lease_until,
            sent_at=row.sent_at,
            provider_id=row.provider_id if row.sent_at is not None else None,
            entered_at=row.entered_at,
        )
        for row in rows
    )


def kept_by_pauses(connection: Connection) -> dict[str, int]:
    """How many messages wait for a paused journey to be resumed, by journey. Served by ``ix_message_ready``."""
    kept = (
        select(message.c.journey, func.count())
        .where(message.c.status == constant(MessageStatus.READY.value), message.c.available_at >= NEVER)
        .group_by(message.c.journey)
        .order_by(message.c.journey)
    )
    return dict(connection.execute(kept).tuples().all())


def to_try_again(connection: Connection, now: datetime) -> tuple[int, datetime | None]:
    """How many messages have been tried in vain and wait at ``now`` for their next attempt, and when the first of them
    is to be tried. Served by ``ix_message_ready``."""
    count, first = connection.execute(
        select(func.count(), func.min(message.c.available_at)).where(
            message.c.status == constant(MessageStatus.READY.value),
            message.c.available_at > now,
            # What a pause keeps back waits for nothing but its end.
            message.c.available_at < NEVER,
            message.c.attempts > 0,
        )
    ).one()
    return count, first


def held_at(connection: Connection, now: datetime) -> tuple[int, datetime | None]:
    """How many messages are held by somebody whose lease is not over at ``now``, and the end of the last lease. Served
    by ``ix_message_held``."""
    count, until = connection.execute(
        select(func.count(), func.max(message.c.lease_until)).where(message.c.lease_until > now)
    ).one()
    return count, until


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

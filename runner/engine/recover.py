"""Takes back what dead processes left behind, so that no message stays held for ever and none is sent twice."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from channels.base import Channel, Message, Recoverable, Result, RetryLater, Sent
from runner.engine.outcome import Delivered
from runner.engine.prepare import idempotency_key
from runner.store.database import Database
from runner.store.sending import messages
from runner.store.sending.messages import Change, MessageKey
from runner.store.tables import MessageStatus

logger = logging.getLogger(__name__)


BATCH = 1_000
"""How many messages of each kind are taken back at a time."""
END_OF_TIME = datetime(9000, 1, 1, tzinfo=UTC)


def recover(
    database: Database, channels: Mapping[str, Channel], now: datetime, *, alone: bool = False
) -> Delivered:
    """Take back what processes left behind that died, or hang: messages whose lease ran out by ``now``.

    Claimed ones are ready again. One that was being handed over is looked up where the channel can do that (``sent``,
    or ready again), and is ``unknown`` where it cannot, or could not when it began. The answer counts what became of
    them; ``retried`` are ready again. ``alone`` says that nobody else is at work, so that leases need not be waited
    for.
    """
    lapsed_by = END_OF_TIME if alone else now
    with database.begin() as connection:
        released = messages.release_lapsed(connection, lapsed_by=lapsed_by, now=now, limit=BATCH)
        interrupted = messages.cut_short(connection, lapsed_by=lapsed_by, limit=BATCH)
    if released:
        logger.warning("claimed messages were given back: their lease ran out", extra={"messages": released})
    changes = []
    for one in interrupted:
        channel = channels.get(one.channel)
        if channel is None:
            continue  # another process may know the channel
        identity = Message(
            idempotency_key=idempotency_key(
                database.deployment.as_of(one.let_go_at), one.held.key, one.made_in
            ),
            recipient="",
            let_go_at=one.let_go_at,
            journey=one.journey,
            step=one.held.key.step,
            contact=one.contact_key,
            locale="",
        )
        reason = "the process ended, or lost its lease, while it handed the message over"
        result: Result | None = None
        if one.askable and isinstance(channel, Recoverable):
            result = channel.look_up(identity)
        match result:
            case Sent(provider_id=provider_id):
                change = Change(held=one.held, to=MessageStatus.SENT, sent_at=now, provider_id=provider_id)
            case RetryLater():
                change = Change(held=one.held, to=MessageStatus.READY, available_at=now)
            case _:
                change = Change(held=one.held, to=MessageStatus.UNKNOWN, reason=reason)
        changes.append(change)
    done: frozenset[MessageKey] = frozenset()
    if changes:
        with database.begin() as connection:
            done = messages.change(connection, MessageStatus.SENDING, changes)
    effective = [change.to for change in changes if change.held.key in done]
    if effective:
        logger.warning(
            "messages were cut short while they were handed over", extra={"messages": len(effective)}
        )
    return Delivered(
        sent=effective.count(MessageStatus.SENT),
        retried=released + effective.count(MessageStatus.READY),
        unknown=effective.count(MessageStatus.UNKNOWN),
    )

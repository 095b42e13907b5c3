"""Messages that may or may not have arrived, where the channel cannot be asked: sent again or held, as their topic
says, until an operator decides."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from runner.engine.outcome import retry_delay
from runner.engine.prepare import idempotency_key
from runner.engine.versions import Version, Versions
from runner.journey.catalog import OnUnknown
from runner.journey.model import Send
from runner.problem import JourneysError
from runner.store.audit import record
from runner.store.database import Database, Deployment
from runner.store.sending import messages, recovery
from runner.store.sending.message_statements import POSSIBLE_DUPLICATE
from runner.store.sending.messages import Change
from runner.store.sending.recovery import Listed
from runner.store.tables import MessageStatus

logger = logging.getLogger(__name__)

BATCH = 1_000
MOST_ATTEMPTS = 3
"""How often a message is handed over at most before it is held whatever its topic says: a receiver that never answers
would else get it over and over."""
SHORTEST_KEY = 8
"""Digits of a message's key that an operator has to give at least."""


class Decision(StrEnum):
    """What an operator has found out about a message, or wants done with it."""

    SENT = "sent"  # it arrived
    RESEND = "resend"  # hand it over again, by the same key
    DROP = "drop"  # never mind


@dataclass(frozen=True, kw_only=True)
class Reconciled:
    """``settled`` messages are as decided. ``expired`` were not resent: they would not leave any more. ``gone`` were
    settled by somebody else meanwhile."""

    settled: int = 0
    expired: int = 0
    gone: int = 0


def resend_unknown(database: Database, versions: Versions, now: datetime) -> int:
    """Make unknown messages ready again whose send or topic wants that (``on_unknown``), later the more attempts there
    were; answers how many. Each may arrive twice, and keeps the reason ``possible_duplicate``."""
    steps = {
        (version.id, node.step.id)
        for version in versions
        for node in version.program.nodes
        if isinstance(node.verb, Send) and _resends(version, node.verb)
    }
    if not steps:
        return 0
    with database.begin() as connection:
        found = recovery.resendable(connection, steps, now=now, attempts_below=MOST_ATTEMPTS, limit=BATCH)
        changes = [
            Change(
                held=one.held,
                to=MessageStatus.READY,
                available_at=now + retry_delay(message_key(database.deployment, one), one.held.attempts),
                reason=POSSIBLE_DUPLICATE,
            )
            for one in found
        ]
        done = messages.change(connection, MessageStatus.UNKNOWN, changes)
    if done:
        logger.warning(
            "messages that may have arrived are sent again, as their topic says",
            extra={"messages": len(done)},
        )
    return len(done)


def _resends(version: Version, send: Send) -> bool:
    """Whether a message that may have arrived is sent again."""
    if send.on_unknown is not None:
        return send.on_unknown is OnUnknown.RESEND
    topic = version.sql.rules.topics.get(send.topic)
    return topic is not None and topic.resends_unknown


def message_key(deployment: Deployment, one: Listed) -> str:
    """The idempotency key of the message, which its Message-ID begins with."""
    return idempotency_key(deployment.as_of(one.let_go_at), one.held.key, one.made_in)


def find_unknown(database: Database, keys: Iterable[str]) -> tuple[Listed, ...]:
    """The unknown messages whose keys begin with ``keys``. Raises JourneysError for a key that is none of theirs, or
    of more than one."""
    with database.read() as connection:
        unknown = recovery.listed(connection, MessageStatus.UNKNOWN, limit=1_000_000)
    by_key = {message_key(database.deployment, one): one for one in unknown}
    found: dict[str, Listed] = {}
    for key in keys:
        wanted = key.strip().lower()
        matches = [whole for whole in by_key if whole.startswith(wanted)]
        if len(wanted) < SHORTEST_KEY or len(matches) != 1:
            why = "no unknown message has" if not matches else f"{len(matches):,} unknown messages have"
            raise JourneysError(
                f"{why} a key that begins with {key!r}"
                if len(wanted) >= SHORTEST_KEY
                else f"{key!r} is too short: give at least {SHORTEST_KEY} digits of the key"
            )
        found[matches[0]] = by_key[matches[0]]
    return tuple(found.values())


def reconcile(
    database: Database, wanted: Sequence[Listed], decision: Decision, *, now: datetime, who: str
) -> Reconciled:
    """Settle ``wanted``, unknown messages, as an operator has decided, and write that down."""
    total = Reconciled()
    for start in range(0, len(wanted), BATCH):
        part = wanted[start : start + BATCH]
        live = [one for one in part if decision is not Decision.RESEND or one.expires_at > now]
        with database.begin() as connection:
            done = messages.change(
                connection, MessageStatus.UNKNOWN, [_decided(one, decision, now) for one in live]
            )
            settled = [one for one in live if one.held.key in done]
            if settled:
                detail = {"messages": [message_key(database.deployment, one) for one in settled]}
                record(
                    connection, at=now, who=who, what=f"messages reconcile {decision.value}", detail=detail
                )
        total = Reconciled(
            settled=total.settled + len(settled),
            expired=total.expired + len(part) - len(live),
            gone=total.gone + len(live) - len(settled),
        )
    return total


def _decided(one: Listed, decision: Decision, now: datetime) -> Change:
    match decision:
        case Decision.SENT:
            return Change(held=one.held, to=MessageStatus.SENT, sent_at=now, provider_id=one.provider_id)
        case Decision.RESEND:
            return Change(held=one.held, to=MessageStatus.READY, available_at=now, reason=POSSIBLE_DUPLICATE)
    return Change(held=one.held, to=MessageStatus.FAILED, reason="dropped by an operator")

"""What becomes of messages: which transition an answer means, when to try again, and how they are counted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta

from channels.base import Rejected, Result, RetryLater, Sent
from runner.engine.prepare import Prepared
from runner.store.sending.messages import Change
from runner.store.tables import MessageStatus

FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(minutes=15)


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """What became of the claimed messages. ``skipped`` were handed back untouched, or were no longer ours."""

    claimed: int = 0
    sent: int = 0
    retried: int = 0
    failed: int = 0
    blocked: int = 0
    unknown: int = 0
    skipped: int = 0

    def __add__(self, other: Delivered) -> Delivered:
        return Delivered(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


@dataclass(kw_only=True)
class Unrecorded:
    """Results that are known but not written yet, because the database went away: whoever calls ``deliver`` again
    hands in the same one, and they are written first."""

    changes: list[Change] = field(default_factory=list)
    in_vain: list[Change] = field(default_factory=list)
    """Of messages that may have become ``sending``, by a commit whose answer was lost, and were not handed over."""


def change_of(one: Prepared, result: Result, present: datetime, sent_at: datetime) -> Change:
    """The transition that a channel's answer at ``present`` means."""
    match result:
        case Sent(provider_id=provider_id):
            return Change(held=one.held, to=MessageStatus.SENT, sent_at=sent_at, provider_id=provider_id)
        case RetryLater(reason=reason, after=after):
            delay = retry_delay(one.message.idempotency_key, one.held.attempts)
            at = present + max(delay, after or timedelta())
            return Change(held=one.held, to=MessageStatus.READY, available_at=at, reason=reason)
        case Rejected(reason=reason):
            return Change(held=one.held, to=MessageStatus.FAILED, reason=reason)
    return Change(held=one.held, to=MessageStatus.UNKNOWN, reason=result.reason)


def not_begun(one: Prepared, now: datetime) -> Change:
    """It was claimed, perhaps even ``sending``, and was not handed over."""
    return Change(held=one.held, to=MessageStatus.READY, available_at=now)


def retry_delay(key: str, attempts: int) -> timedelta:
    """How long to wait after the ``attempts``-th attempt: doubling from FIRST_RETRY to LONGEST_RETRY, up to a quarter
    more or less. The jitter comes from a hash, so it differs between messages and is the same when computed again."""
    delay: timedelta = min(FIRST_RETRY * 2 ** min(attempts - 1, 20), LONGEST_RETRY)
    fraction = int.from_bytes(hashlib.sha256(f"{key}/{attempts}".encode()).digest()[:4], "big") / 2**32
    return timedelta(seconds=delay.total_seconds() * (0.75 + fraction / 2))

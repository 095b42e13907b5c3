"""What states runs, messages, consents and journeys may be in."""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    ACTIVE = "active"  # stands on a step
    COMPLETED = "completed"  # came to the end of the journey
    EXITED = "exited"  # left by an exit, with a reason
    SET_ASIDE = "set_aside"  # the engine gave up on it, with a reason; an operator looks


class MessageStatus(StrEnum):
    READY = "ready"  # let go by policy; to be handed over at available_at
    CLAIMED = "claimed"  # a worker holds it until lease_until; nothing has been handed over
    SENDING = "sending"  # being handed over right now
    SENT = "sent"  # taken over by the other side
    UNKNOWN = "unknown"  # may or may not have been taken over; an operator decides
    FAILED = "failed"  # refused for good, or could not be rendered, with a reason
    BLOCKED = "blocked"  # policy did not let it go, with a reason
    CANCELLED = "cancelled"  # its run ended before it was handed over
    WITHHELD = "withheld"  # decided like any other, and kept back: its run is held out, or the journey runs in shadow


MESSAGE_TRANSITIONS: dict[MessageStatus, frozenset[MessageStatus]] = {
    # From ready or claimed to unknown: one that may have arrived before, and whose run has ended.
    # From ready to sent or failed: one that was in doubt, and whose result came late.
    MessageStatus.READY: frozenset(
        {
            MessageStatus.CLAIMED,
            MessageStatus.SENT,
            MessageStatus.FAILED,
            MessageStatus.CANCELLED,
            MessageStatus.BLOCKED,
            MessageStatus.UNKNOWN,
        }
    ),
    MessageStatus.CLAIMED: frozenset(
        {
            MessageStatus.SENDING,
            MessageStatus.READY,
            MessageStatus.FAILED,
            MessageStatus.CANCELLED,
            MessageStatus.BLOCKED,
            MessageStatus.UNKNOWN,
        }
    ),
    MessageStatus.SENDING: frozenset(
        {MessageStatus.SENT, MessageStatus.READY, MessageStatus.FAILED, MessageStatus.UNKNOWN}
    ),
    MessageStatus.UNKNOWN: frozenset({MessageStatus.READY, MessageStatus.SENT, MessageStatus.FAILED}),
    MessageStatus.SENT: frozenset(),
    MessageStatus.FAILED: frozenset(),
    MessageStatus.BLOCKED: frozenset(),
    MessageStatus.CANCELLED: frozenset(),
    MessageStatus.WITHHELD: frozenset(),
}
"""Which status may follow which. The reports and the documentation's diagram are made from this table."""


class MessageKind(StrEnum):
    """What a row of the outbox is handed over as."""

    MESSAGE = "message"  # to the contact
    CALL = "call"  # an HTTP call, whose answer comes back to the run
    TASK = "task"  # for a person, through the CRM channel
    AUDIENCE = "audience"  # an addition to or a removal from an external audience


class ConsentState(StrEnum):
    PENDING = "pending"
    GIVEN = "given"
    WITHDRAWN = "withdrawn"


class SuppressionReason(StrEnum):
    BOUNCED = "bounced"  # the address does not exist, or takes nothing
    COMPLAINED = "complained"  # its reader called a message spam
    UNSUBSCRIBED = "unsubscribed"  # its reader wants no more, and nobody knows of what


class JourneyState(StrEnum):
    LIVE = "live"
    PAUSED = "paused"  # nobody enters, nobody goes on, no message leaves; until it is resumed
    STOPPED = "stopped"  # all runs were ended, and nobody enters; until it is resumed


LET_GO = (
    MessageStatus.READY,
    MessageStatus.CLAIMED,
    MessageStatus.SENDING,
    MessageStatus.SENT,
    MessageStatus.UNKNOWN,
    MessageStatus.FAILED,
    MessageStatus.CANCELLED,
    MessageStatus.WITHHELD,
)
"""The statuses of a message that policy let go: ``sent()`` is true of these, and goals count from them."""

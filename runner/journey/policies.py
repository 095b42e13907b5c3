"""What the catalog says about all messages: when nobody is disturbed, how much is enough, who goes first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from enum import StrEnum
from typing import TYPE_CHECKING

from runner.journey.duration import Duration

if TYPE_CHECKING:
    from runner.journey.expression import Expression

TRANSACTIONAL = "transactional"
"""What ``priority`` calls the topics that need no consent."""


@dataclass(frozen=True, kw_only=True)
class QuietHours:
    """From ``begins`` to ``ends`` on the contact's wall clock, over midnight where it ends before it begins; on
    ``channels``, or on all where there are none."""

    begins: time
    ends: time
    channels: tuple[str, ...] = ()


class Over(StrEnum):
    """What becomes of a message that is one too many."""

    DROP = "drop"  # blocked: frequency_cap
    DEFER = "defer"  # waits until there is room


@dataclass(frozen=True, kw_only=True)
class Cap:
    """At most ``most`` messages in any ``per``, of one channel or topic where these are given."""

    most: int
    per: Duration
    channel: str | None = None
    topic: str | None = None
    over: Over = Over.DROP


@dataclass(frozen=True, kw_only=True)
class Hold:
    """While ``when`` holds of a contact, messages of ``topics`` wait: of all topics that need consent, where there are
    none."""

    when: Expression
    topics: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Holdout:
    """``share`` of all contacts, in hundredths of a percent, receive nothing and are measured. ``name`` goes into the
    draw and the reports."""

    name: str
    share: int


@dataclass(frozen=True, kw_only=True)
class Policies:
    """``priority``: the topics (and TRANSACTIONAL) in the order in which they go, those that it does not name last."""

    quiet_hours: QuietHours | None = None
    caps: tuple[Cap, ...] = ()
    priority: tuple[str, ...] = ()
    holds: tuple[Hold, ...] = ()
    holdout: Holdout | None = None

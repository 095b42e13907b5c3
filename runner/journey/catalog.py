"""What exists: the attributes, events, topics, segments and channels that journeys may speak of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from runner.journey.business import BusinessGoal, Campaigns, Cost, LinkSettings
from runner.journey.duration import Duration
from runner.journey.hours import BusinessHours
from runner.journey.policies import Policies
from runner.journey.values import BOOLEAN, NUMBER, STRING, Kind, ValueType

if TYPE_CHECKING:
    from runner.journey.expression import Expression

CONTACT_FIELDS: Mapping[str, ValueType] = {
    "id": STRING,
    "email": STRING,
    "phone": STRING,
    "timezone": STRING,
    "locale": STRING,
    "account": STRING,
    "tags": ValueType(Kind.LIST, items=STRING),
}
"""What every contact has, declared or not; ``account`` is the key of the account that it belongs to. All but ``id``
arrive as traits of an ``identify``."""

DERIVED_FIELDS = ("persona", "score", "stage")
"""What is read of a contact and computed, never stored: segments, scores and stages of the catalog say how."""

OWN_FIELDS = tuple(name for name in CONTACT_FIELDS if name not in ("id", "tags"))
"""Those of them that hold a single text and have a column of their own in the store."""

IDENTIFIED = "Contact Identified"
"""The reserved event that an ``identify`` is stored as; its properties are the traits."""
ACCOUNT_IDENTIFIED = "Account Identified"
"""What says something of an account: it arrives like an event, under the account's key, and is stored as none."""
CONSENT_GRANTED = "Consent Granted"
CONSENT_WITHDRAWN = "Consent Withdrawn"
CONTACT_UPDATED = "Contact Updated"
"""The reserved internal event that follows an ``update`` step, so that exits and waits look again."""

MESSAGE_DELIVERED = "Message Delivered"
MESSAGE_OPENED = "Message Opened"
MESSAGE_CLICKED = "Message Clicked"
MESSAGE_BOUNCED = "Message Bounced"
MESSAGE_COMPLAINED = "Message Complained"
MESSAGE_REPLIED = "Message Replied"
MESSAGE_UNSUBSCRIBED = "Message Unsubscribed"
MESSAGE_EVENTS = (
    MESSAGE_DELIVERED,
    MESSAGE_OPENED,
    MESSAGE_CLICKED,
    MESSAGE_BOUNCED,
    MESSAGE_COMPLAINED,
    MESSAGE_REPLIED,
    MESSAGE_UNSUBSCRIBED,
)
"""The reserved events that tell what became of a message after it left."""
MESSAGE_PROPERTIES: Mapping[str, ValueType] = {
    "run": NUMBER,
    "journey": STRING,
    "step": STRING,
    "visit": NUMBER,
    "link": STRING,
    "bot": BOOLEAN,
    "soft": BOOLEAN,
    "channel": STRING,
    "address": STRING,
    "message": STRING,
}
"""Their properties: which message it was (``run`` is the run's number within its contact; ``message`` is its
Message-ID, its idempotency key, or what the provider calls it, by which an import finds the others), the name of the
link that was clicked, whether a machine did it, whether a bounce is ``soft`` (the mailbox may take the next message),
and to which ``address`` of which ``channel`` it went, where that is not the contact's present one."""
TASK_ACCEPTED = "Task Accepted"
TASK_REJECTED = "Task Rejected"
TASK_EVENTS = (TASK_ACCEPTED, TASK_REJECTED)
"""The reserved events by which the CRM answers about a task."""
TASK_PROPERTIES: Mapping[str, ValueType] = {
    "run": NUMBER,
    "journey": STRING,
    "step": STRING,
    "visit": NUMBER,
    "by": STRING,
    "reason": STRING,
}
"""Their properties: which task it was, as the task itself says, who answered, and why."""
LINK_PRESSED = "Link Pressed"
"""The reserved internal event that the button of a link's page tells. Nobody sends it from outside."""
CONTACT_CHANGES = (IDENTIFIED, CONTACT_UPDATED)
"""The events that change the contact itself."""
MOVES_WAITS = (*CONTACT_CHANGES, LINK_PRESSED)
"""The events that may move dates for which runs wait: a reader may give one, too."""
ASKED_BY_CALL = "call"
"""The channel of calls, declared or not."""
CALL_ANSWERED = "Call Answered"
"""The reserved internal event by which the answer to a call comes back to its run. Nobody sends it from outside."""
SCORE_ADDED = "Score Added"
"""The reserved event by which something is added to a score by hand: by an ``update`` step."""
SCORE_PROPERTIES: Mapping[str, ValueType] = {"score": STRING, "add": NUMBER}

CONSENT_PROPERTIES: Mapping[str, ValueType] = {
    **dict.fromkeys(("topic", "channel", "source", "wording"), STRING),
    "confirmed": BOOLEAN,
}
"""Of the reserved events of consent; ``confirmed``: the reader has said yes a second time."""
RESERVED_PROPERTIES: Mapping[str, Mapping[str, ValueType]] = {
    CONSENT_GRANTED: CONSENT_PROPERTIES,
    CONSENT_WITHDRAWN: CONSENT_PROPERTIES,
    **dict.fromkeys(MESSAGE_EVENTS, MESSAGE_PROPERTIES),
    SCORE_ADDED: SCORE_PROPERTIES,
    **dict.fromkeys(TASK_EVENTS, TASK_PROPERTIES),
}
"""The reserved events of which expressions may speak, and their properties."""

ADDRESS_OF: Mapping[str, str] = {"email": "email", "sms": "phone", "phone": "phone"}
"""The field of a contact that holds its address for a channel, by the channel's name; the others go by its key."""

EVERY_CHANNEL = "*"
"""The channel of a consent that names none: it holds for each channel that has no row of its own."""


class OptIn(StrEnum):
    EXPLICIT = "explicit"
    DOUBLE = "double"
    SOFT = "soft"
    NONE = "none"  # transactional: sent without consent


class OnUnknown(StrEnum):
    """What becomes of a message that may or may not have arrived, where the channel cannot be asked."""

    RESEND = "resend"  # sent again by the same key: it may arrive twice
    HOLD = "hold"  # stays as it is until an operator decides


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """``pii`` (personal data) and ``unit`` are for those who read the catalog; nothing else looks at them."""

    name: str
    type: ValueType
    pii: bool = False
    unit: str | None = None


@dataclass(frozen=True, kw_only=True)
class EventType:
    """A ``broadcast`` event happens to nobody in particular."""

    name: str
    properties: Mapping[str, ValueType]
    broadcast: bool = False


@dataclass(frozen=True, kw_only=True)
class OptInCase:
    """How those consent for whom ``when`` holds; None for the last case, which is that of all others."""

    opt_in: OptIn
    when: Expression | None = None


@dataclass(frozen=True, kw_only=True)
class Topic:
    """``cases`` stand before ``opt_in`` where the catalog tells people apart: the first that holds counts."""

    name: str
    title: str
    opt_in: OptIn
    on_unknown: OnUnknown | None = None
    """None where the catalog does not say."""
    stale_after: Duration | None = None
    """From when on a consent is too old to count."""
    cases: tuple[OptInCase, ...] = ()

    @property
    def transactional(self) -> bool:
        """Whether messages of this topic need no consent."""
        return self.opt_in is OptIn.NONE

    @property
    def resends_unknown(self) -> bool:
        """Whether a message that may or may not have arrived is sent again: a receipt had better come twice than
        never, an offer had not."""
        return self.transactional if self.on_unknown is None else self.on_unknown is OnUnknown.RESEND


@dataclass(frozen=True, kw_only=True)
class Segment:
    """``refresh``: how often time is looked at that brings people in or out, where a journey is triggered by it."""

    name: str
    when: Expression
    refresh: Duration = field(default=Duration(microseconds=3_600_000_000))
    persona: bool = False


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of the buyer's journey: a contact is in the last one of the catalog whose condition holds."""

    name: str
    when: Expression


@dataclass(frozen=True, kw_only=True)
class ScoreRule:
    """What one event adds to a score: ``add`` in millionths. With ``fades`` (whole hours) it grows smaller in a
    straight line, hour by hour, and is nothing after so many."""

    event: str
    add: int
    where: Expression | None = None
    fades: int | None = None


@dataclass(frozen=True, kw_only=True)
class Score:
    """``value`` is the number that the rules come to, as an expression."""

    name: str
    rules: tuple[ScoreRule, ...]
    value: Expression


@dataclass(frozen=True, kw_only=True)
class FunnelStep:
    """A step of the sales funnel: who has come so far, how probable a sale is from here (0 to 1), and what it would be
    worth."""

    name: str
    when: Expression
    probability: Decimal | None = None
    value: Expression | None = None


@dataclass(frozen=True, kw_only=True)
class ChannelSettings:
    """A channel of the catalog: ``uses`` names the module of ``channels/`` that carries its messages; ``uses_said``:
    the catalog says so itself."""

    name: str
    uses: str
    uses_said: bool = True
    sender_name: str | None = None
    sender_address: str | None = None
    cost: Decimal | None = None
    """Of one message, in the money of the catalog."""
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """The catalog of one project. ``timezone`` and ``locale`` stand in where a contact has none.

    ``unreadable`` names the attributes that are declared, but not so that their type is known; whoever reports that a
    journey reads one of them would report the same mistake again. So do ``unreadable_segments``.
    """

    timezone: str = "UTC"
    locale: str = "en"
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    events: Mapping[str, EventType] = field(default_factory=dict)
    topics: Mapping[str, Topic] = field(default_factory=dict)
    segments: Mapping[str, Segment] = field(default_factory=dict)
    channels: Mapping[str, ChannelSettings] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pools: Mapping[str, str] = field(default_factory=dict)
    """The file of each pool, relative to ``journeys/``."""
    hours: Mapping[str, BusinessHours] = field(default_factory=dict)
    accounts: Mapping[str, Attribute] = field(default_factory=dict)
    """The attributes of accounts."""
    stages: tuple[Stage, ...] = ()
    stage: Expression | None = None
    """``contact.stage``; None where the catalog has no stages."""
    persona: Expression | None = None
    """``contact.persona``; None where no segment is one."""
    scores: Mapping[str, Score] = field(default_factory=dict)
    funnel: tuple[FunnelStep, ...] = ()
    policies: Policies = field(default_factory=Policies)
    costs: tuple[Cost, ...] = ()
    goals: tuple[BusinessGoal, ...] = ()
    campaigns: tuple[Campaigns, ...] = ()
    """What other tools send."""
    links: LinkSettings = field(default_factory=LinkSettings)
    unreadable: frozenset[str] = frozenset()
    unreadable_segments: frozenset[str] = frozenset()

    def attribute_type(self, name: str) -> ValueType | None:
        """The type of ``contact.NAME``, or None where the catalog declares none."""
        declared = self.attributes.get(name)
        return declared.type if declared else CONTACT_FIELDS.get(name)

"""What of the catalog, and of its journey, concerns the sends of one version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.journey.catalog import ADDRESS_OF, Catalog, Topic
from runner.journey.model import BestHour, Delivery, Journey, Send, Window
from runner.journey.policies import TRANSACTIONAL, Cap, Hold, Policies, QuietHours

NO_ADDRESS = "no_address"
SUPPRESSED = "suppressed"
NO_CONSENT = "no_consent"
CONSENT_STALE = "consent_stale"
ONLY_IF = "only_if"
EMPTY_CELL = "empty_cell"
EXPIRED = "expired"
FREQUENCY_CAP = "frequency_cap"
BLOCK_REASONS = (
    NO_ADDRESS,
    SUPPRESSED,
    NO_CONSENT,
    CONSENT_STALE,
    ONLY_IF,
    EMPTY_CELL,
    EXPIRED,
    FREQUENCY_CAP,
)
"""Why policy may block a message, in the order in which it is asked."""
ADDRESS_LIMIT = "address_limit"
"""Why a message is blocked whose address has had as many of its journey as it says: asked as it leaves."""

HOLD = "hold"
QUIET_HOURS = "quiet_hours"
WINDOW = "window"
RATE = "rate"
"""These, and the frequency cap where it says so, let a run stand at its send."""
LATE = "late"
"""What brought a run to its send was handled late: it stands there until all that is stored of its contact is handled,
and is asked at the instant at which the message can leave."""

HELD_OUT = "held_out"
"""Why a message is withheld; the others are the words of ``Delivery``."""


@dataclass(frozen=True, kw_only=True)
class SendRules:
    """``topics`` and ``policies`` are those of the journey's present version: they hold for everybody at once, and not
    only for those who enter from now on. A topic that it has no more is as the version's own catalog has it."""

    topics: Mapping[str, Topic] = field(default_factory=dict)
    policies: Policies = field(default_factory=Policies)
    delivery: Delivery = Delivery.LIVE
    seeds: tuple[str, ...] = ()
    holdout: int | None = None
    templates: frozenset[str] = frozenset()
    reads_blocked: bool = False
    """Whether the journey asks why a message of its runs was blocked."""
    keeping: frozenset[str] = frozenset()
    """The steps whose messages keep the values that their run had when they were let go."""

    def transactional(self, send: Send) -> bool:
        """Whether the send's topic needs no consent."""
        return self._transactional(send.topic)

    def _transactional(self, topic: str) -> bool:
        return topic in self.topics and self.topics[topic].transactional

    @property
    def transactional_topics(self) -> tuple[str, ...]:
        return tuple(sorted(name for name in self.topics if self._transactional(name)))

    def block_reasons(self, send: Send) -> tuple[str, ...]:
        """Why a message that hangs on nothing but its contact may be blocked."""
        topic = self.topics.get(send.topic)
        asked = {
            NO_ADDRESS: send.channel in ADDRESS_OF,
            SUPPRESSED: send.channel in ADDRESS_OF,
            NO_CONSENT: not self.transactional(send),
            CONSENT_STALE: topic is not None and topic.stale_after is not None,
        }
        return tuple(reason for reason, is_asked in asked.items() if is_asked)

    def quiet_hours(self, send: Send) -> QuietHours | None:
        """The quiet hours that the send keeps."""
        quiet = self.policies.quiet_hours
        if (
            quiet is None
            or send.ignore_quiet_hours
            or (quiet.channels and send.channel not in quiet.channels)
        ):
            return None
        return quiet

    def caps(self, send: Send) -> tuple[Cap, ...]:
        """The frequency caps that count the send's messages."""
        if self.transactional(send):
            return ()
        return tuple(
            cap
            for cap in self.policies.caps
            if cap.channel in (None, send.channel) and cap.topic in (None, send.topic)
        )

    def holds(self, send: Send) -> tuple[Hold, ...]:
        """What may hold the send's messages back."""
        return tuple(
            hold
            for hold in self.policies.holds
            if (send.topic in hold.topics if hold.topics else not self.transactional(send))
        )

    def keeping_back(self, send: Send, reason: str) -> object:
        """What says how long the send's messages wait for ``reason``: equal for two where the same does."""
        saying: dict[str, object] = {
            HOLD: self.holds(send),
            QUIET_HOURS: self.quiet_hours(send),
            WINDOW: send.window,
            FREQUENCY_CAP: (self.caps(send), self.transactional_topics),
            RATE: send.rate,
        }
        return saying.get(reason), send.valid_for

    def priority(self, send: Send) -> int:
        """The place of the send's messages among those of an instant; the lowest goes first."""
        own = (send.priority, send.topic, TRANSACTIONAL if self.transactional(send) else None)
        places = [self.policies.priority.index(name) for name in own if name in self.policies.priority]
        return places[0] if places else len(self.policies.priority)

    def together(self, send: Send) -> bool:
        """Whether a message of the send is decided about together with all others of its contact and instant: whether
        it hangs on more than its contact."""
        return bool(
            self.reads_blocked
            or self.holdout is not None
            or self.policies.holdout
            or self.delivery is not Delivery.LIVE
            or isinstance(send.window, Window | BestHour)
            or send.only_if is not None
            or send.rate is not None
            or send.cells is not None
            or send.if_blocked
            or self.quiet_hours(send)
            or self.caps(send)
            or self.holds(send)
        )


def send_rules(journey: Journey, catalog: Catalog, present: Catalog, **found: object) -> SendRules:
    """The rules of one version of ``journey``, whose own catalog is ``catalog``; ``present`` is that of the version in
    force. ``found`` is what was found elsewhere: ``templates``, ``reads_blocked`` and ``keeping``."""
    return SendRules(
        topics={**catalog.topics, **present.topics},
        policies=present.policies,
        delivery=journey.delivery,
        seeds=journey.seeds,
        holdout=journey.holdout,
        **found,  # type: ignore[arg-type]
    )

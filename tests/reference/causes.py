"""What happens because something else has happened: events of one contact that nobody sends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from runner.journey.catalog import (
    ADDRESS_OF,
    CONSENT_GRANTED,
    CONSENT_WITHDRAWN,
    IDENTIFIED,
    MESSAGE_BOUNCED,
    MESSAGE_COMPLAINED,
    MESSAGE_UNSUBSCRIBED,
    Catalog,
    OptIn,
)
from runner.journey.expression import Expression
from runner.journey.model import (
    AttributeTrigger,
    ConsentTrigger,
    ExistingPeople,
    Journey,
    JourneyTrigger,
    SegmentChange,
    SegmentTrigger,
    Trigger,
)
from runner.journey.model.triggers import ConsentChange
from runner.journey.reserved import (
    ATTRIBUTE_CHANGED,
    CONSENT_CHANGED,
    JOURNEY_ENDED,
    SEGMENT_ENTERED,
    SEGMENT_LEFT,
)
from tests.reference.lives import Asked, Happening, Pressed, Run
from tests.reference.person import EVERYWHERE, Person, Word
from tests.reference.wall_clock import elapsed

MOST_AT_ONCE = 50
MILLION = 1_000_000


class Causes:
    """How one thing causes another on the timeline of a contact."""

    key: str
    catalog: Catalog
    journeys: list[Journey]
    person: Person
    now: datetime
    runs: list[Run]
    pending: list[Happening]
    orders: int
    members: dict[str, bool]
    is_there: bool
    """Whether the contact is known when the journeys are applied."""
    _holds: Callable[..., bool]

    def _watch(self) -> None:
        """See what journeys are triggered by; nothing else is told of."""
        triggers = [trigger for journey in self.journeys for trigger in journey.triggers]
        self.watched_attributes = sorted(
            {trigger.attribute for trigger in triggers if isinstance(trigger, AttributeTrigger)}
        )
        self.watched_consents = sorted(
            {
                (each.topic, each.channel or EVERYWHERE)
                for each in triggers
                if isinstance(each, ConsentTrigger)
            }
        )
        self.watched_ends = {each.journey for each in triggers if isinstance(each, JourneyTrigger)}
        self.segments: dict[str, Expression] = {
            each.segment: each.when for each in triggers if isinstance(each, SegmentTrigger)
        }
        self.refresh = {
            each.segment: elapsed(each.refresh) for each in triggers if isinstance(each, SegmentTrigger)
        }
        # Who is a member when the journeys are applied has not come in; who comes later, does.
        self.members = {
            name: self.is_there and self._holds(when, None) for name, when in self.segments.items()
        }

    def _cause(
        self,
        name: str,
        properties: Mapping[str, Any],
        *,
        by: Run | None = None,
        of: Trigger | None = None,
        pressed: Pressed | None = None,
    ) -> Happening:
        """An event takes its turn behind all that is there at this instant."""
        earlier = [event.nth for event in (*self.person.past, *self.pending) if event.at == self.now]
        self.orders += 1
        event = Happening(
            at=self.now, order=self.orders, name=name, properties=properties, by=by, of=of, pressed=pressed,
            nth=max(earlier, default=0) + 1 if by else 0,
        )  # fmt: skip
        self.pending.append(event)
        self.pending.sort(key=lambda happening: (happening.at, happening.order))
        return event

    def _end(self, run: Run, status: str, reason: str) -> None:
        run.end(status, reason, self.now)
        if run.journey.name in self.watched_ends:
            outcome = {"journey": run.journey.name, "outcome": reason or "completed"}
            self._cause(JOURNEY_ENDED, {**outcome, "run": run.number * MILLION}, by=run)

    # Who was there before ------------------------------------------------------------------------------------

    def _remember(self, event: Happening) -> None:
        """What happened before the journeys were applied: it counts, and starts nothing."""
        self.now = event.at
        self.person.receive(event)
        if event.name in (CONSENT_GRANTED, CONSENT_WITHDRAWN):
            state = "given" if event.name == CONSENT_GRANTED else "withdrawn"
            about = (event.properties["topic"], event.properties.get("channel") or EVERYWHERE)
            self.person.say(*about, Word(state=state, since=self.now))

    def _enter_who_is_there(self) -> None:
        """Journeys that want those, too, for whom a trigger holds already hear of it as they are applied."""
        for journey in self.journeys:
            told = set()
            for trigger in journey.triggers if journey.existing is ExistingPeople.ENTER else ():
                said = self._found_already(trigger)
                if said is not None and str(said) not in told:
                    told.add(str(said))
                    self._cause(trigger.event, {**said, "existing": journey.name})

    def _found_already(self, trigger: Trigger) -> dict[str, Any] | None:
        """What a trigger that holds already says; None where it does not."""
        match trigger:
            case SegmentTrigger(segment=name, change=SegmentChange.ENTER, when=when):
                return {"segment": name} if self._holds(when, None) else None
            case AttributeTrigger(attribute=name, becomes=Expression() as becomes):
                found = {"attribute": name, "new": self.person.get(name)}
                return found if self._holds(becomes, None) else None
            case ConsentTrigger(topic=topic, channel=channel, change=change) if (
                change is not ConsentChange.STALE
            ):
                about = [channel] if channel else [on for of, on in self.person.words if of == topic]
                words = [self.person.word(topic, each) for each in about]
                is_so = any(word is not None and word.state == change for word in words)
                of = channel or EVERYWHERE
                return {"topic": topic, "channel": of, "of": of, "change": str(change)} if is_so else None
        return None

    # The contact itself --------------------------------------------------------------------------------------

    def _receive(self, event: Happening) -> bool:
        """The event changes the contact. Answers whether waits may have moved."""
        if event.name == IDENTIFIED:
            self._tell_of_attributes(event.properties.items(), None)
        changed = self.person.receive(event)
        if event.name in (MESSAGE_BOUNCED, MESSAGE_COMPLAINED, MESSAGE_UNSUBSCRIBED):
            self._heed(event)
        # What a step has said counts already.
        if event.name in (CONSENT_GRANTED, CONSENT_WITHDRAWN) and event.by is None:
            self._hear_of_consent(event)
        if event.name not in (SEGMENT_ENTERED, SEGMENT_LEFT):  # when it was told, all were looked at
            self._look_at_segments(event.properties.get("segments", self.segments), event.by)
        return changed

    def _tell_of_attributes(self, values: Iterable[tuple[str, Any]], by: Run | None) -> None:
        for name, new in sorted(values, key=lambda each: each[0]):
            old = self.person.get(name)
            if name in self.watched_attributes and old != new:
                self._cause(ATTRIBUTE_CHANGED, {"attribute": name, "old": old, "new": new}, by=by)

    def _hear_of_consent(self, event: Happening) -> None:
        topic, channel = event.properties["topic"], event.properties.get("channel") or EVERYWHERE
        state = "given" if event.name == CONSENT_GRANTED else "withdrawn"
        asks_twice = self.person.opt_in(self.catalog.topics[topic], self.now) is OptIn.DOUBLE
        if state == "given" and asks_twice and not event.properties.get("confirmed"):
            known = self.person.word(topic, channel)
            state = "given" if known is not None and known.state == "given" else "pending"
        self._say(topic, channel, state, None)

    def _say(self, topic: str, channel: str, state: str, by: Run | None) -> None:
        for of in [of for about, of in self.watched_consents if about == topic]:
            if self._is_news(topic, channel, state, of):
                said = {"topic": topic, "channel": channel, "of": of, "change": state}
                self._cause(CONSENT_CHANGED, said, by=by)
        self.person.say(topic, channel, Word(state=state, since=self.now))

    def _is_news(self, topic: str, channel: str, state: str, of: str) -> bool:
        """Whether the word changes what holds for the channel ``of``, or for any where that is every channel."""
        if of != EVERYWHERE and channel not in (of, EVERYWHERE):
            return False
        concerned = [of]
        if of == EVERYWHERE:
            of_topic = [known for about, known in self.person.words if about == topic]
            concerned = [channel, *of_topic] if channel == EVERYWHERE else [channel]
        known = [self.person.word(topic, each) for each in concerned]
        return any(word is None or word.state != state for word in known)

    def _heed(self, event: Happening) -> None:
        """A bounce, a complaint or an unsubscribe."""
        said = event.properties
        message = self._message_of(said)
        if message is None and "step" in said and ("run" in said or "journey" in said):
            return  # somebody else's
        channel = said.get("channel") or (message.channel if message else None)
        bounced, unsubscribed = event.name == MESSAGE_BOUNCED, event.name == MESSAGE_UNSUBSCRIBED
        suppresses = not said.get("soft") if bounced else not unsubscribed or message is None
        for name in (channel,) if channel else tuple(ADDRESS_OF):
            address = said.get("address") or self.person.fields.get(ADDRESS_OF.get(name, ""))
            if suppresses and address:
                receipts_too = self.person.suppressed.get((name, address), False) or not unsubscribed
                self.person.suppressed[name, address] = receipts_too
        if not bounced and message is not None:
            self._cause(CONSENT_WITHDRAWN, {"topic": message.topic, "channel": message.channel})

    def _message_of(self, said: Mapping[str, Any]) -> Asked | None:
        """The message that an event speaks of: that of its run, or else the newest at the step of its journey."""
        step = said.get("step")
        if said.get("run") is not None:
            meant = [run for run in self.runs if run.number * MILLION == said["run"]]
        else:
            meant = [run for run in self.runs if run.journey.name == said.get("journey")]
        found = [(run.asked[step].at, run.number, run.asked[step]) for run in meant if step in run.asked]
        return max(found, key=lambda each: each[:2])[2] if found else None

    # Segments ------------------------------------------------------------------------------------------------

    def _look_at_segments(self, names: Iterable[str], by: Run | None) -> None:
        for name in sorted(names):
            if self._turns(name):
                self.members[name] = not self.members[name]
                self._cause(SEGMENT_ENTERED if self.members[name] else SEGMENT_LEFT, {"segment": name}, by=by)

    def _turns(self, name: str) -> bool:
        return self._holds(self.segments[name], None) is not self.members[name]

"""What arrives in a scenario: events, traits, consents, what became of messages and tasks, links that are pressed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from runner.journey.catalog import (
    CONSENT_GRANTED,
    CONSENT_WITHDRAWN,
    IDENTIFIED,
    LINK_PRESSED,
    MESSAGE_EVENTS,
    TASK_ACCEPTED,
    TASK_EVENTS,
    TASK_REJECTED,
)
from runner.journey.graph import walk
from runner.journey.model import HandOff, Journey, Send, Snooze
from runner.journey.scenario import Received
from runner.journey.scenario_expected import At
from runner.journey.scenario_names import Names
from runner.journey.scenario_tree import fields_in, items_in, scalar_at
from runner.journey.schema import plain
from runner.journey.words import listed
from runner.journey.yaml import Fields, Scalar, Value

BECAME = {name.split()[-1].lower(): name for name in MESSAGE_EVENTS} | {
    "picked_up": TASK_ACCEPTED,
    "rejected": TASK_REJECTED,
}
"""What may become of a message, or of a task, by the word of scenarios: the reserved event."""
TAKEN = frozenset({"at", "event", "properties"})


@dataclass(frozen=True)
class Arriving:
    """Reads what arrives in the scenarios of ``journey``."""

    names: Names
    journey: Journey

    def read(self, events: Value | None, at: At) -> Iterator[Received]:
        """What the list ``events`` says, in its order."""
        for item in items_in(events):
            fields = fields_in(item)
            instant = at(fields)
            assert instant is not None
            if "identify" in fields:
                traits = self.names.values(
                    fields_in(fields.get("identify")), "attribute", self.names.attribute_types
                )
                yield Received(
                    at=instant, name=IDENTIFIED, properties=traits, span=fields.key_span("identify")
                )
            elif "consent" in fields:
                yield self._consent(instant, fields)
            elif "press" in fields:
                yield from self._pressed(instant, fields)
            elif (became := next((key for key in BECAME if key in fields), None)) is not None:
                yield from self._became(instant, became, fields)
            else:
                yield from self._event(instant, fields)

    def _consent(self, at: datetime, fields: Fields) -> Received:
        topic = scalar_at(fields, "consent")
        if topic.text not in self.names.catalog.topics:
            self.names.unknown("topic", topic.text, self.names.catalog.topics, topic.span)
        channel = fields.get("channel")
        properties: dict[str, object] = {"topic": topic.text, "source": "scenario"}
        if isinstance(channel, Scalar):
            if channel.text not in self.names.catalog.channels:
                self.names.unknown("channel", channel.text, self.names.catalog.channels, channel.span)
            properties["channel"] = channel.text
        confirmed = fields.get("confirmed")
        if isinstance(confirmed, Scalar):
            properties["confirmed"] = confirmed.value
        given = scalar_at(fields, "change").text == "given"
        name = CONSENT_GRANTED if given else CONSENT_WITHDRAWN
        return Received(at=at, name=name, properties=properties, span=fields.key_span("consent"))

    def _became(self, at: datetime, what: str, fields: Fields) -> Iterator[Received]:
        """What became of a message: of which run is known when it happens."""
        named = scalar_at(fields, what)
        name, slash, step = named.text.partition("/")
        journey = self.names.journeys.get(name) if slash else self.journey
        steps = self.names.steps_of(journey) if journey else {}
        kind, called = (HandOff, "task") if BECAME[what] in TASK_EVENTS else (Send, "send step")
        sends = [each for each, verb in steps.items() if isinstance(verb, kind)]
        step = step if slash else name
        if step not in sends:
            self.names.unknown(called, named.text, sends, named.span)
            return
        more = {
            key: value.value
            for key in ("bot", "link", "soft", "reason")
            if isinstance(value := fields.get(key), Scalar)
        }
        assert journey is not None
        properties = {"journey": journey.name, "step": step, **more}
        yield Received(at=at, name=BECAME[what], properties=properties, span=named.span)

    def _event(self, at: datetime, fields: Fields) -> Iterator[Received]:
        name = scalar_at(fields, "event")
        declared = self.names.catalog.events.get(name.text)
        if declared is None:
            self.names.unknown("event", name.text, self.names.catalog.events, name.span)
            return
        further = fields.get("properties")
        beside = tuple(item for item in fields.fields if item.key not in TAKEN)
        inside = further.fields if isinstance(further, Fields) else ()
        what = f"property of {name.text}"
        properties = self.names.values(Fields((*beside, *inside), fields.span), what, declared.properties)
        yield Received(at=at, name=name.text, properties=properties, span=name.span)

    def _pressed(self, at: datetime, fields: Fields) -> Iterator[Received]:
        """A press of a link, of another journey as ``JOURNEY/LINK``; of which message is known when it happens."""
        link, step, option = fields.get("press"), fields.get("of"), fields.get("option")
        assert isinstance(link, Scalar)
        other, slash, name = link.text.rpartition("/")
        if slash and other not in self.names.journeys:
            self.names.unknown("journey", other, self.names.journeys, link.span)
            return
        journey = self.names.journeys[other] if slash else self.journey
        links = {each.name: each.action for each in journey.links}
        if name not in links:
            self.names.unknown("link", link.text, links, link.span)
            return
        sends = [each.id for each in walk(journey.steps) if isinstance(each.verb, Send)]
        if isinstance(step, Scalar) and step.text not in sends:
            self.names.unknown("send step", step.text, sends, step.span)
            return
        action = links[name]
        options = [name for name, _ in action.options] if isinstance(action, Snooze) else []
        if options and not isinstance(option, Scalar):
            self.names.note(
                "tests/press", f"`{link.text}` needs an `option`: one of {listed(options)}.", link.span
            )
            return
        if options and isinstance(option, Scalar) and option.text not in options:
            self.names.unknown("option", option.text, options, option.span)
            return
        given = fields.get("values")
        properties: dict[str, object] = {
            "journey": journey.name,
            "link": name,
            "step": step.text if isinstance(step, Scalar) else None,
            "option": option.text if isinstance(option, Scalar) else None,
            "values": plain(given) if given is not None else {},
        }
        yield Received(at=at, name=LINK_PRESSED, properties=properties, span=link.span)

"""Reads a ``tests.yaml``: scenarios with every mistake in them as a problem at its place.

Names are looked up: a scenario that speaks of an event, attribute, topic, step or arm that does not exist
would pass or fail for the wrong reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import cached_property
from zoneinfo import ZoneInfo

from runner.journey.catalog import (
    CONSENT_GRANTED,
    CONSENT_WITHDRAWN,
    CONTACT_FIELDS,
    EVERY_CHANNEL,
    IDENTIFIED,
    MESSAGE_EVENTS,
    TASK_ACCEPTED,
    TASK_EVENTS,
    TASK_REJECTED,
    Catalog,
)
from runner.journey.fit import clean_text, fit
from runner.journey.graph import walk
from runner.journey.model import HandOff, Journey, Send, Split, Verb
from runner.journey.project import FOLDER, Project
from runner.journey.scenario import Consent, Person, Received, Scenario
from runner.journey.scenario_expected import Expectations
from runner.journey.scenario_given import given_calls, given_pools, pressed
from runner.journey.scenario_time import read_played
from runner.journey.scenario_tree import fields_in, items_in, scalar_at
from runner.journey.schema import load_document, plain
from runner.journey.values import ValueType
from runner.journey.words import did_you_mean, one_of
from runner.journey.yaml import Field, Fields, Scalar, Value
from runner.journey.zone_names import known_zone, known_zones
from runner.problem import Problem, Span

SCHEMA = "tests"
FILE = "tests.yaml"
UNNAMED = "contact"
"""The id of a contact that the author gives none."""
BECAME = {name.split()[-1].lower(): name for name in MESSAGE_EVENTS} | {
    "picked_up": TASK_ACCEPTED,
    "rejected": TASK_REJECTED,
}
"""What may become of a message, or of a task, by the word of scenarios: the reserved event."""
TAKEN = frozenset({"at", "event", "properties"})
OWN = ("contact", "events", "expect")
"""What each person of a scenario has of their own."""


def scenario_path(journey: str) -> str:
    """Where the scenarios of a journey stand, relative to the project."""
    return f"{FOLDER}/{journey}/{FILE}"


def find_scenarios(project: Project) -> tuple[tuple[Scenario, ...], tuple[Problem, ...]]:
    """The scenarios of all journeys of ``project``, in order of name and file, and what is wrong with their
    files.
    """
    scenarios: list[Scenario] = []
    problems: list[Problem] = []
    for name in sorted(project.journeys):
        path = scenario_path(name)
        if path in project.files:
            text = project.files[path]
            found, wrong = load_scenarios(path, text, name, project.catalog, project.journeys)
            scenarios.extend(found)
            problems.extend(wrong)
    return tuple(scenarios), tuple(problems)


def load_scenarios(
    path: str, text: str, folder: str, catalog: Catalog, journeys: Mapping[str, Journey]
) -> tuple[tuple[Scenario, ...], tuple[Problem, ...]]:
    """The scenarios that ``text`` writes, in file order, and everything that is wrong with them.

    ``folder`` is the name of the journey's folder; ``journeys`` are those of the project that are in order.
    Where there are problems the scenarios are those that could be read nevertheless.
    """
    document, problems = load_document(path, text, SCHEMA)
    if document is None or problems:
        return (), problems
    reader = _File(path, folder, catalog, journeys)
    scenarios = tuple(reader.scenarios(document))
    return scenarios, tuple(sorted(reader.problems, key=lambda problem: problem.span))


class _Mistake(Exception):
    """A value that nothing can be made of; the problem has been noted."""


@dataclass
class _File:
    """What is known while one file is read. ``problems`` grows."""

    path: str
    folder: str
    catalog: Catalog
    journeys: Mapping[str, Journey]
    problems: list[Problem] = field(default_factory=list)
    _steps: dict[str, Mapping[str, Verb]] = field(default_factory=dict)

    @cached_property
    def attribute_types(self) -> Mapping[str, ValueType]:
        declared = {name: attribute.type for name, attribute in self.catalog.attributes.items()}
        return {name: kind for name, kind in {**CONTACT_FIELDS, **declared}.items() if name != "id"}

    @cached_property
    def expectations(self) -> Expectations:
        journey = self.journeys[self.folder]
        return Expectations(journey, self.steps_of(journey), self.unknown, self.note)

    def steps_of(self, journey: Journey) -> Mapping[str, Verb]:
        """What each step of a journey does, by its id."""
        if journey.name not in self._steps:
            self._steps[journey.name] = {step.id: step.verb for step in walk(journey.steps)}
        return self._steps[journey.name]

    def scenarios(self, document: Value) -> Iterator[Scenario]:
        file = fields_in(document)
        name = scalar_at(file, "journey")
        if name.text != self.folder:
            self.note(
                "tests/journey",
                f"The scenarios are of `{name.text}`, but the folder is `{self.folder}`.",
                name.span,
                f"Write `journey: {self.folder}`.",
            )
            return
        journey = self.journeys.get(self.folder)
        if journey is None:
            return
        seen: dict[str, Span] = {}
        for test in items_in(file.get("tests")):
            try:
                scenario = _Test(self, journey, fields_in(test)).scenario()
            except _Mistake:
                continue
            if scenario.name in seen:
                message = f"A scenario of this name stands on line {seen[scenario.name].line} already."
                self.note("tests/duplicate", message, scenario.span, "Give each a name of its own.")
                continue
            seen[scenario.name] = scenario.span
            yield scenario

    def note(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        self.problems.append(Problem(code=code, message=message, span=span, hint=hint))

    def unknown(self, what: str, name: str, among: Iterable[str], span: Span) -> None:
        """Note that there is no ``what`` of this name."""
        journey = self.journeys.get(self.folder)
        now = journey.in_flight.called_now(name) if journey else None
        self.note("tests/unknown", f"There is no {what} `{name}`.", span, one_of(name, sorted(among), now))


class _Test:
    """Reads one scenario."""

    def __init__(self, file: _File, journey: Journey, fields: Fields) -> None:
        self.file = file
        self.catalog = file.catalog
        self.journey = journey
        self.fields = fields
        self.steps = file.steps_of(journey)
        contact = fields.get("contact")
        self.contact = contact if isinstance(contact, Fields) else Fields((), fields.span)
        self.zone = self.contact_zone()
        self.start = self.instant(scalar_at(fields, "start"), None)

    def scenario(self) -> Scenario:
        name = scalar_at(self.fields, "name")
        until = self.fields.get("until")
        expected, never = self.file.expectations.read(self.fields.get("expect"), self.at)
        return Scenario(
            journey=self.journey.name,
            name=name.text,
            span=name.span,
            person=self.person(),
            start=self.start,
            zone=self.zone,
            journeys=(self.journey.name, *self.others()),
            received=tuple(self.received()),
            expected=expected,
            never=never,
            until=self.instant(until, self.start) if isinstance(until, Scalar) else None,
            arms=dict(self.arms()),
            accounts=dict(self.accounts()),
            pools=dict(given_pools(self.fields.get("given"), self.catalog, self.file.unknown)),
            calls=dict(given_calls(self.fields.get("given"), self.steps, self.file.unknown)),
            held_out=self.held_out(),
            others=tuple(self.other_people()),
        )

    def other_people(self) -> Iterator[Scenario]:
        """A scenario for each further person: all but what is their own is that of the first."""
        shared = [item for item in self.fields.fields if item.key not in (*OWN, "others")]
        taken = {self.person_id()}
        for item in items_in(self.fields.get("others")):
            fields = fields_in(item)
            other = _Test(self.file, self.journey, Fields((*fields.fields, *shared), fields.span))
            if other.person_id() in taken:
                message = f"Somebody else of this scenario is called `{other.person_id()}`."
                self.file.note("tests/duplicate", message, fields.key_span("contact"), "Give each an `id`.")
                continue
            taken.add(other.person_id())
            yield other.scenario()

    # When ----------------------------------------------------------------------------------------

    def contact_zone(self) -> tzinfo:
        named = self.contact.get("timezone")
        if not isinstance(named, Scalar) or named.value is None:
            return ZoneInfo(self.catalog.timezone)
        if not known_zone(named.text):
            hint = did_you_mean(named.text, known_zones()) or "Write an IANA name, say Asia/Tbilisi."
            raise self.mistake("tests/timezone", f"`{named.text}` is no time zone.", named, hint)
        return ZoneInfo(named.text)

    def instant(self, value: Scalar, start: datetime | None) -> datetime:
        """The instant that ``value`` writes; a duration counts from ``start``, where there is one."""
        try:
            return read_played(value.text, start, self.zone)
        except ValueError as error:
            raise self.mistake("tests/instant", str(error), value) from None

    def at(self, fields: Fields) -> datetime | None:
        value = fields.get("at")
        return self.instant(value, self.start) if isinstance(value, Scalar) else None

    # Who -----------------------------------------------------------------------------------------

    def person_id(self) -> str:
        key = self.contact.get("id")
        if isinstance(key, Scalar) and not clean_text(key.text):
            raise self.mistake("tests/value", "An id holds no NUL and no half of a character.", key)
        return key.text if isinstance(key, Scalar) else UNNAMED

    def person(self) -> Person:
        name = self.person_id()
        given = Fields(
            tuple(item for item in self.contact.fields if item.key not in ("id", "consents")),
            self.contact.span,
        )
        traits = self.values(given, "attribute", self.file.attribute_types)
        if "email" not in given:
            traits["email"] = f"{name}@example.com"
        return Person(id=name, traits=traits, consents=tuple(self.consents()))

    def consents(self) -> Iterator[Consent]:
        for item in items_in(self.contact.get("consents")):
            assert isinstance(item, Scalar)
            topic, colon, channel = item.text.partition(":")
            if topic not in self.catalog.topics:
                self.file.unknown("topic", topic, self.catalog.topics, item.span)
            elif colon and channel not in self.catalog.channels:
                self.file.unknown("channel", channel, self.catalog.channels, item.span)
            else:
                yield Consent(topic, channel if colon else EVERY_CHANNEL)

    def accounts(self) -> Iterator[tuple[str, dict[str, object]]]:
        given = self.fields.get("given")
        found = given.get("accounts") if isinstance(given, Fields) else None
        types = {name: attribute.type for name, attribute in self.catalog.accounts.items()}
        for each in found.fields if isinstance(found, Fields) else ():
            if isinstance(each.value, Fields):
                yield each.key, self.values(each.value, "account attribute", types)

    def others(self) -> Iterator[str]:
        for item in items_in(self.fields.get("with")):
            assert isinstance(item, Scalar)
            if item.text not in self.file.journeys:
                self.file.unknown("journey", item.text, self.file.journeys, item.span)
            elif item.text != self.journey.name:
                yield item.text

    def arms(self) -> Iterator[tuple[str, str]]:
        given = self.fields.get("given")
        chosen = given.get("arm") if isinstance(given, Fields) else None
        for item in chosen.fields if isinstance(chosen, Fields) else ():
            verb = self.steps.get(item.key)
            if not isinstance(verb, Split):
                splits = [step for step, verb in self.steps.items() if isinstance(verb, Split)]
                self.file.unknown("split", item.key, splits, item.key_span)
                continue
            assert isinstance(item.value, Scalar)
            names = [arm.name for arm in verb.arms]
            if item.value.text not in names:
                self.file.unknown("arm", item.value.text, names, item.value.span)
                continue
            yield item.key, item.value.text

    def held_out(self) -> bool | None:
        given = self.fields.get("given")
        said = given.get("holdout") if isinstance(given, Fields) else None
        return bool(said.value) if isinstance(said, Scalar) else None

    # What arrives --------------------------------------------------------------------------------

    def received(self) -> Iterator[Received]:
        for item in items_in(self.fields.get("events")):
            fields = fields_in(item)
            at = self.at(fields)
            assert at is not None
            if "identify" in fields:
                traits = self.values(
                    fields_in(fields.get("identify")), "attribute", self.file.attribute_types
                )
                yield Received(at=at, name=IDENTIFIED, properties=traits, span=fields.key_span("identify"))
            elif "consent" in fields:
                yield self.consent(at, fields)
            elif "press" in fields:
                yield from pressed(
                    at, fields, self.journey, self.file.journeys, self.file.unknown, self.file.note
                )
            elif (became := next((key for key in BECAME if key in fields), None)) is not None:
                yield from self.became(at, became, fields)
            else:
                yield from self.event(at, fields)

    def consent(self, at: datetime, fields: Fields) -> Received:
        topic = scalar_at(fields, "consent")
        if topic.text not in self.catalog.topics:
            self.file.unknown("topic", topic.text, self.catalog.topics, topic.span)
        channel = fields.get("channel")
        properties: dict[str, object] = {"topic": topic.text, "source": "scenario"}
        if isinstance(channel, Scalar):
            if channel.text not in self.catalog.channels:
                self.file.unknown("channel", channel.text, self.catalog.channels, channel.span)
            properties["channel"] = channel.text
        confirmed = fields.get("confirmed")
        if isinstance(confirmed, Scalar):
            properties["confirmed"] = confirmed.value
        given = scalar_at(fields, "change").text == "given"
        name = CONSENT_GRANTED if given else CONSENT_WITHDRAWN
        return Received(at=at, name=name, properties=properties, span=fields.key_span("consent"))

    def became(self, at: datetime, what: str, fields: Fields) -> Iterator[Received]:
        """What became of a message: of which run is known when it happens."""
        named = scalar_at(fields, what)
        name, slash, step = named.text.partition("/")
        journey = self.file.journeys.get(name) if slash else self.journey
        steps = self.file.steps_of(journey) if journey else {}
        kind, called = (HandOff, "task") if BECAME[what] in TASK_EVENTS else (Send, "send step")
        sends = [each for each, verb in steps.items() if isinstance(verb, kind)]
        step = step if slash else name
        if step not in sends:
            self.file.unknown(called, named.text, sends, named.span)
            return
        more = {
            key: value.value
            for key in ("bot", "link", "soft", "reason")
            if isinstance(value := fields.get(key), Scalar)
        }
        assert journey is not None
        properties = {"journey": journey.name, "step": step, **more}
        yield Received(at=at, name=BECAME[what], properties=properties, span=named.span)

    def event(self, at: datetime, fields: Fields) -> Iterator[Received]:
        name = scalar_at(fields, "event")
        declared = self.catalog.events.get(name.text)
        if declared is None:
            self.file.unknown("event", name.text, self.catalog.events, name.span)
            return
        further = fields.get("properties")
        beside = tuple(item for item in fields.fields if item.key not in TAKEN)
        inside = further.fields if isinstance(further, Fields) else ()
        what = f"property of {name.text}"
        properties = self.values(Fields((*beside, *inside), fields.span), what, declared.properties)
        yield Received(at=at, name=name.text, properties=properties, span=name.span)

    def values(self, fields: Fields, what: str, types: Mapping[str, ValueType]) -> dict[str, object]:
        """The raw values of declared names; what is not declared, or does not fit, is a problem."""
        made: dict[str, object] = {}
        for item in fields.fields:
            kind = types.get(item.key)
            if kind is None and what == "attribute" and item.key in self.catalog.unreadable:
                continue
            if kind is None:
                self.file.unknown(what, item.key, types, item.key_span)
                continue
            raw = plain(item.value)
            if raw is not None and fit(raw, kind) is None:
                self.misfit(item, kind)
                continue
            made[item.key] = raw
        return made

    def misfit(self, item: Field, kind: ValueType) -> None:
        accepted = f"one of {', '.join(kind.one_of)}" if kind.one_of else f"a {kind.kind.value}"
        self.file.note("tests/value", f"`{item.key}` takes {accepted}.", item.value.span)

    def mistake(self, code: str, message: str, value: Scalar, hint: str | None = None) -> _Mistake:
        self.file.note(code, message, value.span, hint)
        return _Mistake()

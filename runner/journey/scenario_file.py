"""Reads a ``tests.yaml``: scenarios with every mistake in them as a problem at its place.

Names are looked up: a scenario that speaks of an event, attribute, topic, step or arm that does not exist
would pass or fail for the wrong reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from runner.journey.catalog import EVERY_CHANNEL, Catalog
from runner.journey.duration import length_meant
from runner.journey.fit import clean_text
from runner.journey.model import Journey, Split
from runner.journey.project import FOLDER, Project
from runner.journey.scenario import Consent, Person, Scenario
from runner.journey.scenario_events import Arriving
from runner.journey.scenario_expected import Expectations
from runner.journey.scenario_given import given_calls, given_pools
from runner.journey.scenario_names import Names
from runner.journey.scenario_time import read_played
from runner.journey.scenario_tree import fields_in, items_in, scalar_at
from runner.journey.schema import load_document
from runner.journey.words import did_you_mean
from runner.journey.yaml import Fields, Scalar, Value
from runner.journey.zone_names import known_zone, known_zones
from runner.problem import Problem, Span

SCHEMA = "tests"
FILE = "tests.yaml"
UNNAMED = "contact"
"""The id of a contact that the author gives none."""
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
    names = Names(folder, catalog, journeys)
    scenarios = tuple(_scenarios(names, document))
    return scenarios, tuple(sorted(names.problems, key=lambda problem: problem.span))


class _Mistake(Exception):
    """A value that nothing can be made of; the problem has been noted."""


def _scenarios(names: Names, document: Value) -> Iterator[Scenario]:
    file = fields_in(document)
    name = scalar_at(file, "journey")
    if name.text != names.folder:
        names.note(
            "tests/journey",
            f"The scenarios are of `{name.text}`, but the folder is `{names.folder}`.",
            name.span,
            f"Write `journey: {names.folder}`.",
        )
        return
    journey = names.journeys.get(names.folder)
    if journey is None:
        return
    expectations = Expectations(journey, names.steps_of(journey), names.unknown, names.note)
    seen: dict[str, Span] = {}
    for test in items_in(file.get("tests")):
        try:
            scenario = _Test(names, journey, expectations, fields_in(test)).scenario()
        except _Mistake:
            continue
        if scenario.name in seen:
            message = f"A scenario of this name stands on line {seen[scenario.name].line} already."
            names.note("tests/duplicate", message, scenario.span, "Give each a name of its own.")
            continue
        seen[scenario.name] = scenario.span
        yield scenario


class _Test:
    """Reads one scenario."""

    def __init__(self, names: Names, journey: Journey, expectations: Expectations, fields: Fields) -> None:
        self.names = names
        self.catalog = names.catalog
        self.journey = journey
        self.expectations = expectations
        self.fields = fields
        self.steps = names.steps_of(journey)
        contact = fields.get("contact")
        self.contact = contact if isinstance(contact, Fields) else Fields((), fields.span)
        self.zone = self.contact_zone()
        self.start = self.instant(scalar_at(fields, "start"), None)

    def scenario(self) -> Scenario:
        name = scalar_at(self.fields, "name")
        until = self.fields.get("until")
        expected, never = self.expectations.read(self.fields.get("expect"), self.at)
        return Scenario(
            journey=self.journey.name,
            name=name.text,
            span=name.span,
            person=self.person(),
            start=self.start,
            zone=self.zone,
            journeys=(self.journey.name, *self.others()),
            received=tuple(Arriving(self.names, self.journey).read(self.fields.get("events"), self.at)),
            expected=expected,
            never=never,
            until=self.instant(until, self.start) if isinstance(until, Scalar) else None,
            arms=dict(self.arms()),
            accounts=dict(self.accounts()),
            pools=dict(given_pools(self.fields.get("given"), self.catalog, self.names.unknown)),
            calls=dict(given_calls(self.fields.get("given"), self.steps, self.names.unknown)),
            held_out=self.held_out(),
            others=tuple(self.other_people()),
        )

    def other_people(self) -> Iterator[Scenario]:
        """A scenario for each further person: all but what is their own is that of the first."""
        shared = [item for item in self.fields.fields if item.key not in (*OWN, "others")]
        taken = {self.person_id()}
        for item in items_in(self.fields.get("others")):
            fields = fields_in(item)
            other = _Test(
                self.names, self.journey, self.expectations, Fields((*fields.fields, *shared), fields.span)
            )
            if other.person_id() in taken:
                message = f"Somebody else of this scenario is called `{other.person_id()}`."
                self.names.note("tests/duplicate", message, fields.key_span("contact"), "Give each an `id`.")
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
            hint = length_meant(value.text) if start is not None else None
            raise self.mistake("tests/instant", str(error), value, hint) from None

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
        traits = self.names.values(given, "attribute", self.names.attribute_types)
        if "email" not in given:
            traits["email"] = f"{name}@example.com"
        return Person(id=name, traits=traits, consents=tuple(self.consents()))

    def consents(self) -> Iterator[Consent]:
        for item in items_in(self.contact.get("consents")):
            assert isinstance(item, Scalar)
            topic, colon, channel = item.text.partition(":")
            if topic not in self.catalog.topics:
                self.names.unknown("topic", topic, self.catalog.topics, item.span)
            elif colon and channel not in self.catalog.channels:
                self.names.unknown("channel", channel, self.catalog.channels, item.span)
            else:
                yield Consent(topic, channel if colon else EVERY_CHANNEL)

    def accounts(self) -> Iterator[tuple[str, dict[str, object]]]:
        given = self.fields.get("given")
        found = given.get("accounts") if isinstance(given, Fields) else None
        types = {name: attribute.type for name, attribute in self.catalog.accounts.items()}
        for each in found.fields if isinstance(found, Fields) else ():
            if isinstance(each.value, Fields):
                yield each.key, self.names.values(each.value, "account attribute", types)

    def others(self) -> Iterator[str]:
        for item in items_in(self.fields.get("with")):
            assert isinstance(item, Scalar)
            if item.text not in self.names.journeys:
                self.names.unknown("journey", item.text, self.names.journeys, item.span)
            elif item.text != self.journey.name:
                yield item.text

    def arms(self) -> Iterator[tuple[str, str]]:
        given = self.fields.get("given")
        chosen = given.get("arm") if isinstance(given, Fields) else None
        for item in chosen.fields if isinstance(chosen, Fields) else ():
            verb = self.steps.get(item.key)
            if not isinstance(verb, Split):
                splits = [step for step, verb in self.steps.items() if isinstance(verb, Split)]
                self.names.unknown("split", item.key, splits, item.key_span)
                continue
            assert isinstance(item.value, Scalar)
            names = [arm.name for arm in verb.arms]
            if item.value.text not in names:
                self.names.unknown("arm", item.value.text, names, item.value.span)
                continue
            yield item.key, item.value.text

    def held_out(self) -> bool | None:
        given = self.fields.get("given")
        said = given.get("holdout") if isinstance(given, Fields) else None
        return bool(said.value) if isinstance(said, Scalar) else None

    def mistake(self, code: str, message: str, value: Scalar, hint: str | None = None) -> _Mistake:
        self.names.note(code, message, value.span, hint)
        return _Mistake()

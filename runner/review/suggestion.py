"""A scenario for what none reaches, found by playing: the contact gets what the next step on the way asks for, until
the way is gone to its end. What then happens is what the scenario expects; the author says whether it should.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from runner.journey.catalog import ADDRESS_OF, OptIn
from runner.journey.expression import tree
from runner.journey.graph import Node, compile_program
from runner.journey.model import (
    AttributeTrigger,
    Branch,
    Call,
    Condition,
    ConsentTrigger,
    Draw,
    EventTrigger,
    HandOff,
    SegmentTrigger,
    Send,
    Split,
    WaitAny,
    WaitCollect,
    WaitEvent,
    WaitUntil,
    WaitWhen,
)
from runner.journey.model.timed import DateTrigger
from runner.journey.model.triggers import ConsentChange
from runner.journey.project import Project
from runner.journey.scenario import Scenario
from runner.journey.scenario_file import load_scenarios, scenario_path
from runner.journey.values import Kind as ValueKind
from runner.review.coverage import Item, Kind, Reached
from runner.review.happenings import COMPARED, Happening
from runner.review.happenings import Kind as Happened
from runner.review.scenarios import Stage
from runner.review.suggestion_text import SAMPLES, Given, Spot, samples, scenario_text
from runner.review.way_to import way_to
from runner.review.wishes import Before, Consent, Reacted, Tag, Value, Wish, wishes
from runner.store.database import Database

MOST_PATHS = 6
MOMENT = timedelta(minutes=1)
"""How long after a run came to a step what it waits for happens."""


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A scenario for what is called ``title``, as it stands in ``tests.yaml``: one item of ``tests``, which was played,
    passes and reaches that. ``text`` is None where none was found; what was tried then came to the step ``stuck``, if
    it came to any: where it is not ``begun``, nothing that starts a run was found."""

    title: str
    file: str
    text: str | None
    stuck: str | None = None
    begun: bool = True

    @property
    def reaches(self) -> bool:
        return self.text is not None

    def told(self) -> str:
        """For people: what it is for and where to put it, or that none was found."""
        if self.text is None:
            far = f": what was tried comes no further than `{self.stuck}`" if self.stuck else ""
            far = far if self.begun else ": nothing that was tried starts the journey"
            return f"no scenario was found for {self.title}{far}"
        return f"a scenario for {self.title}, for the tests of {self.file}\n\n{self.text.rstrip()}"


def suggestions(project: Project, items: Iterable[Item]) -> Iterator[Suggestion]:
    """Scenarios for ``items``, each looked for when it is asked for; last come those for which none was found."""
    in_vain = []
    for item in items:
        found = suggest(project, item)
        if found.reaches:
            yield found
        else:
            in_vain.append(found)
    yield from in_vain


def suggest(project: Project, item: Item) -> Suggestion:
    """A scenario of the journey of ``item`` that reaches it, if one is found."""
    program = compile_program(project.journeys[item.journey])
    avoided: set[tuple[int, str]] = set()
    nearest: Suggestion | None = None
    with Database.scratch() as database:
        stage = Stage(database, project, (item.journey,))
        for _ in range(MOST_PATHS):
            path = way_to(program, item, avoided)
            if path is None:
                break
            search = _Search(project, item, stage, path)
            found = search.found()
            if found.reaches:
                return found
            nearest = nearest or found
            # What two steps ask for may contradict: there may be another way around the one or the other.
            if search.stuck is None or search.stuck == path[-1]:
                break
            avoided.add((search.stuck[0].index, search.stuck[1]))
    return nearest or _none_found(item)


def _none_found(item: Item, stuck: str | None = None) -> Suggestion:
    return Suggestion(title=item.title, file=scenario_path(item.journey), text=None, stuck=stuck)


@dataclass
class _Search:
    project: Project
    item: Item
    stage: Stage
    path: tuple[tuple[Node, str], ...]
    given: Given = field(default_factory=Given)
    stuck: tuple[Node, str] | None = None
    """The step that the run has not left as it should, and how it should have."""
    changed: dict[str, str] = field(default_factory=dict)
    """By topic, how its consent changes to begin the run."""

    def found(self) -> Suggestion:
        if not self._enters():
            return replace(_none_found(self.item), begun=False)
        journey = self.project.journeys[self.item.journey]
        if journey.holdout is not None or self.project.catalog.policies.holdout:
            self.given.held_out = False
        if self.item.kind is Kind.TEXT:
            self.given.contact["locale"] = self.item.way or self.project.catalog.locale
        tried: set[str] = set()
        while True:
            happened, reached = self._play()
            if self._reaches(reached):
                text = self._written(self._with_consents(happened))
                return replace(_none_found(self.item), text=text if self._holds(text) else None)
            tried.add(self.given.written())
            self._go_on(happened)
            if self.given.written() in tried:
                name = self.stuck[0].step.id if self.stuck else None
                return _none_found(self.item, name)

    def _enters(self) -> bool:
        """What begins the run; False where that is not known."""
        for trigger in self.project.journeys[self.item.journey].triggers:
            match trigger:
                case EventTrigger(event=event, where=where):
                    declared = self.project.catalog.events.get(event)
                    properties = samples(declared.properties) if declared else {}
                    self.given.trigger = properties
                    self.given.events.append(Spot(timedelta(), {"event": event}, properties))
                    self._take(wishes(where, True), properties)
                case AttributeTrigger(attribute=attribute, type=type, becomes=becomes):
                    value = next((w.value for w in wishes(becomes, True) if isinstance(w, Value)), None)
                    told = {attribute: SAMPLES.get(type.kind, "something") if value is None else value}
                    self.given.events.append(Spot(timedelta(), {"identify": told}))
                case ConsentTrigger():
                    self._consent_changes(trigger)
                case DateTrigger(offset=offset, where=where):
                    reached = self.start + timedelta(days=1, microseconds=-offset.elapsed)
                    kind = self.project.catalog.attributes[trigger.attribute].type.kind
                    self._take(wishes(where, True), {}, at=timedelta())
                    date = reached.date() if kind is ValueKind.DATE else reached
                    self.given.contact[trigger.attribute] = date.isoformat()
                case SegmentTrigger(when=when, change=change) if change.value == "enter":
                    self._take(wishes(when, True), {}, at=MOMENT)
                case _:
                    continue
            return True
        return False

    def _consent_changes(self, trigger: ConsentTrigger) -> None:
        topic, change = trigger.topic, trigger.change
        self.changed[topic] = change
        if change is ConsentChange.WITHDRAWN:
            self.given.consent(topic)
        told = {"consent": topic, "change": "withdrawn" if topic in self.given.consents else "given"}
        channel = {} if trigger.channel is None else {"channel": trigger.channel}
        confirmed = (
            {} if change in (ConsentChange.PENDING, ConsentChange.WITHDRAWN) else self._confirmed(topic)
        )
        self.given.events.append(Spot(timedelta(), {**told, **channel, **confirmed}))

    def _confirmed(self, topic: str) -> Mapping[str, bool]:
        """What a consent says beside, so that it counts where one asks twice."""
        declared = self.project.catalog.topics[topic]
        asks_twice = OptIn.DOUBLE in (declared.opt_in, *(each.opt_in for each in declared.cases))
        return {"confirmed": True} if asks_twice else {}

    def _consent(self, topic: str, at: timedelta) -> None:
        """Have the contact consent: from the beginning; ``at`` then, once, where the run begins by another change of
        that."""
        change = self.changed.get(topic)
        if change is None:
            self.given.consent(topic)
        elif change != ConsentChange.GIVEN and all(
            not each.at or each.what.get("consent") != topic for each in self.given.events
        ):
            told = {"consent": topic, "change": "given", **self._confirmed(topic)}
            self.given.happens(Spot(at, told))

    def _with_consents(self, happened: Sequence[Happening]) -> Sequence[Happening]:
        """What happens where the contact consents to what else it is written about, unless the way is another then: a
        scenario is about a message sooner than about a consent that is missing."""
        without = deepcopy(self.given)
        verbs = {
            node.step.id: node.verb for node in self.stage.versions.current[self.item.journey].program.nodes
        }
        for each in happened:
            verb = verbs.get(each.name)
            if each.kind is Happened.BLOCKED and each.detail == "no_consent" and isinstance(verb, Send):
                self._consent(verb.topic, MOMENT)
        if self.given == without:
            return happened
        then, reached = self._play()
        if self._reaches(reached):
            return then
        self.given = without
        return happened

    def _play(self) -> tuple[Sequence[Happening], Reached]:
        scenario = self._read(scenario_text(self.given, "suggested", (), self.item.journey, whole=True))
        happened, reached = self.stage.lived(scenario)
        return happened[scenario.person.id], reached

    def _holds(self, text: str) -> bool:
        """Whether the scenario, as its author would have it in the file, passes and reaches what it is for."""
        outcome = self.stage.play(self._read(f"journey: {self.item.journey}\ntests:\n{text}"))
        return outcome.passed and self._reaches(outcome.reached)

    def _read(self, text: str) -> Scenario:
        scenarios, problems = load_scenarios(
            scenario_path(self.item.journey),
            text,
            self.item.journey,
            self.project.catalog,
            self.project.journeys,
        )
        if problems:
            raise AssertionError(f"{problems[0].message} {text}")
        return scenarios[0]

    def _reaches(self, reached: Reached) -> bool:
        journey, name, way = self.item.journey, self.item.name, self.item.way
        match self.item.kind:
            case Kind.STEP:
                return (journey, name) in reached.steps
            case Kind.WAY:
                return (journey, name, way) in reached.ways
            case Kind.RULE:
                return (journey, name, way) in reached.rules
        return (journey, name, (way or self.project.catalog.locale).lower()) in reached.texts

    def _go_on(self, happened: Sequence[Happening]) -> None:
        """Give what the first step asks for that the run has not left as it should."""
        left = {each.name: (each, each.way) for each in happened if each.way is not None}
        arrived = timedelta()
        self.stuck = None
        for node, outcome in self.path:
            leaving = left.get(node.step.id)
            if leaving is None or leaving[1] != outcome:
                self.stuck = (node, outcome)
                self._give(node, outcome, arrived)
                return
            arrived = leaving[0].at - self.start

    @property
    def start(self) -> datetime:
        return self.given.start

    def _give(self, node: Node, outcome: str, arrived: timedelta) -> None:
        step, soon = node.step.id, arrived + MOMENT
        match node.verb:
            case Branch(cases=cases):
                for case in cases:
                    if case.when is not None:
                        self._take(wishes(case.when, case.name == outcome), self.given.trigger, by=arrived)
                    if case.name == outcome:
                        break
            case Condition(test=test):
                self._take(wishes(test, outcome == "true"), self.given.trigger, by=arrived)
            case Split():
                self.given.arms[step] = outcome
            case WaitEvent(event=event, where=where) if outcome == "event":
                self._happens(event, wishes(where, True), soon)
            case WaitWhen(when=when) if outcome == "true":
                self._take(wishes(when, True), self.given.trigger, at=soon)
            case WaitAny(options=options) if outcome != "timeout":
                option = next(each for each in options if each.name == outcome)
                if option.event is not None:
                    self._happens(option.event, wishes(option.where, True), soon)
                else:
                    self._take(wishes(option.when, True), self.given.trigger, at=soon)
            case WaitUntil(date=date):
                self._date(date.tree, outcome, arrived)
            case WaitCollect(event=event, where=where) if outcome == "elapsed":
                self._happens(event, wishes(where, True), soon)
            case Send() as send:
                self._message(send, outcome == "ready")
            case Draw(pool=pool):
                self.given.pools[pool] = (
                    [f"{pool}-{number}" for number in (1, 2, 3)] if outcome == "drawn" else []
                )
            case Call():
                answer = {"status": 200, "json": {}} if outcome == "answered" else {"status": 500}
                self.given.calls[step] = answer
            case HandOff() if outcome in ("accepted", "rejected"):
                key = "picked_up" if outcome == "accepted" else "rejected"
                self.given.happens(Spot(soon, {key: step}))

    def _message(self, send: Send, leaves: bool) -> None:
        field_name = ADDRESS_OF.get(send.channel)
        if not leaves:
            if field_name is not None:
                self.given.contact[field_name] = None
            self._take(wishes(send.only_if, False), self.given.trigger)
            return
        if field_name == "phone":
            self.given.contact["phone"] = "+49 30 1234567"
        if not self.project.catalog.topics[send.topic].transactional:
            self._consent(send.topic, MOMENT)
        self._take(wishes(send.only_if, True), self.given.trigger)

    def _date(self, date: tree.Node, outcome: str, arrived: timedelta) -> None:
        """Move the date for which a step waits, where it is a plain value of the contact or the trigger."""
        if not isinstance(date, tree.Name) or len(date.path) != 1:
            return
        days = {"elapsed": 30, "past": -30}.get(outcome)
        day = None if days is None else (self.start + arrived + timedelta(days=days)).date().isoformat()
        value = f"{day}T10:00:00Z" if day and date.type.kind is ValueKind.DATETIME else day
        self._take((Value(date.source, date.path[0], value),), self.given.trigger)

    def _happens(self, event: str, wanted: Sequence[Wish], at: timedelta) -> None:
        declared = self.project.catalog.events.get(event)
        properties = samples(declared.properties) if declared else {}
        # What begins the run and what ends a wait most often speak of the same: of one cart, one order.
        properties |= {name: value for name, value in self.given.trigger.items() if name in properties}
        spot = Spot(at, {"event": event}, properties)
        self._take(wanted, properties)
        self.given.happens(spot)

    def _take(
        self,
        wanted: Sequence[Wish],
        properties: dict[str, Any],
        at: timedelta | None = None,
        by: timedelta = timedelta(),
    ) -> None:
        """Give what is wished: to the contact, from the beginning or ``at``; to the event with ``properties``. Readers
        react ``at`` then, or shortly before it is asked, ``by`` then."""
        told: dict[str, Any] = {}
        for wish in wanted:
            match wish:
                case Value(source="contact", name=name, value=value):
                    (self.given.contact if at is None else told)[name] = value
                case Value(source="trigger", name=name, value=value):
                    self.given.trigger[name] = value
                case Value(source="event", name=name, value=value):
                    properties[name] = value
                case Tag(tag=tag):
                    tags = self.given.contact.setdefault("tags", [])
                    if tag not in tags:
                        tags.append(tag)
                case Consent(topic=topic):
                    self._consent(topic, at if at is not None else max(by - MOMENT, by / 2))
                case Reacted(what=what, step=step):
                    self.given.happens(Spot(at if at is not None else max(by - MOMENT, by / 2), {what: step}))
                case Before(event=event, properties=found, times=times, ago=ago):
                    declared = self.project.catalog.events.get(event)
                    beside = {**(samples(declared.properties) if declared else {}), **dict(found)}
                    for number in range(times):
                        when = (at if at is not None else -ago) + number * timedelta(minutes=1)
                        self.given.happens(Spot(when, {"event": event}, beside))
        if told:
            self.given.happens(Spot(at or timedelta(), {"identify": told}))

    def _written(self, happened: Sequence[Happening]) -> str:
        """The scenario, with what happened up to the first thing that shows that the way was gone."""
        last = self.path[-1][0].step.id
        gone = [each.at for each in happened if each.name == last and each.way is not None]
        told = [each for each in happened if each.kind in COMPARED]
        shown = [each.at for each in told if gone and each.at >= gone[-1]][:1]
        told = [each for each in told if not shown or each.at <= shown[0]]
        return scenario_text(self.given, self.item.title, told, self.item.journey)

"""Scenarios played: the real engine on a scratch database under a virtual clock, messages really rendered.

A scratch database is made once for all scenarios with the same journeys in force, and emptied between them:
making tables and compiling journeys takes far longer than playing one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from channels.base import Answer, Channel, Message, Rejected, Sent
from runner.engine.apply import apply_project
from runner.engine.deliver import deliver
from runner.engine.prepare import idempotency_key
from runner.engine.presses import press
from runner.engine.tick import EXACT, tick
from runner.engine.timed import begin_anew
from runner.engine.versions import Versions, load_versions
from runner.journey.catalog import ASKED_BY_CALL, IDENTIFIED, LINK_PRESSED, MESSAGE_EVENTS, TASK_EVENTS
from runner.journey.fit import fit_account, fit_event, fit_traits
from runner.journey.model import AdAudience, Call, HandOff, Send
from runner.journey.project import Project, load_project
from runner.journey.scenario import Answered, Received, Scenario
from runner.review.coverage import GOAL, Reached, asked_by
from runner.review.decisions import Watcher
from runner.review.happenings import Happening, Kind
from runner.review.timeline import Comparison, compare_everybody
from runner.store.database import Database
from runner.store.passes.holdouts import holdouts
from runner.store.people.accounts import apply_account_traits
from runner.store.people.arrival import NOBODY, Arrival
from runner.store.people.contacts import grant_consent
from runner.store.people.events import store_events
from runner.store.sending.pools import replace_values
from runner.store.tables import MessageStatus, RunStatus
from runner.store.watching import due, played, story

ABOUT_MESSAGES = frozenset({*MESSAGE_EVENTS, *TASK_EVENTS, LINK_PRESSED})
"""Events of which it is known only when they happen which run they are about."""
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""When the journeys under test count as applied."""
BEFORE = timedelta(microseconds=1)
"""How long before all else the contact becomes known."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one scenario."""

    scenario: Scenario
    comparison: Comparison
    reached: Reached = field(default_factory=Reached)

    @property
    def passed(self) -> bool:
        return self.comparison.passed


def play_all(project: Project, scenarios: Sequence[Scenario]) -> Iterator[Outcome]:
    """Play ``scenarios`` one after another, in their order."""
    with ExitStack() as stack:
        stages: dict[tuple[str, ...], Stage] = {}
        for scenario in scenarios:
            names = tuple(sorted(scenario.journeys))
            if names not in stages:
                stages[names] = Stage(stack.enter_context(Database.scratch()), project, names)
            yield stages[names].play(scenario)


class Capture:
    """A channel that keeps what it is given, by idempotency key, for the expectations to read."""

    def __init__(self, calls: Mapping[str, Answered]) -> None:
        self.messages: dict[str, Message] = {}
        self._calls = calls

    def send(self, message: Message) -> Sent | Rejected:
        self.messages[message.idempotency_key] = message
        given = self._calls.get(message.step) if message.kind == "call" else None
        if given is None:
            return Sent()
        answer = Answer(status=given.status, json=given.json)
        return Sent(answer=answer) if 200 <= given.status < 300 else Rejected(f"HTTP {given.status}", answer)

    def close(self) -> None:
        """Nothing to give back."""


class Stage:
    """An empty database with the journeys of one set of scenarios applied."""

    def __init__(self, database: Database, project: Project, names: Sequence[str]) -> None:
        files = {path: text for name in names for path, text in project.bundle(name).items()}
        self.project = load_project(files)
        self.database = database
        apply_project(database, self.project, now=BEGINNING, author=None, git_commit=None)
        self.versions: Versions = load_versions(database)
        self._channels = {
            node.verb.channel if isinstance(node.verb, Send | HandOff | AdAudience) else ASKED_BY_CALL
            for version in self.versions
            for node in version.program.nodes
            if isinstance(node.verb, Send | HandOff | AdAudience | Call)
        }

    def play(self, scenario: Scenario) -> Outcome:
        """Play one scenario; one that fails is played a second time with an eye on what its decisions
        read.
        """
        happened, reached = self.lived(scenario)
        outcome = Outcome(
            scenario=scenario, comparison=compare_everybody(scenario, happened), reached=reached
        )
        if outcome.passed:
            return outcome
        watcher = Watcher(self.database, self.versions.current[scenario.journey], scenario)
        self.lived(scenario, watcher.look)
        return replace(outcome, comparison=replace(outcome.comparison, decisions=watcher.decisions()))

    def lived(
        self, scenario: Scenario, look: Callable[[datetime], None] | None = None
    ) -> tuple[Mapping[str, Sequence[Happening]], Reached]:
        """What happened to each person of the scenario, by id, and what was reached with them."""
        self._set(scenario)
        capture = Capture(scenario.calls)
        self._live(scenario, capture, look or (lambda _: None))
        known = _known_since(scenario)
        happened: dict[str, list[Happening]] = {}
        reached = Reached()
        for each in scenario.everybody:
            with self.database.read() as connection:
                entries = story.story(connection, each.person.id)
            told = (self._told(entry, capture) for entry in entries if entry.at != known)
            happened[each.person.id] = [happening for happening in told if happening is not None]
            reached |= self._reached(entries, capture)
        return happened, reached | Reached(rules=self._goals())

    def _reached(self, entries: Sequence[story.Entry], capture: Capture) -> Reached:
        """The steps at which runs stood, the ways by which they left them, and the texts that were rendered."""
        at_steps = [entry for entry in entries if entry.step is not None]
        texts = set()
        for entry in at_steps:
            rendered = entry.message and capture.messages.get(
                idempotency_key(self.database.deployment, entry.message.key)
            )
            verb = self.versions.current[entry.name].program.node(entry.step or "").verb
            if rendered and entry.message and isinstance(verb, Send):
                texts.add((entry.name, entry.message.template or verb.template, rendered.locale.lower()))
        return Reached(
            steps=frozenset((entry.name, entry.step or "") for entry in at_steps),
            ways=frozenset(
                (entry.name, entry.step or "", entry.outcome or "")
                for entry in at_steps
                if entry.chapter is story.Chapter.LEFT
            ),
            texts=frozenset(texts),
            rules=frozenset(self._rules(entries)),
        )

    def _rules(self, entries: Sequence[story.Entry]) -> Iterator[tuple[str, str, str]]:
        """The exit rules that have ended runs. Of those of one reason it is the one that hears what arrived then; else
        one that asks for a condition."""
        received = {(each.at, each.name) for each in entries if each.chapter is story.Chapter.RECEIVED}
        by_step = {(each.name, each.run, each.at, each.outcome) for each in entries if self._exits(each)}
        for entry in entries:
            ended = entry.chapter is story.Chapter.ENDED and entry.status is RunStatus.EXITED
            if not ended or (entry.name, entry.run, entry.at, entry.outcome) in by_step:
                continue
            rules = [
                rule
                for rule in self.versions.current[entry.name].journey.exits
                if rule.reason == entry.outcome
            ]
            heard = [rule for rule in rules if rule.event and (entry.at, rule.event) in received]
            for rule in heard or [each for each in rules if each.when]:
                yield entry.name, rule.reason, asked_by(rule)

    def _exits(self, entry: story.Entry) -> bool:
        """Whether the run has left a step that ends it."""
        if entry.chapter is not story.Chapter.LEFT or entry.step is None:
            return False
        edges = self.versions.current[entry.name].program.node(entry.step).edges
        return any(edge.outcome == entry.outcome and edge.reason for edge in edges)

    def _goals(self) -> frozenset[tuple[str, str, str]]:
        """The goals that were counted."""
        with self.database.read() as connection:
            counted = played.journeys_with_goals(connection)
        goals = ((name, self.versions.current[name].journey.goal) for name in counted)
        return frozenset((name, GOAL, goal.event) for name, goal in goals if goal is not None)

    def _set(self, scenario: Scenario) -> None:
        """Everything as it is before the start, and all that will arrive."""
        known = _known_since(scenario)
        deployment = self.database.deployment
        with self.database.begin() as connection:
            played.forget_contacts(connection)
            begin_anew(connection, self.versions, scenario.start - BEFORE)
            replace_values(connection, scenario.pools)
            catalog = self.project.catalog
            accounts = [(key, fit_account(catalog, raw).properties) for key, raw in scenario.accounts.items()]
            apply_account_traits(connection, deployment, accounts, known)
        for each in scenario.everybody:
            self._set_person(each, known)

    def _set_person(self, scenario: Scenario, known: datetime) -> None:
        """One person of a scenario. What is before the start is history: it changes the contact, and no journey reacts
        to it."""
        person = scenario.person
        arrivals = [
            self._arrival(scenario, number, received) for number, received in enumerate(scenario.received)
        ]
        past = [arrival for arrival in arrivals if arrival.at < scenario.start]
        # Of which run a message is told, is known when it happens.
        to_come = [
            arrival
            for arrival in arrivals
            if arrival.at >= scenario.start and arrival.name not in ABOUT_MESSAGES
        ]
        identity = Received(at=known, name=IDENTIFIED, properties=person.traits, span=scenario.span)
        deployment = self.database.deployment
        with self.database.begin() as connection:
            history = [self._arrival(scenario, -1, identity), *past]
            store_events(connection, deployment, history, pending=False)
            for consent in person.consents:
                grant_consent(
                    connection,
                    deployment,
                    [person.id],
                    topic=consent.topic,
                    channel=consent.channel,
                    at=known,
                    source="scenario",
                )
            if scenario.held_out is not None:
                for version in self.versions:
                    for journey, step, _ in holdouts(version.sql):
                        played.assign_holdout(connection, person.id, journey, step, scenario.held_out)
            for step, arm in scenario.arms.items():
                played.assign_arm(connection, person.id, scenario.journey, step, arm)
            store_events(connection, deployment, to_come, pending=True)

    def _arrival(self, scenario: Scenario, number: int, received: Received) -> Arrival:
        catalog, raw = self.project.catalog, received.properties
        fitted = (
            fit_traits(catalog, raw)
            if received.name == IDENTIFIED
            else fit_event(catalog, received.name, raw)
        )
        declared = catalog.events.get(received.name)
        return Arrival(
            contact=NOBODY if declared and declared.broadcast else scenario.person.id,
            name=received.name,
            at=received.at,
            properties=fitted.properties,
            undeclared=fitted.undeclared,
            dedup_key=f"scenario {scenario.person.id} {number}",
        )

    def _live(self, scenario: Scenario, capture: Capture, look: Callable[[datetime], None]) -> None:
        """Go from instant to instant until nothing is due up to the horizon. Messages are rendered at the
        instant that lets them go, when the contact is as the reader would have found it."""
        channels: Mapping[str, Channel] = dict.fromkeys(self._channels, capture)
        became = sorted(
            (
                (received.at, number, received, each)
                for each in scenario.everybody
                for number, received in enumerate(each.received)
                if received.name in ABOUT_MESSAGES and received.at >= scenario.start
            ),
            key=lambda told: told[:2],
        )
        horizon = max(each.horizon for each in scenario.everybody)
        # At the start it is looked who is in which segment, whether anything is due then or not.
        self.versions.all_begun = False
        instant: datetime | None = scenario.start
        while instant is not None and instant <= horizon:
            while became and became[0][0] == instant:
                _, number, received, told = became.pop(0)
                self._tell(told, number, received)
            # What a tick leaves undone is due at the same instant, and is found again.
            tick(self.database, self.versions, instant, EXACT)
            while self._something_ready(instant):
                deliver(self.database, self.versions, channels, instant, exact=True)
            look(instant)
            instant = self._next_instant(became, instant)

    def _something_ready(self, instant: datetime) -> bool:
        with self.database.read() as connection:
            return due.something_ready(connection, instant)

    def _tell(self, scenario: Scenario, number: int, received: Received) -> None:
        """Store what became of the last message of a step, with the run whose message it is."""
        if received.name == LINK_PRESSED:
            said: Any = received.properties
            press(self.database, self.versions, contact=scenario.person.id, at=received.at, **said)
            return
        journey, step = str(received.properties["journey"]), str(received.properties["step"])
        with self.database.begin() as connection:
            run = played.last_message(connection, scenario.person.id, journey, step, received.at)
            told = replace(received, properties={**received.properties, **({"run": run} if run else {})})
            arrival = self._arrival(scenario, number, told)
            store_events(connection, self.database.deployment, [arrival], pending=True)

    def _next_instant(
        self, became: Sequence[tuple[datetime, int, Received, Scenario]], reached: datetime
    ) -> datetime | None:
        with self.database.read() as connection:
            instants = [
                due.next_due(connection),
                due.next_pending(connection),
                due.next_timed(connection),
            ]
        instants += [at for at, *_ in became[:1]]
        # Schedules and dates that are new are looked at as of before the start.
        return min((max(instant, reached) for instant in instants if instant is not None), default=None)

    def _told(self, entry: story.Entry, capture: Capture) -> Happening | None:
        """An entry of the contact's story as the comparison speaks of it; None for what it leaves out."""
        at, journey = entry.at, entry.name
        match entry:
            case story.Entry(chapter=story.Chapter.RECEIVED):
                return Happening(at=at, kind=Kind.RECEIVED, journey="", name=entry.name)
            case story.Entry(chapter=story.Chapter.ENTERED):
                return Happening(at=at, kind=Kind.ENTERED, journey=journey, name="")
            case story.Entry(message=story.MessageDecision() as decision, step=str() as step):
                return self._message(entry, step, decision, capture)
            case story.Entry(chapter=story.Chapter.DEFERRED, step=str() as step):
                return Happening(
                    at=at,
                    kind=Kind.DEFERRED,
                    journey=journey,
                    name=step,
                    detail=entry.outcome or "",
                    until=entry.due_at,
                )
            case story.Entry(chapter=story.Chapter.LEFT | story.Chapter.STANDS, step=str() as step):
                kind = Kind.LEFT if entry.chapter is story.Chapter.LEFT else Kind.STANDS
                return Happening(at=at, kind=kind, journey=journey, name=step, detail=entry.outcome or "")
            case story.Entry(chapter=story.Chapter.ENDED, status=RunStatus() as status):
                kind = _ENDS[status]
                return Happening(at=at, kind=kind, journey=journey, name=entry.outcome or "")
        return None

    def _message(
        self, entry: story.Entry, step: str, decision: story.MessageDecision, capture: Capture
    ) -> Happening:
        if not decision.let_go:
            return Happening(
                at=entry.at,
                kind=Kind.BLOCKED,
                journey=entry.name,
                name=step,
                detail=decision.reason or "",
                channel=decision.channel,
            )
        if decision.status is MessageStatus.WITHHELD:
            return Happening(
                at=entry.at,
                kind=Kind.WITHHELD,
                journey=entry.name,
                name=step,
                detail=decision.reason or "",
                channel=decision.channel,
                template=decision.template,
            )
        rendered = capture.messages.get(idempotency_key(self.database.deployment, decision.key))
        return Happening(
            at=entry.at,
            kind=Kind.SENT,
            journey=entry.name,
            name=step,
            channel=decision.channel,
            template=decision.template,
            subject=rendered.subject if rendered else None,
            text=rendered.text if rendered else None,
            attached=tuple(f"{each.name}\n{each.text}" for each in rendered.attachments) if rendered else (),
            trouble=decision.reason if decision.status is MessageStatus.FAILED else None,
        )


_ENDS = {
    RunStatus.COMPLETED: Kind.COMPLETED,
    RunStatus.EXITED: Kind.EXITED,
    RunStatus.SET_ASIDE: Kind.SET_ASIDE,
}


def _known_since(scenario: Scenario) -> datetime:
    """Since when people are known: before all that arrives."""
    arriving = (received.at for each in scenario.everybody for received in each.received)
    return min([scenario.start, *arriving]) - BEFORE

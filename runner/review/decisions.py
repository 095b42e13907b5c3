"""Why a scenario went the way it went: the expressions that were read, what came out, and the values that
they saw.

Values are read by the same SQL as the engine's, directly after the instant at which it decided. What a run
changed at that very instant is therefore seen as it is afterwards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from runner.engine.versions import Version
from runner.journey.expression import Expression, Node
from runner.journey.expression.canonical import canonical
from runner.journey.expression.tree import (
    Clock,
    Consented,
    Count,
    DaysSince,
    Did,
    InSegment,
    Last,
    Name,
    Sent,
    Total,
    children,
)
from runner.journey.model import Branch, Condition, Step
from runner.journey.model.timed import DateTrigger, ScheduleTrigger
from runner.journey.scenario import Scenario
from runner.journey.values import MILLIONTHS, Kind, ValueType
from runner.journey.wakes import Turns, wakes_of
from runner.review.timeline import Decision, offset_text
from runner.store.database import Database
from runner.store.watching.read_at import Place, read_values
from runner.store.watching.story import Chapter, Entry, story

READ = (Name, Clock, Did, Count, Total, Last, DaysSince, Sent, Consented, InSegment)
"""The nodes whose values are shown."""


class Watcher:
    """Looks at a scratch database after each instant of a scenario, and remembers what decided."""

    def __init__(self, database: Database, version: Version, scenario: Scenario) -> None:
        self._database = database
        self._version = version
        self._scenario = scenario
        self._found: list[Decision] = []

    def decisions(self) -> tuple[Decision, ...]:
        """What has been seen, in order of time."""
        return tuple(self._found)

    def look(self, instant: datetime) -> None:
        """Remember what was decided at ``instant``, which has just been handled."""
        with self._database.read() as connection:
            entries = [entry for entry in story(connection, self._scenario.person.id) if entry.at <= instant]
            for label, outcome, expression, place in self._decided(entries, instant):
                names = tuple(_read(expression.tree))
                values = read_values(
                    connection,
                    self._scenario.person.id,
                    place,
                    (expression, *(Expression(canonical(name), name, name.type) for name in names)),
                    timezone=self._version.catalog.timezone,
                )
                self._found.append(
                    Decision(
                        at=instant,
                        step=label,
                        outcome=outcome or value_text(values[0], expression.type),
                        source=expression.source,
                        values=tuple(
                            (name_text(name), value_text(value, name.type))
                            for name, value in zip(names, values[1:], strict=True)
                        ),
                    )
                )

    def _decided(
        self, entries: Sequence[Entry], instant: datetime
    ) -> Iterator[tuple[str, str, Expression, Place]]:
        """Label, outcome (empty: the expression's value), expression, and where it was read."""
        journey = self._version.journey
        own = [
            entry for entry in entries if entry.name == journey.name and entry.chapter is not Chapter.RECEIVED
        ]
        for received in entries:
            if received.at == instant and received.chapter is Chapter.RECEIVED:
                yield from self._heard(received, own)
        for entry in own:
            if entry.at != instant:
                continue
            place = Place(at=instant, run=entry.run)
            if entry.chapter is Chapter.LEFT and entry.step is not None:
                yield from self._step(entry, entry.step, place)
            elif entry.chapter is Chapter.ENDED:
                for rule in journey.exits:
                    if rule.when is not None and rule.reason == entry.outcome:
                        yield f"exit {rule.reason}", "", rule.when, place

    def _heard(self, received: Entry, own: Sequence[Entry]) -> Iterator[tuple[str, str, Expression, Place]]:
        """What exits, waits and triggers asked about an event."""
        journey, at = self._version.journey, received.at
        for run in _on(own, at):
            place = Place(at=at, run=run, event=received.event)
            for rule in journey.exits:
                if rule.event == received.name and rule.where is not None:
                    yield f"exit {rule.reason}", "", rule.where, place
            for node in self._version.program.nodes:
                for label, asked in _asked(node.step, received.name):
                    if _waits(own, run, node.step.id, at):
                        yield label, "", asked, place
        for trigger in journey.triggers:
            where = trigger.audience if isinstance(trigger, ScheduleTrigger) else trigger.where
            if trigger.event == received.name and where is not None and not isinstance(trigger, DateTrigger):
                yield f"trigger {received.name}", "", where, Place(at=at, event=received.event)

    def _step(self, entry: Entry, step: str, place: Place) -> Iterator[tuple[str, str, Expression, Place]]:
        node = self._version.program.node(step)
        for wake in wakes_of(node.verb):
            if isinstance(wake, Turns) and wake.outcome == entry.outcome:
                yield step, entry.outcome, wake.when, place
        match node.verb:
            case Condition(test=test):
                yield step, entry.outcome or "", test, place
            case Branch(cases=cases):
                for case in cases:
                    if case.when is not None:
                        yield f"{step}, case {case.name}", "", case.when, place
                    if case.name == entry.outcome:
                        break


def _asked(step: Step, event: str) -> Iterator[tuple[str, Expression]]:
    """What a wait asks when an event arrives, with a label for each."""
    wakes = wakes_of(step.verb)
    for wake in wakes:
        label = step.id if len(wakes) == 1 else f"{step.id}, {wake.outcome}"
        if isinstance(wake, Turns):
            yield label, wake.when
        elif wake.event == event and wake.where is not None:
            yield label, wake.where


def _on(own: Sequence[Entry], at: datetime) -> list[int]:
    """The runs that were on when something arrived at ``at``."""
    ended = {entry.run for entry in own if entry.chapter is Chapter.ENDED and entry.at < at}
    return [
        entry.run
        for entry in own
        if entry.chapter is Chapter.ENTERED and entry.at < at and entry.run not in ended
    ]


def _waits(own: Sequence[Entry], run: int, step: str, at: datetime) -> bool:
    """Whether the run stood on the wait ``step`` when something arrived at ``at``: it still does, or has just left."""
    return any(
        entry.run == run
        and entry.step == step
        and (entry.chapter is Chapter.STANDS or (entry.chapter is Chapter.LEFT and entry.at == at))
        for entry in own
    )


def _read(node: Node) -> Iterator[Node]:
    """The parts of an expression that read something, each once, from left to right."""
    found: dict[Node, None] = {}

    def visit(part: Node) -> None:
        if isinstance(part, READ):
            found[part] = None
        else:
            for child in children(part):
                visit(child)

    visit(node)
    yield from found


def name_text(node: Node) -> str:
    """A part of an expression as an author would write it."""
    return re.sub(
        r"within=(\d+)us",
        lambda match: f'within="{offset_text(timedelta(microseconds=int(match[1])))}"',
        canonical(node),
    )


def value_text(value: object, kind: ValueType) -> str:
    """A stored value as an author would write it."""
    if value is None or isinstance(value, bool):
        return {None: "None", True: "true", False: "false"}[value]
    if kind.kind is Kind.NUMBER and isinstance(value, int):
        text = f"{Decimal(value) / MILLIONTHS:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return json.dumps(value, ensure_ascii=False)

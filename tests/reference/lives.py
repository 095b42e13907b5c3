"""What the reference model keeps: events, runs as they go, and what is told of a contact in the end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from runner.journey.model import (
    Branch,
    Call,
    Condition,
    Draw,
    HandOff,
    Journey,
    Send,
    Split,
    Step,
    Trigger,
    WaitAny,
    WaitCollect,
    WaitEvent,
    WaitWhen,
)
from runner.journey.model.links import Link


@dataclass(frozen=True, kw_only=True)
class Happening:
    """An event of one contact, properties in their stored form; ``order`` rises in order of arrival."""

    at: datetime
    order: int
    name: str
    properties: Mapping[str, Any]
    by: Run | None = None
    """The run that caused it, if any did."""
    nth: int = 0
    """Its place among those that runs of the contact cause at its instant."""
    pressed: Pressed | None = None
    is_broadcast: bool = False
    """Whether it happened to nobody in particular."""
    of: Trigger | None = None
    """The only trigger that hears it, of those that time pulls."""


@dataclass(frozen=True, kw_only=True)
class Message:
    contact: str
    journey: str
    step: str
    channel: str
    at: datetime
    status: str
    reason: str
    template: str
    """Which of the cells; empty where its step has but one template."""


@dataclass(frozen=True, kw_only=True)
class Conversion:
    contact: str
    journey: str
    at: datetime
    value: Decimal | None


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    contact: str
    journey: str
    per: str
    entered_at: datetime
    status: str
    reason: str
    ended_at: datetime | None
    step: str
    data: str
    held_out: bool

    @staticmethod
    def said(data: Mapping[str, Any]) -> str:
        """``run.NAME`` as text; a value that is missing is not in it, nor within one of its values. Why a message was
        blocked is kept only where somebody reads it."""
        kept = {name: value for name, value in data.items() if name != "blocked"}
        return json.dumps(_without_missing(kept), sort_keys=True)


def _without_missing(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_missing(member) for name, member in value.items() if member is not None}
    return [_without_missing(member) for member in value] if isinstance(value, list) else value


@dataclass(frozen=True, kw_only=True)
class Lived:
    """What happened to one contact, and what it holds in the end; an attribute that is missing is not in it."""

    runs: tuple[RunRecord, ...]
    messages: tuple[Message, ...]
    conversions: tuple[Conversion, ...]
    attributes: Mapping[str, Any]
    tags: tuple[str, ...]

    @classmethod
    def told(
        cls,
        *,
        runs: Iterable[RunRecord],
        messages: Iterable[Message],
        conversions: Iterable[Conversion],
        attributes: Mapping[str, Any],
        tags: Iterable[str],
    ) -> Lived:
        """The same life in the same words, in whatever order it was told."""
        return cls(
            runs=tuple(sorted(runs, key=str)),
            messages=tuple(sorted(messages, key=str)),
            conversions=tuple(sorted(conversions, key=str)),
            attributes={name: value for name, value in attributes.items() if value is not None},
            tags=tuple(sorted(tags)),
        )


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What policy was asked about, and when it decided."""

    channel: str
    topic: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Carried:
    """A message that was let go, or withheld, when that was, and which of its links its reader has pressed."""

    step: str
    at: datetime
    pressed: set[str] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class Press:
    """A reader presses a button: that of a link in the newest message of a step of a journey. ``option`` is that of a
    snooze, ``values`` are those that links ask for."""

    contact: str
    journey: str
    step: str
    link: str
    at: datetime
    option: str | None
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Pressed:
    """The button behind a link of the message of ``step`` of ``run``, pressed."""

    run: Run
    step: str
    link: Link
    press: Press


@dataclass(eq=False)
class Run:
    """A run as it goes; ``at_step`` is None once it has ended."""

    number: int
    journey: Journey
    per: str
    entered_at: datetime
    trigger: Mapping[str, Any]
    cause: int
    """The place of the event that started it in the order of arrival."""
    entry_key: str = ""
    """What time itself started it for; it starts a run only once."""
    held_out: bool = False
    on_hold: bool = False
    """Whether its message waits since a person is talking to the contact."""
    data: dict[str, Any] = field(default_factory=dict)
    status: str = "active"
    reason: str = ""
    ended_at: datetime | None = None
    step: Step | None = None
    arrived_at: datetime | None = None
    due: datetime | None = None
    let_go: list[tuple[str, datetime]] = field(default_factory=list)
    asked: dict[str, Asked] = field(default_factory=dict)
    """Its messages, by step."""
    carried: list[Carried] = field(default_factory=list)
    place: datetime | None = None
    """When its message may leave, of those of which only so many leave in a time."""

    @property
    def active(self) -> bool:
        return self.status == "active"

    def end(self, status: str, reason: str, at: datetime) -> None:
        self.status, self.reason, self.ended_at = status, reason, at
        self.step = self.due = None


class Walk:
    """The steps of a journey in file order, and which one follows which."""

    def __init__(self, journey: Journey) -> None:
        self.steps: list[Step] = []
        self.after: dict[str, Step | None] = {}
        self._lay(journey.steps, None)
        self.by_id = {step.id: step for step in self.steps}

    def _lay(self, steps: Sequence[Step], behind: Step | None) -> None:
        for place, step in enumerate(steps):
            self.steps.append(step)
            self.after[step.id] = steps[place + 1] if place + 1 < len(steps) else behind
            for held in _held(step):
                self._lay(held, self.after[step.id])

    def into(self, held: Sequence[Step], step: Step) -> Step | None:
        """The first of the steps that ``step`` holds, or what follows it where it holds none there."""
        return held[0] if held else self.after[step.id]


def _held(step: Step) -> Iterator[Sequence[Step]]:
    match step.verb:
        case Branch(cases=cases):
            yield from (case.steps for case in cases)
        case Split(arms=arms):
            yield from (arm.steps for arm in arms)
        case WaitEvent(then=then, timeout=timeout) | WaitWhen(then=then, timeout=timeout):
            yield from (then, timeout)
        case WaitAny(options=options, timeout=timeout):
            yield from (*(option.then for option in options), timeout)
        case WaitCollect(if_empty=if_empty):
            yield if_empty
        case Condition(otherwise=otherwise) if otherwise is not None:
            yield otherwise
        case Send(if_blocked=if_blocked):
            yield if_blocked
        case HandOff(accepted=accepted, rejected=rejected, escalate=escalate):
            yield from (accepted, rejected, escalate)
        case Call(on_error=on_error):
            yield on_error
        case Draw(if_empty=if_empty):
            yield if_empty


@dataclass(frozen=True)
class To:
    """Where a run goes next: to a step, to the end of the journey (None), or out of it with a reason."""

    step: Step | None = None
    reason: str | None = None

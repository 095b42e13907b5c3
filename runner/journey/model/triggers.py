"""Who enters: the forms of a trigger.

Whatever starts a run is an event on the contact's timeline. So each form answers ``event``, the name of the event that
it hears, and ``where``, which of them it means; the rest is the form as its author wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from runner.journey.duration import Duration
from runner.journey.expression import Expression
from runner.journey.model.timed import DateTrigger, ScheduleTrigger
from runner.journey.reserved import (
    ATTRIBUTE_CHANGED,
    CONSENT_CHANGED,
    ENROLLED,
    JOURNEY_ENDED,
    SEGMENT_ENTERED,
    SEGMENT_LEFT,
)
from runner.journey.values import ValueType
from runner.problem import Span


@dataclass(frozen=True, kw_only=True)
class EventTrigger:
    """An event of the catalog arrives."""

    event: str
    where: Expression | None = None


class ExistingPeople(StrEnum):
    """What becomes of those for whom a trigger holds already when its journey is applied."""

    SKIP = "skip"
    ENTER = "enter"


class SegmentChange(StrEnum):
    ENTER = "enter"
    LEAVE = "leave"


@dataclass(frozen=True, kw_only=True)
class SegmentTrigger:
    """``when`` is the condition of the segment; ``refresh`` is how often time is looked at that changes it."""

    segment: str
    when: Expression
    refresh: Duration
    change: SegmentChange
    where: Expression

    @property
    def event(self) -> str:
        return SEGMENT_ENTERED if self.change is SegmentChange.ENTER else SEGMENT_LEFT


@dataclass(frozen=True, kw_only=True)
class AttributeTrigger:
    """The value of an attribute changes; ``where`` says from what and to what."""

    attribute: str
    type: ValueType
    where: Expression
    becomes: Expression | None = None
    """True of those who have the value already that ``to`` names; None where the trigger names none."""

    @property
    def event(self) -> str:
        return ATTRIBUTE_CHANGED


class ConsentChange(StrEnum):
    PENDING = "pending"
    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    STALE = "stale"


@dataclass(frozen=True, kw_only=True)
class ConsentTrigger:
    """``channel`` is None for any channel. ``stale_after`` is the topic's, where the change is ``stale``."""

    topic: str
    change: ConsentChange
    where: Expression
    channel: str | None = None
    stale_after: Duration | None = None

    @property
    def event(self) -> str:
        return CONSENT_CHANGED


@dataclass(frozen=True, kw_only=True)
class JourneyTrigger:
    """``outcome`` is ``completed``, a reason, or None for every end. ``span`` is where the journey is named."""

    journey: str
    where: Expression
    span: Span
    outcome: str | None = None

    @property
    def event(self) -> str:
        return JOURNEY_ENDED


@dataclass(frozen=True, kw_only=True)
class ManualTrigger:
    """By command, or by the ``enroll`` step of another journey. ``properties`` are what they hand over."""

    where: Expression
    properties: Mapping[str, ValueType] = field(default_factory=dict)

    @property
    def event(self) -> str:
        return ENROLLED


def finds_people(trigger: Trigger) -> bool:
    """Whether those can be found for whom the trigger holds already, though nothing has happened."""
    match trigger:
        case SegmentTrigger(change=change):
            return change is SegmentChange.ENTER
        case AttributeTrigger(becomes=becomes):
            return becomes is not None
        case ConsentTrigger(change=change):
            return change is not ConsentChange.STALE
        case _:
            return False


def repeats(trigger: Trigger) -> bool:
    """Whether a contact may enter by it again and again where ``entry`` says nothing of that."""
    return isinstance(trigger, ScheduleTrigger) or (isinstance(trigger, DateTrigger) and trigger.yearly)


Trigger = (
    EventTrigger
    | SegmentTrigger
    | AttributeTrigger
    | ConsentTrigger
    | ScheduleTrigger
    | DateTrigger
    | JourneyTrigger
    | ManualTrigger
)

"""Steps by which a run acts beyond itself: on other journeys, on consents, on other systems and the people there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.journey.duration import Duration
from runner.journey.expression import Expression
from runner.journey.hours import BusinessHours
from runner.journey.model.waits import SavedAs

if TYPE_CHECKING:
    from runner.journey.model import Step

Assigned = tuple[tuple[str, Expression], ...]
"""Names and what is written to them; a literal one where the author wrote a literal."""


@dataclass(frozen=True, kw_only=True)
class Emit:
    """Records an event of the contact, at the run's instant. A property that is not named is missing."""

    event: str
    properties: Assigned = ()


@dataclass(frozen=True, kw_only=True)
class Enroll:
    """Lets the contact enter another journey, one with a manual trigger, whose ``trigger.*`` are ``properties``."""

    journey: str
    properties: Assigned = ()


@dataclass(frozen=True, kw_only=True)
class ChangeConsent:
    """Gives or withdraws a consent, with the step as its proof. ``channel`` None is every channel."""

    topic: str
    given: bool
    channel: str | None = None


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Takes a value of a pool for the run, and keeps it as ``run.SAVE_AS``."""

    pool: str
    save_as: str
    if_empty: tuple[Step, ...] = ()


@dataclass(frozen=True)
class JsonObject:
    """A JSON object that is made at the step."""

    members: tuple[tuple[str, JsonValue], ...]


@dataclass(frozen=True)
class JsonList:
    items: tuple[JsonValue, ...]


JsonValue = Expression | JsonObject | JsonList
"""What is made into JSON at the step; its leaves are expressions, literal ones where the author wrote literals."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A signed HTTP call. The run stands at the step until the answer is there, ``up_to`` at most; then, and when
    ``retry`` further attempts were in vain, it goes on by ``on_error``.

    ``timeout`` bounds one attempt. ``answer`` keeps the members of the JSON answer that have declared types.
    """

    url: Expression
    method: str = "POST"
    json: JsonValue | None = None
    headers: Assigned = ()
    timeout: Duration = field(default=Duration(microseconds=10_000_000))
    retry: int = 3
    up_to: Duration = field(default=Duration(microseconds=3_600_000_000))
    answer: SavedAs | None = None
    on_error: tuple[Step, ...] = ()


@dataclass(frozen=True, kw_only=True)
class HandOff:
    """A task for a person, through ``channel``. The run stands at the step until it is accepted or rejected, or the
    time ``sla`` is over, counted within ``hours`` where these are named."""

    to: str
    sla: Duration
    channel: str
    reason: Expression | None = None
    hours: BusinessHours | None = None
    accepted: tuple[Step, ...] = ()
    rejected: tuple[Step, ...] = ()
    escalate: tuple[Step, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AdAudience:
    """Adds the contact to an external audience, or removes it."""

    audience: str
    adds: bool
    channel: str

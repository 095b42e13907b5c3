"""Steps by which a run acts beyond itself: on other journeys, on consents."""

from __future__ import annotations

from dataclasses import dataclass

from runner.journey.expression import Expression

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

"""A scenario of a journey: a contact, what arrives when, and what has to come of it; perhaps other people
beside. Frozen values with positions.

Instants are resolved: every ``at`` is an aware UTC datetime. What arrives is as raw as an importer would get
it; it is made to fit its catalog types when it is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo

from runner.journey.catalog import EVERY_CHANNEL
from runner.problem import Span


@dataclass(frozen=True)
class Consent:
    """A consent given before the start; ``channel`` is ``*`` for every channel."""

    topic: str
    channel: str = EVERY_CHANNEL


@dataclass(frozen=True, kw_only=True)
class Person:
    """The contact of a scenario. ``traits`` are the values of an ``identify``: contact fields and
    attributes.
    """

    id: str
    traits: Mapping[str, object]
    consents: tuple[Consent, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Received:
    """An event that arrives. ``name`` may be one of the catalog's reserved events (identify, consent)."""

    at: datetime
    name: str
    properties: Mapping[str, object]
    span: Span


@dataclass(frozen=True, kw_only=True)
class ExpectedSend:
    """A message of ``step`` is let go, or is blocked for the reason ``blocked``, or is withheld. ``at`` None is any
    instant.
    """

    step: str
    span: Span
    at: datetime | None = None
    channel: str | None = None
    blocked: str | None = None
    withheld: str | None = None
    template: str | None = None
    subject_contains: tuple[str, ...] = ()
    text_contains: tuple[str, ...] = ()
    attached_contains: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ExpectedExit:
    """A run ends with ``reason``. ``at`` None is any instant."""

    reason: str
    span: Span
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ExpectedCompletion:
    """A run comes to the end of the journey. ``at`` None is any instant."""

    span: Span
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ExpectedPassing:
    """A run leaves ``step``, which is no send, by the outcome ``way``; by any where that is None."""

    step: str
    span: Span
    way: str | None = None
    at: datetime | None = None


Expected = ExpectedSend | ExpectedExit | ExpectedCompletion | ExpectedPassing


@dataclass(frozen=True, kw_only=True)
class Never:
    """No run may reach ``step``."""

    step: str
    span: Span


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The answer to a call: its HTTP status, and its JSON as Python reads it."""

    status: int
    json: object = None


PATIENCE = timedelta(days=400)
"""How long after the last instant that it names an open-ended scenario is watched at the most."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """``journeys`` are in force: the one under test first. ``arms`` maps a split step to the arm assigned
    before.

    ``until`` is where the author ends the scenario, or None.
    """

    journey: str
    name: str
    span: Span
    person: Person
    start: datetime
    zone: tzinfo
    journeys: tuple[str, ...]
    received: tuple[Received, ...]
    expected: tuple[Expected, ...]
    never: tuple[Never, ...]
    until: datetime | None = None
    arms: Mapping[str, str] = field(default_factory=dict)
    held_out: bool | None = None
    """Whether the contact is held out; None is what the draw says."""
    pools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The values of pools by name; the others are empty."""
    accounts: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """What is known of accounts, by key: raw values by attribute."""
    calls: Mapping[str, Answered] = field(default_factory=dict)
    """The answers to calls by step; those of other steps are never answered."""
    others: tuple[Scenario, ...] = ()
    """Further people, each a scenario with the same start, and none beside; what is given is given with the first."""

    @property
    def everybody(self) -> tuple[Scenario, ...]:
        """The scenario, and those of the other people in it."""
        return (self, *self.others)

    @property
    def expects_nothing(self) -> bool:
        """Whether the list of expectations is empty: nothing at all may happen."""
        return not self.expected and not self.never

    @property
    def only_never(self) -> bool:
        """Whether the scenario only says what may never happen, and nothing about the rest."""
        return not self.expected and bool(self.never)

    @property
    def last_named(self) -> datetime:
        """The latest instant that the scenario names: the start, an event, or an expectation."""
        named = [self.start, *(event.at for event in self.received)]
        return max(named + [item.at for item in self.expected if item.at is not None])

    @property
    def horizon(self) -> datetime:
        """The last instant that is looked at: where the author ends the scenario, else the last one that it
        names.

        What may never happen, or may happen at any time, is watched for until nothing is due, ``PATIENCE`` at
        the most.
        """
        if self.until is not None:
            return self.until
        open_ended = not self.expected or self.never or any(item.at is None for item in self.expected)
        return self.last_named + PATIENCE if open_ended else self.last_named

    @property
    def strict_until(self) -> datetime:
        """Up to this instant, everything that happens has to be expected."""
        if self.until is not None or self.expects_nothing:
            return self.horizon
        return self.last_named

"""Nodes that look up what is recorded of a contact: its past, its messages, its runs, its consents, its account."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.journey.values import BOOLEAN, NUMBER, ValueType

if TYPE_CHECKING:
    from runner.journey.expression.tree import Node


@dataclass(frozen=True)
class Condition:
    """What is true or false, never missing."""

    @property
    def type(self) -> ValueType:
        return BOOLEAN


# The past -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _History:
    """Looks at the handled events named ``event`` at or before the instant.

    With ``within`` (microseconds) only at those in (instant - within, instant]; with ``where`` only at those for
    which it is true (``event.X`` in it is theirs). ``by_account``: at those of everybody who shares the contact's
    account, others' only before the instant; at none where the contact has no account.
    """

    event: str
    within: int | None = None
    where: Node | None = None
    by_account: bool = False


@dataclass(frozen=True, kw_only=True)
class Did(_History):
    @property
    def type(self) -> ValueType:
        return BOOLEAN


@dataclass(frozen=True, kw_only=True)
class Count(_History):
    @property
    def type(self) -> ValueType:
        return NUMBER


@dataclass(frozen=True, kw_only=True)
class Total(_History):
    """The exact sum of a number property: 0 over no events, None where it exceeds the largest number."""

    path: tuple[str, ...]

    @property
    def type(self) -> ValueType:
        return NUMBER


@dataclass(frozen=True, kw_only=True)
class Last(_History):
    """A property of the latest event (by instant, then by arrival); None where there is none."""

    path: tuple[str, ...]
    inside: tuple[str, ...] = ()
    type: ValueType = field(hash=False)


@dataclass(frozen=True, kw_only=True)
class DaysSince(_History):
    """Whole days of 24 hours since the latest event; None where there is none."""

    @property
    def type(self) -> ValueType:
        return NUMBER


@dataclass(frozen=True, kw_only=True)
class HoursLeft(_History):
    """The hours that the events have left in the window, summed: the hours of ``within`` (whole hours, never None)
    less the whole hours since the event; 0 over no events."""

    @property
    def type(self) -> ValueType:
        return NUMBER


# Messages and runs ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sent(Condition):
    """Whether a message at ``step`` was let go: one of this run, or any of the contact's in ``journey``. ``former`` are
    the ids that the step had in earlier versions, by which the messages of runs that followed are known."""

    step: str
    journey: str | None = None
    former: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reaction(Condition):
    """``opened``, ``clicked`` or ``replied`` (``function``): whether a person did so with a message at ``step``, one of
    this run, or any of ``journey``; ``condition`` is that question, asked of the events that tell it."""

    function: str
    step: str
    journey: str | None
    link: str | None
    condition: Node


@dataclass(frozen=True)
class RunNumber:
    """The number of this run within its contact, by which its messages are known; None outside of a run."""

    @property
    def type(self) -> ValueType:
        return NUMBER


@dataclass(frozen=True)
class InJourney(Condition):
    """Whether a run of ``journey`` is on, or, where ``completed``, one has come to the journey's end."""

    journey: str
    completed: bool


# What the catalog defines ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InSegment(Condition):
    """A segment's condition, read where the segment is named. It sees no trigger, event or run."""

    name: str
    condition: Node


@dataclass(frozen=True)
class Derived:
    """``contact.stage`` or ``contact.score`` (``name`` says which score): what the catalog makes of the contact, read
    where it is named. It sees no trigger, event or run."""

    name: str
    value: Node
    type: ValueType = field(hash=False)


# Consent --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Consented(Condition):
    """Whether consent to ``topic`` is given for ``channel``, by a row of its own, else by the one for every channel."""

    topic: str
    channel: str


@dataclass(frozen=True)
class ConsentAge:
    """Whole days of 24 hours since the consent that ``Consented`` would look at was given; None where none is."""

    topic: str
    channel: str

    @property
    def type(self) -> ValueType:
        return NUMBER


@dataclass(frozen=True)
class AnyConsent(Condition):
    """Whether consent to any topic is given: for ``channel`` (as ``Consented`` looks), or for any where it is None."""

    channel: str | None = None


@dataclass(frozen=True)
class Suppressed(Condition):
    """Whether nothing may be sent to the contact's present ``address`` (the name of its field; None: to its key) by
    ``channel``."""

    channel: str
    address: str | None


@dataclass(frozen=True)
class Reachable(Condition):
    """``condition``: an address for ``channel``, consent to any topic there, and nothing that suppresses it."""

    channel: str
    condition: Node


# The account ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class People:
    """How many contacts share the contact's account and fulfil ``condition``, in which ``contact`` is each of them; the
    contact itself counts as well. 0 where it has no account."""

    condition: Node

    @property
    def type(self) -> ValueType:
        return NUMBER


History = Did | Count | Total | Last | DaysSince | HoursLeft
Recorded = (
    History
    | Sent
    | Reaction
    | RunNumber
    | InJourney
    | InSegment
    | Derived
    | Consented
    | ConsentAge
    | AnyConsent
    | Suppressed
    | Reachable
    | People
)

"""A journey as its author wrote it: frozen values, every expression typed, every step with its place in the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time
from enum import StrEnum

from runner.journey.duration import Duration
from runner.journey.expression import Expression
from runner.problem import Span


@dataclass(frozen=True, kw_only=True)
class EventTrigger:
    event: str
    where: Expression | None = None


class Again(StrEnum):
    """What a trigger does while a run of the same contact and ``per`` value is on."""

    IGNORE = "ignore"
    RESTART = "restart"
    REFRESH = "refresh"


class Reentry(StrEnum):
    NEVER = "never"
    ALWAYS = "always"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """``reentry`` is a rule, or the time since the last entry from which a contact may enter again."""

    per: Expression | None = None
    again: Again = Again.IGNORE
    reentry: Reentry | Duration = Reentry.NEVER


@dataclass(frozen=True, kw_only=True)
class ExitRule:
    """Ends a run with ``reason``: on an event (``where`` may narrow it), or as soon as ``when`` holds."""

    reason: str
    event: str | None = None
    where: Expression | None = None
    when: Expression | None = None


@dataclass(frozen=True, kw_only=True)
class Goal:
    """``within`` counts from the last message of the run that left."""

    event: str
    within: Duration
    where: Expression | None = None
    value: Expression | None = None
    exits: bool = False


class Leave(StrEnum):
    """What a wait does about a date that is past or missing."""

    CONTINUE = "continue"
    EXIT = "exit"
    WAIT = "wait"


@dataclass(frozen=True)
class Goto:
    """As a step: a jump forward to the step ``target``."""

    target: str


@dataclass(frozen=True, kw_only=True)
class LocalTimes:
    """The local times at which a wait may end: ``at`` on one of ``days`` (0 is Monday). Without ``at``, any time of an
    allowed day, beginning at 00:00. ``timezone`` is an expression or None for the contact's own zone."""

    at: time | None = None
    days: frozenset[int] = frozenset(range(7))
    timezone: Expression | None = None


@dataclass(frozen=True, kw_only=True)
class WaitFor:
    duration: Duration
    local: LocalTimes | None = None


@dataclass(frozen=True, kw_only=True)
class WaitUntil:
    """Until ``date`` plus ``offset``, at ``local.at`` (00:00 for a date without time)."""

    date: Expression
    offset: Duration = field(default=Duration())
    local: LocalTimes | None = None
    if_past: Leave | Goto = Leave.CONTINUE
    if_missing: Leave | Goto = Leave.CONTINUE


@dataclass(frozen=True, kw_only=True)
class WaitEvent:
    event: str
    up_to: Duration
    where: Expression | None = None
    then: tuple[Step, ...] = ()
    timeout: tuple[Step, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A gate. Without ``otherwise`` a run for which ``test`` is false ends with reason ``condition``."""

    test: Expression
    otherwise: tuple[Step, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case of a branch; ``when`` is None for the ``else`` case, which is the last one."""

    name: str
    steps: tuple[Step, ...]
    when: Expression | None


@dataclass(frozen=True, kw_only=True)
class Branch:
    cases: tuple[Case, ...]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """``share`` is in hundredths of a percent; the arms of a split add up to 10,000."""

    name: str
    share: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class Split:
    arms: tuple[Arm, ...]


@dataclass(frozen=True, kw_only=True)
class Send:
    channel: str
    template: str
    topic: str
    valid_for: Duration = field(default=Duration(days=1))


@dataclass(frozen=True, kw_only=True)
class Update:
    """Writes to the contact (``attributes``, tags) and to the run (``values``).

    Each value is an expression: a literal one where the author wrote a literal."""

    attributes: tuple[tuple[str, Expression], ...] = ()
    values: tuple[tuple[str, Expression], ...] = ()
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Exit:
    reason: str


Verb = WaitFor | WaitUntil | WaitEvent | Condition | Branch | Split | Send | Update | Goto | Exit


@dataclass(frozen=True, kw_only=True)
class Step:
    id: str
    verb: Verb
    span: Span
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Journey:
    """``topic`` is the consent topic of every send that names none."""

    name: str
    title: str
    triggers: tuple[EventTrigger, ...]
    steps: tuple[Step, ...]
    span: Span
    owner: str | None = None
    topic: str | None = None
    entry: Entry = Entry()
    exits: tuple[ExitRule, ...] = ()
    goal: Goal | None = None
    language: int = 1

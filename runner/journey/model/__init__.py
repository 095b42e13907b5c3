"""A journey as its author wrote it: frozen values, every expression typed, every step with its place in the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from runner.journey.duration import Duration
from runner.journey.expression import Expression
from runner.journey.model.acts import AdAudience as AdAudience
from runner.journey.model.acts import Call as Call
from runner.journey.model.acts import ChangeConsent as ChangeConsent
from runner.journey.model.acts import Draw as Draw
from runner.journey.model.acts import Emit as Emit
from runner.journey.model.acts import Enroll as Enroll
from runner.journey.model.acts import HandOff as HandOff
from runner.journey.model.in_flight import Content as Content
from runner.journey.model.in_flight import Followers as Followers
from runner.journey.model.in_flight import InFlight as InFlight
from runner.journey.model.in_flight import Retired as Retired
from runner.journey.model.in_flight import Timers as Timers
from runner.journey.model.jumps import Exit as Exit
from runner.journey.model.jumps import Goto as Goto
from runner.journey.model.launch import Delivery as Delivery
from runner.journey.model.launch import RampStep as RampStep
from runner.journey.model.links import Ask as Ask
from runner.journey.model.links import Link as Link
from runner.journey.model.links import Snooze as Snooze
from runner.journey.model.sends import BestHour as BestHour
from runner.journey.model.sends import Cells as Cells
from runner.journey.model.sends import Rate as Rate
from runner.journey.model.sends import Send as Send
from runner.journey.model.sends import Window as Window
from runner.journey.model.triggers import (
    AttributeTrigger as AttributeTrigger,
)
from runner.journey.model.triggers import (
    ConsentTrigger as ConsentTrigger,
)
from runner.journey.model.triggers import (
    EventTrigger as EventTrigger,
)
from runner.journey.model.triggers import (
    ExistingPeople as ExistingPeople,
)
from runner.journey.model.triggers import (
    JourneyTrigger as JourneyTrigger,
)
from runner.journey.model.triggers import (
    ManualTrigger as ManualTrigger,
)
from runner.journey.model.triggers import (
    SegmentChange as SegmentChange,
)
from runner.journey.model.triggers import (
    SegmentTrigger as SegmentTrigger,
)
from runner.journey.model.triggers import (
    Trigger as Trigger,
)
from runner.journey.model.waits import Leave as Leave
from runner.journey.model.waits import LocalTimes as LocalTimes
from runner.journey.model.waits import Option as Option
from runner.journey.model.waits import SavedAs as SavedAs
from runner.journey.model.waits import UpToDate as UpToDate
from runner.journey.model.waits import WaitAny as WaitAny
from runner.journey.model.waits import WaitCollect as WaitCollect
from runner.journey.model.waits import WaitEvent as WaitEvent
from runner.journey.model.waits import WaitFor as WaitFor
from runner.journey.model.waits import WaitUntil as WaitUntil
from runner.journey.model.waits import WaitWhen as WaitWhen
from runner.problem import Span


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
    """``reentry`` is a rule, or the time since the last entry from which a contact may enter again. ``by_account``: all
    who share an account count as one."""

    per: Expression | None = None
    by_account: bool = False
    again: Again = Again.IGNORE
    reentry: Reentry | Duration = Reentry.NEVER


@dataclass(frozen=True, kw_only=True)
class ExitRule:
    """Ends a run with ``reason``: on an event (``where`` may narrow it), or as soon as ``when`` holds. ``of_run``: the
    event must be about the run itself."""

    reason: str
    event: str | None = None
    where: Expression | None = None
    when: Expression | None = None
    of_run: bool = False


@dataclass(frozen=True, kw_only=True)
class Goal:
    """``within`` counts from the last message of the run that left."""

    event: str
    within: Duration
    where: Expression | None = None
    value: Expression | None = None
    exits: bool = False


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
    """The first case that is true is taken."""

    cases: tuple[Case, ...]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """``share`` is in hundredths of a percent; the arms of a split add up to 10,000."""

    name: str
    share: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Traffic of a split moves to the arm that reaches the goal most often, of each combination of values of ``by``.

    ``guarded``: an arm after which more contacts unsubscribe than after the first gets nobody any more.
    """

    by: tuple[Expression, ...] = ()
    guarded: bool = False


@dataclass(frozen=True, kw_only=True)
class Split:
    """Each contact draws an arm, and keeps it."""

    arms: tuple[Arm, ...]
    experiment: Experiment | None = None


@dataclass(frozen=True, kw_only=True)
class Update:
    """Writes to the contact (``attributes``, tags) and to the run (``values``).

    Each value is an expression: a literal one where the author wrote a literal."""

    attributes: tuple[tuple[str, Expression], ...] = ()
    values: tuple[tuple[str, Expression], ...] = ()
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    score: tuple[str, Expression] | None = None
    """The name of a score, and what is added to it by hand."""


Wait = WaitFor | WaitUntil | WaitEvent | WaitWhen | WaitAny | WaitCollect
Act = Emit | Enroll | ChangeConsent | Draw | Call | HandOff | AdAudience
"""What a run does beyond itself."""

Verb = Wait | Condition | Branch | Split | Send | Update | Act | Goto | Exit


@dataclass(frozen=True, kw_only=True)
class Step:
    id: str
    verb: Verb
    span: Span
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Journey:
    """``topic`` is the consent topic of every send that names none; ``links`` are those by which readers steer;
    ``stage`` is the stage of the buyer's journey that it belongs to."""

    name: str
    title: str
    triggers: tuple[Trigger, ...]
    steps: tuple[Step, ...]
    span: Span
    owner: str | None = None
    topic: str | None = None
    stage: str | None = None
    entry: Entry = Entry()
    exits: tuple[ExitRule, ...] = ()
    goal: Goal | None = None
    links: tuple[Link, ...] = ()
    existing: ExistingPeople = ExistingPeople.SKIP
    language: int = 1
    holdout: int | None = None
    """Who is held out, in hundredths of a percent: of 0 nobody new is, of None nobody is any more."""
    delivery: Delivery = Delivery.LIVE
    seeds: tuple[str, ...] = ()
    ramp: tuple[RampStep, ...] = ()
    in_flight: InFlight = field(default_factory=InFlight)

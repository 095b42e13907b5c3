"""What a plan says of each journey: the values, which ``plan_report`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from runner.journey.model import Delivery, Timers
from runner.problem import Problem
from runner.review.introduction import Introduction
from runner.review.unsaid_renames import UnsaidRename
from runner.review.what_changed import Difference
from runner.store.tables import JourneyState


class Change(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    RETIRED = "retired"  # nobody enters any more
    REMOVED = "removed"  # its file is gone


class Going(StrEnum):
    """What becomes of the people at a step."""

    FINISHES = "finishes"  # they go on in their version
    STAYS = "stays"  # they come over, and stay at their step
    MOVES = "moves"  # they come over, to a step of another name
    LEAVES = "leaves"  # their runs end
    NOWHERE = "nowhere"  # nobody knows: an error


@dataclass(frozen=True, kw_only=True)
class AtStep:
    """``to`` is the step to which they move, or the reason for which they leave. ``skipped``: the steps, by their new
    names, to which they would have come from where they stood, and do not from where they come to stand."""

    step: str
    people: int
    going: Going
    to: str | None = None
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class InVersion:
    """The people in one version. Of those who finish it: the last does so by ``until``, as long as the daemon keeps up;
    None where ``endless``, a step, may keep them for as long as it likes."""

    hash: str
    steps: tuple[AtStep, ...]
    until: datetime | None = None
    endless: str | None = None
    put_off_by: str | None = None
    """The link by which a reader may put off the message of ``endless``, where that is why."""
    old_texts: Mapping[str, str] = field(default_factory=dict)
    """The templates that those who finish it read as they were, though there are newer ones, each with the reason."""
    delivery: Delivery | None = None
    """What becomes of the messages of those who finish it, where the newest version says otherwise of its own."""

    @property
    def people(self) -> int:
        return sum(each.people for each in self.steps)


@dataclass(frozen=True, kw_only=True)
class Recomputed:
    """The last of those who wait at ``step`` does so until ``after``, and would until ``before``."""

    step: str
    before: datetime | None
    after: datetime


@dataclass(frozen=True, kw_only=True)
class Kept:
    """How long people wait at ``step`` changes, and not for those who stand there: the last of their waits ends at
    ``until``, as it would have."""

    step: str
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Existing:
    """``people`` match the trigger already; ``enter``: they enter."""

    people: int
    enter: bool


@dataclass(frozen=True, kw_only=True)
class JourneyPlan:
    """What applying would mean for one journey. ``before`` is the version in force, ``after`` the one that would be.
    ``overdue``: of those who come over, whose time is up by the new version, None where the database does not let this
    be tried; the last goes on at ``released_until``.
    ``unsaid`` are sends that may have been renamed though nothing says so.
    """

    journey: str
    change: Change
    before: str | None
    after: str | None
    state: JourneyState
    versions: tuple[InVersion, ...] = ()
    overdue: int | None = 0
    released_until: datetime | None = None
    timers: Timers = Timers.KEEP
    """What becomes of the waits of those who come over."""
    recomputed: tuple[Recomputed, ...] = ()
    kept: tuple[Kept, ...] = ()
    existing: Existing | None = None
    differences: tuple[Difference, ...] | None = None
    """From the version in force; None where there is none that this release can read, or nothing to compare."""
    unsaid: tuple[UnsaidRename, ...] = ()
    introduction: Introduction | None = None
    """What it is, where it is new."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """``journeys`` by name. With ``problems`` ``apply`` would refuse; ``warnings`` do not keep it from anything."""

    journeys: tuple[JourneyPlan, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether ``apply`` would change anything. That a file is gone whose journey has ended changes nothing."""
        return any(each.change not in (Change.UNCHANGED, Change.REMOVED) for each in self.journeys)

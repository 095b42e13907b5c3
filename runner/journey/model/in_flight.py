"""What becomes of people in flight when their journey changes, or ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from runner.journey.model.jumps import Exit
from runner.problem import Span


class Followers(StrEnum):
    """What people do who are in an older version."""

    FINISH = "finish"  # each finishes the version that they entered
    FOLLOW = "follow"  # they go on in the newest


class Timers(StrEnum):
    """When the waits end of those who follow."""

    KEEP = "keep"  # when they would have ended
    RECOMPUTE = "recompute"  # as the new version counts, from when each began
    RESTART = "restart"  # as the new version counts, from now


class Content(StrEnum):
    """What those read who finish an older version."""

    LATEST = "latest"
    PINNED = "pinned"


class Retired(StrEnum):
    """What becomes of those who are in a journey that nobody enters any more."""

    FINISH = "finish"
    EXIT = "exit"


@dataclass(frozen=True, kw_only=True)
class InFlight:
    """``moved`` names steps that are gone, or of another kind now, and where those go who stand there: the id of a step
    of the journey, or an exit; ``places`` are where its entries stand, without those that another entry leads to.
    ``renamed`` are the names that its steps had in earlier versions, each with the step; None where nothing is known of
    earlier versions. ``names`` are, by a step that was renamed, before or since, all that it has had in any version.
    ``retired`` is None while people enter."""

    followers: Followers = Followers.FINISH
    moved: Mapping[str, str | Exit] = field(default_factory=dict)
    places: Mapping[str, Span] = field(default_factory=dict)
    renamed: Mapping[str, str] | None = None
    names: Mapping[str, frozenset[str]] = field(default_factory=dict)
    timers: Timers = Timers.KEEP
    content: Content = Content.LATEST
    retired: Retired | None = None

    @property
    def follows(self) -> bool:
        return self.followers is Followers.FOLLOW

    def called_now(self, step: str) -> str | None:
        """The step that had the id ``step`` before; None where none is known to."""
        target = (self.moved if self.renamed is None else self.renamed).get(step)
        return target if isinstance(target, str) else None

    def former(self, step: str) -> frozenset[str]:
        """The ids that ``step`` had before: its messages may be known by them."""
        names = self.moved if self.renamed is None else self.renamed
        return frozenset(name for name, target in names.items() if target == step)

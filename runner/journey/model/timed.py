"""Triggers that time itself pulls: schedules, and dates of the contact.

``cause`` says in one text what makes a trigger come when it comes: what the store remembers of it is kept under that,
so that a trigger whose text changes begins anew, and any other keeps its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time
from enum import StrEnum

from runner.journey.cron import Cron
from runner.journey.duration import Duration
from runner.journey.expression import Expression
from runner.journey.expression.tree import Name
from runner.journey.reserved import DATE_REACHED, SCHEDULE_FIRED


class CatchUp(StrEnum):
    """What becomes of the firings that came while nobody was there."""

    SKIP = "skip"
    ONCE = "once"
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class ScheduleTrigger:
    """``timezone`` is None for each contact's own; ``audience`` None for everybody."""

    cause: str
    cron: Cron
    where: Expression
    timezone: str | None = None
    audience: Expression | None = None
    catch_up: CatchUp = CatchUp.ONCE

    @property
    def event(self) -> str:
        return SCHEDULE_FIRED


class IfPast(StrEnum):
    """What becomes of a date that is past when it becomes known."""

    SKIP = "skip"
    ENTER = "enter"


@dataclass(frozen=True, kw_only=True)
class DateTrigger:
    """``date`` is an attribute of the contact, a date or a datetime. It is reached ``offset`` from there, at the local
    time ``at`` (None: 00:00, or the datetime's own time), each year where ``yearly``."""

    cause: str
    date: Expression
    where: Expression
    yearly: bool = False
    offset: Duration = field(default=Duration())
    at: time | None = None
    if_past: IfPast = IfPast.SKIP

    @property
    def attribute(self) -> str:
        """The attribute of the contact that is the date."""
        assert isinstance(self.date.tree, Name)
        return self.date.tree.path[0]

    @property
    def event(self) -> str:
        return DATE_REACHED

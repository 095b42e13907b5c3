"""Steps at which a run stands: for a time, until a date, until something happens or is true, while events gather."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time
from enum import StrEnum
from typing import TYPE_CHECKING

from runner.journey.duration import Duration
from runner.journey.expression import Expression
from runner.journey.model.jumps import Goto
from runner.journey.values import ValueType

if TYPE_CHECKING:
    from runner.journey.model import Step


class Leave(StrEnum):
    """What a wait does about a date that is past or missing."""

    CONTINUE = "continue"
    EXIT = "exit"
    WAIT = "wait"


@dataclass(frozen=True, kw_only=True)
class LocalTimes:
    """The local times at which a wait may end: ``at`` on one of ``days`` (0 is Monday). Without ``at``, any time of an
    allowed day, beginning at 00:00. ``timezone`` is an expression or None for the contact's own zone."""

    at: time | None = None
    days: frozenset[int] = frozenset(range(7))
    timezone: Expression | None = None


@dataclass(frozen=True, kw_only=True)
class WaitFor:
    """For a length of time, and then until the next local time that ``local`` allows."""

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
class UpToDate:
    """How long at most: until ``date`` plus ``offset``. It follows the date; one that is past or missing is no time."""

    date: Expression
    offset: Duration = field(default=Duration())


@dataclass(frozen=True, kw_only=True)
class SavedAs:
    """What is kept as ``run.NAME``, and its type: the properties of an event, or a list of such."""

    name: str
    type: ValueType


@dataclass(frozen=True, kw_only=True)
class WaitEvent:
    """``since_entry``: an event since the run entered counts, and not only one since the run stands here."""

    event: str
    up_to: Duration | UpToDate
    where: Expression | None = None
    since_entry: bool = False
    save_as: SavedAs | None = None
    then: tuple[Step, ...] = ()
    timeout: tuple[Step, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WaitWhen:
    """Until ``when`` is true."""

    when: Expression
    up_to: Duration | UpToDate
    then: tuple[Step, ...] = ()
    timeout: tuple[Step, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Option:
    """One of the things that a wait for several may end by: an event, or a condition. ``name`` is its outcome."""

    name: str
    event: str | None = None
    where: Expression | None = None
    since_entry: bool = False
    save_as: SavedAs | None = None
    when: Expression | None = None
    then: tuple[Step, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WaitAny:
    """Whichever comes first; of those that come together, the first of the list."""

    options: tuple[Option, ...]
    up_to: Duration | UpToDate
    timeout: tuple[Step, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WaitCollect:
    """A digest: stands for ``duration`` and then keeps the newest ``most`` events that have come meanwhile, the oldest
    first. With ``since_entry`` also those since the run entered, the one that started it included."""

    event: str
    duration: Duration
    save_as: SavedAs
    where: Expression | None = None
    since_entry: bool = False
    local: LocalTimes | None = None
    most: int = 50
    if_empty: tuple[Step, ...] = ()

"""The triggers in force that time itself pulls, by their causes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.journey.model.timed import DateTrigger, ScheduleTrigger
from runner.store.tables import JourneyState

if TYPE_CHECKING:
    from runner.engine.versions import Version


@dataclass(frozen=True, kw_only=True)
class Dated:
    """A trigger on a date, and the version in force that has it."""

    version: Version
    trigger: DateTrigger


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """``default_zone`` is where those live who have no zone. A journey that is paused is not ``live``: its firings pass
    by."""

    version: Version
    trigger: ScheduleTrigger

    @property
    def default_zone(self) -> str:
        return self.version.catalog.timezone

    @property
    def live(self) -> bool:
        return self.version.state is JourneyState.LIVE


@dataclass(frozen=True, kw_only=True)
class Timetable:
    """What time starts, by its cause."""

    dates: Mapping[str, Dated]
    schedules: Mapping[str, Scheduled]

    @property
    def in_own_zones(self) -> tuple[Scheduled, ...]:
        """The schedules that fire for each contact by its own clock."""
        return tuple(each for each in self.schedules.values() if each.trigger.timezone is None)


def timetable_of(current: Iterable[Version]) -> Timetable:
    """The timetable of the versions that contacts enter."""
    dates: dict[str, Dated] = {}
    schedules: dict[str, Scheduled] = {}
    for version in current:
        for trigger in version.journey.triggers:
            match trigger:
                case DateTrigger(cause=cause):
                    dates[cause] = Dated(version=version, trigger=trigger)
                case ScheduleTrigger(cause=cause):
                    schedules[cause] = Scheduled(version=version, trigger=trigger)
    return Timetable(dates=dates, schedules=schedules)

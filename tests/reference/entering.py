"""Who enters a journey, for one contact and one event at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Any

from runner.journey.catalog import Catalog
from runner.journey.duration import Duration
from runner.journey.model import Again, ConsentTrigger, Journey, Reentry, Trigger
from runner.journey.model.timed import DateTrigger, ScheduleTrigger
from tests.reference.lives import Happening, Run, To, Walk
from tests.reference.person import AmbiguousError, Person
from tests.reference.wall_clock import elapsed


class Entering:
    key: str
    catalog: Catalog
    person: Person
    walks: dict[str, Walk]
    runs: list[Run]
    now: datetime
    _end: Callable[[Run, str, str], None]
    _holds: Callable[..., bool]
    _means: Callable[[Any, Happening], bool]
    _is_too_old: Callable[[ConsentTrigger, Happening], bool]

    def _trigger(self, journey: Journey, event: Happening, goes_on: dict[Run, To], again: list[Run]) -> None:
        if not any(self._fires(journey, trigger, event) for trigger in journey.triggers):
            return
        entry, entry_key = journey.entry, _entry_key(event)
        of_journey = [run for run in self.runs if run.journey is journey]
        if entry_key and any(run.entry_key == entry_key for run in of_journey):
            return
        per = self.person.per(entry.per, event)
        same = [run for run in of_journey if run.per == per]
        on = next((run for run in same if run.active), None)
        if entry.by_account:
            theirs = self._of_colleagues(journey, per)
            if on is None and any(run.active for run in theirs):
                return
            same += theirs
        if on is not None and entry.again is Again.IGNORE:
            return
        if on is not None and entry.again is Again.REFRESH:
            on.trigger = event.properties
            again.append(on)
            return
        if on is not None:
            self._end(on, "exited", "restarted")
            goes_on.pop(on, None)
        else:
            match entry.reentry:
                case Reentry.NEVER if same:
                    return
                case Duration() as apart if same:
                    if max(run.entered_at for run in same) + elapsed(apart) > event.at:
                        return
        run = Run(len(self.runs) + 1, journey, per, self.now, event.properties, event.order)
        run.entry_key, run.held_out = entry_key, self._is_held_out(journey)
        self.runs.append(run)
        goes_on[run] = To(self.walks[journey.name].steps[0])

    def _of_colleagues(self, journey: Journey, per: str) -> list[Run]:
        """The runs of the others who share the account."""
        if self.person.acting:
            raise AmbiguousError
        colleagues = [other for other in self.person.colleagues() if other is not self.person]
        return [
            run
            for colleague in colleagues
            for run in colleague.runs
            if run.journey.name == journey.name and run.per == per
        ]

    def _fires(self, of: Journey, trigger: Trigger, event: Happening) -> bool:
        if isinstance(trigger, DateTrigger | ScheduleTrigger):
            return self._means(trigger, event)
        if (journey := event.properties.get("existing")) is not None:
            return trigger.event == event.name and journey == of.name
        if isinstance(trigger, ConsentTrigger) and not self._is_too_old(trigger, event):
            return False
        return trigger.event == event.name and self._holds(trigger.where, None, event)

    def _is_held_out(self, journey: Journey) -> bool:
        everywhere = self.catalog.policies.holdout
        return part(f"{journey.name}/holdout/{self.key}") < (journey.holdout or 0) or (
            everywhere is not None and part(f"*/{everywhere.name}/{self.key}") < everywhere.share
        )


def _entry_key(event: Happening) -> str:
    """What time started the run for; empty where something else did."""
    if event.of is None:
        return ""
    return event.properties["date"] if isinstance(event.of, DateTrigger) else event.properties["at"]


def part(text: str) -> int:
    """Sticky chance: one of ten thousand parts."""
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") % 10_000

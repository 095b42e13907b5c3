"""What an event, or what is true, ends and reaches, for one run at a time: goals and exits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from runner.journey.model import ExitRule
from tests.reference.causes import MILLION
from tests.reference.lives import Conversion, Happening, Run
from tests.reference.person import number
from tests.reference.wall_clock import elapsed


class Ending:
    """How runs of one contact reach their goals, and end before they are through."""

    key: str
    now: datetime
    runs: list[Run]
    conversions: list[Conversion]
    _end: Callable[[Run, str, str], None]
    _value: Callable[..., Any]
    _holds: Callable[..., bool]

    def _reached(self, run: Run, event: Happening) -> bool:
        """Whether the event is what the run was there for, soon enough after one of its messages."""
        goal = run.journey.goal
        if goal is None or goal.event != event.name:
            return False
        before = [at for _, at in run.let_go if at <= event.at]
        if not before or event.at > max(before) + elapsed(goal.within):
            return False
        return self._holds(goal.where, run, event)

    def _count_goals(self, event: Happening) -> None:
        reached = [run for run in self.runs if self._reached(run, event)]
        newest = {(run.journey.name, run.per): run for run in reached}
        for run in reached:
            goal = run.journey.goal
            if goal is None or newest[run.journey.name, run.per] is not run:
                continue
            value = self._value(goal.value, run, event) if goal.value else None
            self.conversions.append(
                Conversion(
                    contact=self.key,
                    journey=run.journey.name,
                    at=event.at,
                    value=None if value is None else number(value),
                )
            )
            if goal.exits and run.active:
                self._end(run, "exited", "goal")

    def _exit_by_event(self, event: Happening) -> None:
        ending: list[tuple[Run, str]] = []
        for run in self.runs:
            reasons = (
                rule.reason
                for rule in run.journey.exits
                if run.active and rule.event == event.name and _is_about(rule, run, event)
                if self._holds(rule.where, run, event)
            )
            ending += [(run, reason) for reason in [next(reasons, None)] if reason is not None]
        for run, reason in ending:
            self._end(run, "exited", reason)

    def _exit_where_true(self, runs: Iterable[Run]) -> None:
        for run in runs:
            reason = self._exit_reason(run) if run.active else None
            if reason is not None:
                self._end(run, "exited", reason)

    def _exit_reason(self, run: Run) -> str | None:
        """The reason of the first exit condition that holds for the run now."""
        return next(
            (
                rule.reason
                for rule in run.journey.exits
                if rule.when is not None and self._holds(rule.when, run)
            ),
            None,
        )


def _is_about(rule: ExitRule, run: Run, event: Happening) -> bool:
    return not rule.of_run or event.properties.get("run") == run.number * MILLION

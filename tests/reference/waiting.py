"""Waits as the language defines them, for one run at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from runner.journey.catalog import CALL_ANSWERED, TASK_ACCEPTED, TASK_REJECTED
from runner.journey.duration import Duration
from runner.journey.expression import Expression
from runner.journey.hours import BusinessHours
from runner.journey.model import (
    Call,
    Goto,
    HandOff,
    Leave,
    LocalTimes,
    Option,
    SavedAs,
    Send,
    Step,
    UpToDate,
    WaitAny,
    WaitCollect,
    WaitEvent,
    WaitFor,
    WaitUntil,
    WaitWhen,
)
from tests.reference.causes import MILLION
from tests.reference.lives import Happening, Run, To, Walk
from tests.reference.person import Person, as_date_or_instant
from tests.reference.wall_clock import due_after, due_on, due_within, elapsed


class Waiting:
    """How runs of one contact stand at waits and leave them."""

    person: Person
    walks: dict[str, Walk]
    now: datetime
    _value: Callable[..., Any]
    _holds: Callable[..., bool]

    def _wait(self, run: Run, step: Step) -> To | None:
        """The run comes to a wait, or is taken up again there because what the wait hangs on has changed."""
        first_time = run.step is not step
        if first_time:
            run.step, run.arrived_at = step, self.now
        run.due = self._due(run, step)
        met = next(self._met(run, step, first_time), None)
        if met is not None:
            return self._leave_wait(run, *met)
        match step.verb:
            case WaitUntil(if_missing=if_missing) if run.due is None:
                return None if if_missing is Leave.WAIT else self._leave_wait(run, "missing")
            case WaitUntil() if run.due is not None and run.due < self.now:
                return self._leave_wait(run, "past")
            case WaitCollect() as digest if run.due is not None and run.due <= self.now:
                return self._leave_wait(run, "elapsed" if self._collect(run, digest) else "empty")
        assert run.due is not None
        return self._leave_wait(run, _timed_out(step)) if run.due <= self.now else None

    def _ask(self, run: Run, step: Step) -> To | None:
        """The run comes to a step at which somebody is asked, once, and stands there until the answer, or as long as it
        may take."""
        assert isinstance(step.verb, Call | HandOff)
        if run.step is step:
            return None
        run.step, run.arrived_at = step, self.now
        match step.verb:
            case Call(up_to=up_to):
                run.due = self.now + elapsed(up_to)
            case HandOff(sla=sla, hours=None):
                run.due = self.now + elapsed(sla)
            case HandOff(sla=sla, hours=BusinessHours() as hours):
                run.due = due_within(hours, self.now, elapsed(sla))
        return None

    def _answer(self, run: Run, event: Happening) -> str | None:
        """By which outcome the event answers what the run has asked, if it does."""
        assert run.step is not None
        said = event.properties
        if said.get("run") != run.number * MILLION or said.get("step") != run.step.id:
            return None
        if isinstance(run.step.verb, HandOff):
            return {TASK_ACCEPTED: "accepted", TASK_REJECTED: "rejected"}.get(event.name)
        if event.name != CALL_ANSWERED:
            return None
        return "answered" if said.get("ok") is True else "failed"

    def _time_is_up(self, run: Run) -> To:
        assert run.step is not None
        if isinstance(run.step.verb, WaitCollect | Send):
            return To(run.step)
        return self._leave_wait(run, _timed_out(run.step))

    def _leave_wait(self, run: Run, outcome: str, heard: Happening | None = None) -> To:
        step = run.step
        assert step is not None
        run.step = run.due = None
        walk = self.walks[run.journey.name]
        for option in _options(step):
            if option.name == outcome and option.save_as is not None and heard is not None:
                run.data[option.save_as.name] = dict(heard.properties)
        if isinstance(step.verb, Call) and step.verb.answer is not None and outcome == "answered":
            assert heard is not None
            run.data[step.verb.answer.name] = heard.properties["json"]
        match step.verb:
            case WaitEvent(timeout=timeout) | WaitWhen(timeout=timeout) | WaitAny(timeout=timeout):
                ways = {option.name: option.then for option in _options(step)} | {"timeout": timeout}
                return To(walk.into(ways[outcome], step))
            case WaitCollect(if_empty=if_empty) if outcome == "empty":
                return To(walk.into(if_empty, step))
            case HandOff(accepted=accepted, rejected=rejected, escalate=escalate):
                ways = {"accepted": accepted, "rejected": rejected, "elapsed": escalate}
                return To(walk.into(ways[outcome], step))
            case Call(on_error=on_error) if outcome != "answered":
                return To(walk.into(on_error, step))
            case WaitUntil(if_past=if_past, if_missing=if_missing) if outcome != "elapsed":
                leave = if_past if outcome == "past" else if_missing
                if isinstance(leave, Goto):
                    return To(walk.by_id[leave.target])
                return To(reason=outcome) if leave is Leave.EXIT else To(walk.after[step.id])
        return To(walk.after[step.id])

    # What ends a wait before its time ------------------------------------------------------------------------

    def _met(self, run: Run, step: Step, first_time: bool) -> Iterator[tuple[str, Happening | None]]:
        """What the run waits for and is so as it comes, in the order of the file."""
        for option in _options(step):
            if option.when is not None:
                if self._holds(option.when, run):
                    yield option.name, None
            elif option.since_entry and first_time:
                earlier = [
                    event
                    for event in self._since(run.entered_at, run.cause + 1)
                    if event.name == option.event and self._holds(option.where, run, event)
                ]
                if earlier:
                    yield option.name, earlier[0]

    def _woken(self, run: Run, event: Happening) -> str | None:
        """By which outcome the event, or what is true after it, wakes the run, if it does."""
        if run.step is not None and isinstance(run.step.verb, Call | HandOff):
            return self._answer(run, event)
        for option in _options(run.step) if run.step else ():
            if option.when is not None:
                if self._holds(option.when, run):
                    return option.name
            elif option.event == event.name and self._holds(option.where, run, event):
                return option.name
        return None

    def _turned(self, run: Run) -> str | None:
        """By which outcome the run leaves its wait since time has made something true, if it does."""
        for option in _options(run.step) if run.active and run.step else ():
            if option.when is not None and self._holds(option.when, run):
                return option.name
        return None

    def _since(self, instant: datetime, order: int) -> list[Happening]:
        """What has happened since then, oldest first; at the instant itself from that place in the order on."""
        found = [
            event
            for event in self.person.past
            if event.at > instant or (event.at == instant and event.order >= order)
        ]
        return sorted(found, key=lambda event: (event.at, event.order))

    def _collect(self, run: Run, digest: WaitCollect) -> bool:
        """Whether there was anything to collect."""
        assert run.arrived_at is not None
        since, order = (run.entered_at, run.cause) if digest.since_entry else (run.arrived_at, 0)
        found = [
            dict(event.properties)
            for event in self._since(since, order)
            if event.name == digest.event and self._holds(digest.where, run, event)
        ]
        run.data[digest.save_as.name] = found[-digest.most :]
        return bool(found)

    # Until when ----------------------------------------------------------------------------------------------

    def _due(self, run: Run, step: Step) -> datetime | None:
        arrived_at = run.arrived_at
        assert arrived_at is not None
        match step.verb:
            case WaitEvent(up_to=up_to) | WaitWhen(up_to=up_to) | WaitAny(up_to=up_to):
                if isinstance(up_to, UpToDate):
                    return self._on_date(run, up_to.date, up_to.offset, None) or self.now
                return arrived_at + elapsed(up_to)
            case WaitFor(duration=duration, local=local) | WaitCollect(duration=duration, local=local):
                return due_after(arrived_at, self._zone(local, run), duration, local)
            case WaitUntil(date=expression, offset=offset, local=local):
                return self._on_date(run, expression, offset, local)
        raise AssertionError("nobody waits there")

    def _on_date(
        self, run: Run, expression: Expression, offset: Duration, local: LocalTimes | None
    ) -> datetime | None:
        stored = self._value(expression, run)
        if stored is None:
            return None
        value = as_date_or_instant(stored)
        zone = self._zone(local, run)
        if isinstance(value, datetime) and (local is None or local.at is None):
            return due_after(value, zone, offset, local)
        if isinstance(value, datetime):
            value = value.astimezone(zone).date()
        return due_on(value, zone, offset, local)

    def _zone(self, local: LocalTimes | None, run: Run) -> ZoneInfo:
        named = self._value(local.timezone, run) if local is not None and local.timezone is not None else None
        return ZoneInfo(named) if named else self.person.zone()


def _options(step: Step) -> tuple[Option, ...]:
    """What may end the wait before its time; a wait for one thing has one."""
    match step.verb:
        case WaitEvent(event=event, where=where, since_entry=since, save_as=save, then=then):
            return (_option("event", event, where, since, save, then),)
        case WaitWhen(when=when, then=then):
            return (Option(name="true", when=when, then=then),)
        case WaitAny(options=options):
            return options
    return ()


def _option(
    name: str,
    event: str,
    where: Expression | None,
    since_entry: bool,
    save_as: SavedAs | None,
    then: tuple[Step, ...],
) -> Option:
    return Option(name=name, event=event, where=where, since_entry=since_entry, save_as=save_as, then=then)


def _timed_out(step: Step) -> str:
    return "timeout" if _options(step) else "elapsed"


def keeps_something(step: Step) -> bool:
    """Whether runs keep what they have waited for at the step."""
    return isinstance(step.verb, WaitCollect) or any(option.save_as for option in _options(step))


def waits_for_conditions(run: Run) -> bool:
    """Whether time alone may let the run go on."""
    return run.step is not None and any(option.when is not None for option in _options(run.step))


def moves_with_contact(run: Run) -> bool:
    """Whether the end of the wait that the run stands at hangs on its contact: on a date, or on a local time."""
    match run.step.verb if run.step else None:
        case WaitUntil():
            return True
        case WaitFor(local=local) | WaitCollect(local=local):
            return local is not None
        case WaitEvent(up_to=up_to) | WaitWhen(up_to=up_to) | WaitAny(up_to=up_to):
            return isinstance(up_to, UpToDate)
    return False

"""What a journey means, told naively: one contact at a time, plain lists, no SQL and no batches.

The engine is compared with this. It follows the definition of the language sentence by sentence and is not fast; where
the engine computes something for everybody at once, here a loop asks again. Time only ever goes to the next instant at
which something may happen: a due wait, an instant at which time alone may turn an exit condition, an event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from runner.journey.catalog import CONTACT_UPDATED, Catalog
from runner.journey.duration import Duration
from runner.journey.expression import Expression
from runner.journey.model import (
    Again,
    Branch,
    Condition,
    Exit,
    Goto,
    Journey,
    Reentry,
    Send,
    Split,
    Step,
    Update,
    WaitAny,
    WaitCollect,
    WaitEvent,
    WaitFor,
    WaitUntil,
    WaitWhen,
)
from tests.reference.lives import Conversion, Happening, Lived, Message, Run, RunRecord, To, Walk
from tests.reference.person import Person, number
from tests.reference.turns import spans_read, turns
from tests.reference.waiting import Waiting, moves_with_contact, waits_for_conditions
from tests.reference.wall_clock import elapsed

ADDRESS_OF = {"email": "email", "sms": "phone"}


class Contact(Waiting):
    """One contact's life. ``happenings`` are its events in order of arrival."""

    def __init__(
        self, key: str, happenings: Iterable[Happening], journeys: Mapping[str, Journey], catalog: Catalog
    ) -> None:
        self.key = key
        self.catalog = catalog
        self.journeys = [journeys[name] for name in sorted(journeys)]
        self.walks = {journey.name: Walk(journey) for journey in self.journeys}
        self.pending = sorted(happenings, key=lambda happening: (happening.at, happening.order))
        self.orders = max((happening.order for happening in self.pending), default=0)
        self.person = Person(key, catalog)
        self.runs: list[Run] = []
        self.messages: list[Message] = []
        self.conversions: list[Conversion] = []
        self.now = datetime.min.replace(tzinfo=UTC)
        self.spans = spans_read(self.journeys)

    def live_until(self, until: datetime) -> Lived:
        while True:
            timer = self._next_timer()
            event = self.pending[0] if self.pending else None
            if timer is not None and timer <= until and (event is None or timer <= event.at):
                self.now = timer
                self._timers()
            elif event is not None and event.at <= until:
                self.now = event.at
                self._event(self.pending.pop(0))
            else:
                return self._lived()

    # The next instant ----------------------------------------------------------------------------------------

    def _next_timer(self) -> datetime | None:
        dues = [run.due for run in self.runs if run.active and run.due is not None]
        return min([*dues, *self._reviews()], default=None)

    def _reviews(self) -> Iterator[datetime]:
        on = [run for run in self.runs if run.active]
        if any(waits_for_conditions(run) or any(rule.when for rule in run.journey.exits) for run in on):
            yield from turns(self.person, [run.trigger for run in self.runs], self.spans, self.now)

    # A pass --------------------------------------------------------------------------------------------------

    def _timers(self) -> None:
        goes_on: dict[Run, To] = {}
        turned = [run for run in self.runs if run.active and self._exit_reason(run) is not None]
        met = [run for run in self.runs if self._turned(run) is not None and run.due != self.now]
        for run in self.runs:
            if run.active and run.due == self.now and run.step is not None:
                goes_on[run] = self._time_is_up(run)
        self._advance(goes_on, turned, met)

    def _event(self, event: Happening) -> None:
        changed = self.person.receive(event)
        self._count_goals(event)
        self._exit_by_event(event)
        self._exit_where_true([run for run in self.runs if run.active])
        goes_on: dict[Run, To] = {}
        for run in self.runs:
            outcome = self._woken(run, event) if run.active else None
            if outcome is not None:
                goes_on[run] = self._leave_wait(run, outcome, event)
        again = [run for run in self.runs if changed and run.active and moves_with_contact(run)]
        for journey in self.journeys:
            self._trigger(journey, event, goes_on, again)
        for run in again:
            if run.active and run not in goes_on and run.step is not None:
                goes_on[run] = To(run.step)
        self._advance(goes_on)

    def _advance(
        self, goes_on: dict[Run, To], turned: Sequence[Run] = (), met: Sequence[Run] = ()
    ) -> None:
        """Let each run go as far as it can: journeys by name, steps in file order, runs at a step by number.

        ``turned`` are runs for which time has turned an exit condition, ``met`` those for which it has made true what
        they wait for; they end, and go on, when their journey's turn comes, unless a journey before it has undone that.
        """
        for journey in self.journeys:
            walk = self.walks[journey.name]
            self._exit_where_true([run for run in (*goes_on, *turned, *met) if run.journey is journey])
            for run in met:
                outcome = self._turned(run) if run.journey is journey else None
                if outcome is not None:
                    goes_on[run] = self._leave_wait(run, outcome)
            places = {run: to for run, to in goes_on.items() if run.journey is journey and run.active}
            self._end_those_through(places)
            for step in walk.steps:
                here = sorted(
                    (run for run, to in places.items() if to.step is step), key=lambda run: run.number
                )
                for run in here:
                    to = self._do(run, step, walk)
                    if to is None:
                        del places[run]
                    else:
                        places[run] = to
                if isinstance(step.verb, Update | Send):
                    self._exit_where_true(here)
                self._end_those_through(places)

    def _end_those_through(self, places: dict[Run, To]) -> None:
        for run, to in list(places.items()):
            if run.active and to.reason is not None:
                run.end("exited", to.reason, self.now)
            elif run.active and to.step is None:
                run.end("completed", "", self.now)
            if not run.active:
                del places[run]

    def _do(self, run: Run, step: Step, walk: Walk) -> To | None:
        """What the step does to the run, and where the run goes; None where it stands there from now on."""
        following = To(walk.after[step.id])
        match step.verb:
            case WaitFor() | WaitUntil() | WaitEvent() | WaitWhen() | WaitAny() | WaitCollect():
                return self._wait(run, step)
            case Condition(test=test, otherwise=otherwise):
                if self._holds(test, run):
                    return following
                return To(reason="condition") if otherwise is None else To(walk.into(otherwise, step))
            case Branch(cases=cases):
                chosen = next(case for case in cases if case.when is None or self._holds(case.when, run))
                return To(walk.into(chosen.steps, step))
            case Split(arms=arms):
                number = _hash(f"{run.journey.name}/{step.id}/{self.key}")
                shares = 0
                for arm in arms:
                    shares += arm.share
                    if number < shares:
                        return To(walk.into(arm.steps, step))
                raise AssertionError("the arms of a split make a whole")
            case Send() as send:
                self._send(run, step, send)
                return following
            case Update() as update:
                self._update(run, update)
                return following
            case Goto(target=target):
                return To(walk.by_id[target])
            case Exit(reason=reason):
                return To(reason=reason)

    # What an event does --------------------------------------------------------------------------------------

    def _count_goals(self, event: Happening) -> None:
        for run in self.runs:
            goal = run.journey.goal
            if goal is None or goal.event != event.name:
                continue
            before = [at for _, at in run.let_go if at <= event.at]
            if not before or event.at > max(before) + elapsed(goal.within):
                continue
            if not self._holds(goal.where, run, event):
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
                run.end("exited", "goal", event.at)

    def _exit_by_event(self, event: Happening) -> None:
        ending: list[tuple[Run, str]] = []
        for run in self.runs:
            reasons = (
                rule.reason
                for rule in run.journey.exits
                if run.active and rule.event == event.name and self._holds(rule.where, run, event)
            )
            ending += [(run, reason) for reason in [next(reasons, None)] if reason is not None]
        for run, reason in ending:
            run.end("exited", reason, self.now)

    def _exit_where_true(self, runs: Iterable[Run]) -> None:
        for run in runs:
            reason = self._exit_reason(run) if run.active else None
            if reason is not None:
                run.end("exited", reason, self.now)

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

    def _trigger(self, journey: Journey, event: Happening, goes_on: dict[Run, To], again: list[Run]) -> None:
        fires = any(
            trigger.event == event.name and self._holds(trigger.where, None, event)
            for trigger in journey.triggers
        )
        if not fires:
            return
        entry = journey.entry
        per = self.person.per(entry.per, event)
        same = [run for run in self.runs if run.journey is journey and run.per == per]
        on = next((run for run in same if run.active), None)
        if on is not None and entry.again is Again.IGNORE:
            return
        if on is not None and entry.again is Again.REFRESH:
            on.trigger = event.properties
            again.append(on)
            return
        if on is not None:
            on.end("exited", "restarted", self.now)
            goes_on.pop(on, None)
        else:
            match entry.reentry:
                case Reentry.NEVER if same:
                    return
                case Duration() as apart if same:
                    if max(run.entered_at for run in same) + elapsed(apart) > event.at:
                        return
        run = Run(len(self.runs) + 1, journey, per, self.now, event.properties, event.order)
        self.runs.append(run)
        goes_on[run] = To(self.walks[journey.name].steps[0])

    # What a step does ----------------------------------------------------------------------------------------

    def _send(self, run: Run, step: Step, send: Send) -> None:
        address = ADDRESS_OF.get(send.channel)
        topic = self.catalog.topics[send.topic]
        if address is not None and not self.person.fields[address]:
            status, reason = "blocked", "no_address"
        elif not topic.transactional and not self.person.consented(send.topic, send.channel):
            status, reason = "blocked", "no_consent"
        else:
            status, reason = "ready", ""
            run.let_go.append((step.id, self.now))
        self.messages.append(
            Message(
                contact=self.key, journey=run.journey.name, step=step.id, channel=send.channel,
                at=self.now, status=status, reason=reason,
            )
        )  # fmt: skip

    def _update(self, run: Run, update: Update) -> None:
        # All values are read before any is written.
        values = [(name, self._value(expression, run)) for name, expression in update.values]
        attributes = [(name, self._value(expression, run)) for name, expression in update.attributes]
        run.data |= dict(values)
        for name, value in attributes:
            self.person.set(name, value)
        self.person.tags = (self.person.tags | set(update.add_tags)) - set(update.remove_tags)
        if update.attributes or update.add_tags or update.remove_tags:
            self.orders += 1
            self.pending.append(
                Happening(at=self.now, order=self.orders, name=CONTACT_UPDATED, properties={})
            )
            self.pending.sort(key=lambda happening: (happening.at, happening.order))

    # Reading -------------------------------------------------------------------------------------------------

    def _lived(self) -> Lived:
        return Lived.told(
            runs=[
                RunRecord(
                    contact=self.key,
                    journey=run.journey.name,
                    per=run.per,
                    entered_at=run.entered_at,
                    status=run.status,
                    reason=run.reason,
                    ended_at=run.ended_at,
                    step=run.step.id if run.step else "",
                    data=RunRecord.said(run.data),
                )
                for run in self.runs
            ],
            messages=self.messages,
            conversions=self.conversions,
            attributes=self.person.attributes,
            tags=self.person.tags,
        )

    def _value(self, expression: Expression, run: Run | None, event: Happening | None = None) -> Any:
        return self.person.value(expression, self.now, run=run, event=event)

    def _holds(self, test: Expression | None, run: Run | None, event: Happening | None = None) -> bool:
        return test is None or self._value(test, run, event) is True


def _hash(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") % 10_000

"""What a journey means, told naively: one contact at a time, plain lists, no SQL and no batches.

The engine is compared with this. It follows the definition of the language sentence by sentence and is not fast; where
the engine computes something for everybody at once, here a loop asks again. Time only ever goes to the next instant at
which something may happen: a due wait, an instant at which time alone may turn an exit condition, an event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from runner.journey.catalog import (
    CONSENT_GRANTED,
    CONSENT_WITHDRAWN,
    CONTACT_UPDATED,
    IDENTIFIED,
    SCORE_ADDED,
    Catalog,
)
from runner.journey.expression import Expression
from runner.journey.model import (
    AdAudience,
    Branch,
    Call,
    ChangeConsent,
    Condition,
    Draw,
    Emit,
    Enroll,
    Exit,
    Goto,
    HandOff,
    Journey,
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
from runner.journey.reserved import ENROLLED
from tests.reference.causes import MOST_AT_ONCE, Causes
from tests.reference.ending import Ending
from tests.reference.entering import Entering, part
from tests.reference.hearing import Hearing
from tests.reference.lives import Conversion, Happening, Lived, Message, Press, Run, RunRecord, To, Walk
from tests.reference.person import EVERYWHERE, Person
from tests.reference.pressing import Pressing, is_put_back
from tests.reference.sending import Look, Sending, stands_at_send
from tests.reference.timed import Timed
from tests.reference.turns import something_fades, spans_read, turns
from tests.reference.waiting import Waiting, keeps_something, moves_with_contact, waits_for_conditions

UNHEARD = "Circle Broken"
DRAWN = "(drawn)"
"""Stands for the value of a pool that a run has drawn: which one, hangs on the others who draw."""


class Contact(Waiting, Sending, Entering, Causes, Timed, Pressing, Hearing, Ending):
    """One contact's life. ``happenings`` are its events in order of arrival; the journeys are there since ``began``."""

    def __init__(
        self,
        key: str,
        happenings: Iterable[Happening],
        journeys: Mapping[str, Journey],
        catalog: Catalog,
        began: datetime,
        filled: frozenset[str] = frozenset(),
        *,
        known: Iterable[Happening] = (),
        accounts: Mapping[str, Mapping[str, Any]] | None = None,
        templates: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        """``filled`` are the pools that never run short; all others are empty. ``known`` is what happened before,
        ``accounts`` what holds of accounts all the time, and ``templates`` are those that are written, by journey."""
        self.key = key
        self.filled = filled
        self.catalog = catalog
        self.journeys = [journeys[name] for name in sorted(journeys)]
        self.walks = {journey.name: Walk(journey) for journey in self.journeys}
        self.pending = sorted(happenings, key=lambda happening: (happening.at, happening.order))
        self.orders = max((happening.order for happening in self.pending), default=0)
        self.runs: list[Run] = []
        self.person = Person(key, catalog, self.runs, accounts or {})
        self.messages: list[Message] = []
        self.conversions: list[Conversion] = []
        self.candidates: dict[Run, Look] = {}
        self.counted: list[tuple[datetime, str, str]] = []
        self.places: dict[tuple[str, str], list[datetime]] = {}
        self.templates = templates or {}
        for event in known:
            self._remember(event)
        self.is_there = bool(self.person.past)
        self.now = self.began = began
        self.spans, self.hourly = spans_read(self.journeys), something_fades(self.journeys)
        self._watch()
        self._set_clocks()
        if self.is_there:
            self._begin_dates()
            self._enter_who_is_there()

    def live_until(self, until: datetime) -> Lived:
        """What the contact has lived through by then."""
        self.go_on(until)
        return self.lived()

    def go_on(self, until: datetime) -> None:
        """Live through all that happens by then."""
        while True:
            timed, timer, event = self._following(until)
            if timed is not None:
                self.now = timed
                self._tell_time()
            elif timer is not None and (event is None or timer <= event.at):
                self.now = timer
                self._timers()
            elif event is not None:
                self.now = event.at
                self._event(self.pending.pop(0))
            else:
                return

    def press(self, press: Press) -> None:
        """Press a button, when all else of the instant has been done."""
        self._press(press)

    def acts_at(self, instant: datetime) -> bool:
        """Whether the contact does anything at its next instant, at which it may do something."""
        present, self.now = self.now, instant
        try:
            event = self.pending[0] if self.pending and self.pending[0].at == instant else None
            heard = event is not None and not (event.is_broadcast and not self._hears(event))
            on = [run for run in self.runs if run.active]
            moves = any(run.due == instant or self._exit_reason(run) or self._turned(run) for run in on)
        finally:
            self.now = present
        return heard or moves or self._next_timed(instant) is not None

    def changes_account(self, at: datetime) -> bool:
        """Whether an event of that instant may change the contact's account."""
        return any(
            event.at == at and event.name == IDENTIFIED and "account" in event.properties
            for event in self.pending
        )

    # The next instant ----------------------------------------------------------------------------------------

    def next_instant(self, until: datetime) -> datetime | None:
        """When something may happen next; None where nothing does by then."""
        timed, timer, event = self._following(until)
        found = [timed, timer, event.at if event else None]
        return min((at for at in found if at is not None), default=None)

    def _following(self, until: datetime) -> tuple[datetime | None, datetime | None, Happening | None]:
        """What comes next, by then: something that time causes (which comes to the timeline before anything of its
        instant is handled), a timer, an event."""
        timer, event = self._next_timer(), self.pending[0] if self.pending else None
        timer = timer if timer is not None and timer <= until else None
        event = event if event is not None and event.at <= until else None
        first = min([until, *([timer] if timer else []), *([event.at] if event else [])])
        return self._next_timed(first), timer, event

    def _next_timer(self) -> datetime | None:
        dues = [run.due for run in self.runs if run.active and run.due is not None]
        return min([*dues, *self._reviews()], default=None)

    def _reviews(self) -> Iterator[datetime]:
        on = [run for run in self.runs if run.active]
        if any(waits_for_conditions(run) or any(rule.when for rule in run.journey.exits) for run in on):
            values = [held for run in self.runs for held in (run.trigger, run.data)]
            yield from turns(self.person, values, self.spans, self.now, hourly=self.hourly)

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
        if event.is_broadcast and not self._hears(event):
            return
        if event.nth > MOST_AT_ONCE:
            if event.by is not None and event.by.active:
                event.by.end("set_aside", "circle", self.now)
            event = replace(event, name=UNHEARD)
        changed = self._receive(event)
        self._count_goals(event)
        answered = event.pressed.run if event.pressed and self._heed_press(event) else None
        self._exit_by_event(event)
        self._exit_where_true([run for run in self.runs if run.active])
        goes_on: dict[Run, To] = {}
        for run in self.runs:
            outcome = self._woken(run, event) if run.active else None
            if outcome is not None:
                goes_on[run] = self._leave_wait(run, outcome, event)
        again = [run for run in self.runs if run.active and self._looks_again(run, changed, answered)]
        for journey in self.journeys:
            self._trigger(journey, event, goes_on, again)
        for run in again:
            if run.active and run not in goes_on and run.step is not None:
                goes_on[run] = To(run.step)
        self._keep_dates(event, changed)
        self._advance(goes_on)

    def _looks_again(self, run: Run, changed: bool, answered: Run | None) -> bool:
        """Whether what the run stands at may have changed."""
        if stands_at_send(run):
            return (changed or run.on_hold) and not is_put_back(run, self.now)
        return (changed or run is answered) and moves_with_contact(run)

    def _advance(self, goes_on: dict[Run, To], turned: Sequence[Run] = (), met: Sequence[Run] = ()) -> None:
        """Let each run go as far as it can. Of messages that hang on each other it is decided when all have come as
        far as that; then those go on about whose messages it is decided."""
        self._go_on(goes_on, turned, met)
        while self.candidates:
            self._go_on(dict(self._decide()))

    def _go_on(self, goes_on: dict[Run, To], turned: Sequence[Run] = (), met: Sequence[Run] = ()) -> None:
        """Journeys go on by name, steps in file order, runs at a step by number.

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
                if isinstance(step.verb, Update | Draw | ChangeConsent | Send) or keeps_something(step):
                    # A message about which it is yet to be decided is not behind its run.
                    self._exit_where_true([run for run in here if run in places])
                self._end_those_through(places)

    def _end_those_through(self, places: dict[Run, To]) -> None:
        for run, to in list(places.items()):
            if run.active and to.reason is not None:
                self._end(run, "exited", to.reason)
            elif run.active and to.step is None:
                self._end(run, "completed", "")
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
                number = part(f"{run.journey.name}/{step.id}/{self.key}")
                shares = 0
                for arm in arms:
                    shares += arm.share
                    if number < shares:
                        return To(walk.into(arm.steps, step))
                raise AssertionError("the arms of a split make a whole")
            case Send() as send:
                return self._send(run, step, send)
            case Update() as update:
                self._update(run, update)
                return following
            case Emit() | Enroll() | ChangeConsent():
                self._act(run, step)
                return following
            case AdAudience():
                return following
            case Call() | HandOff():
                return following if run.held_out else self._ask(run, step)
            case Draw(pool=pool, save_as=name, if_empty=if_empty):
                if run.held_out:
                    return following
                if pool not in self.filled:
                    run.data.pop(name, None)
                    return To(walk.into(if_empty, step))
                run.data[name] = DRAWN
                return following
            case Goto(target=target):
                return To(walk.by_id[target])
            case Exit(reason=reason):
                return To(reason=reason)

    # What a step does ----------------------------------------------------------------------------------------

    def _update(self, run: Run, update: Update) -> None:
        # All values are read before any is written.
        values = [(name, self._value(expression, run)) for name, expression in update.values]
        attributes = [
            (name, self.person.fitted(name, self._value(expression, run)))
            for name, expression in update.attributes
        ]
        added = [(name, self._value(points, run)) for name, points in filter(None, [update.score])]
        run.data |= dict(values)
        self._tell_of_attributes(attributes, run)
        for name, value in attributes:
            self.person.set(name, value)
        self.person.tags = (self.person.tags | set(update.add_tags)) - set(update.remove_tags)
        for name, points in added:
            # The steps behind see it.
            past = self._cause(SCORE_ADDED, {"score": name, "add": points}, by=run)
            self.pending.remove(past)
            self.person.past.append(past)
        if update.attributes or update.add_tags or update.remove_tags or added:
            self._cause(CONTACT_UPDATED, {}, by=run)

    def _act(self, run: Run, step: Step) -> None:
        """What the run does beyond itself; who is held out starts nothing elsewhere."""
        match step.verb:
            case ChangeConsent(topic=topic, given=given, channel=channel):
                self._say(topic, channel or EVERYWHERE, "given" if given else "withdrawn", run)
                said = {"topic": topic, "channel": channel, "source": f"{run.journey.name}/{step.id}"}
                self._cause(CONSENT_GRANTED if given else CONSENT_WITHDRAWN, said, by=run)
            case Emit(event=event, properties=properties) if not run.held_out:
                said = {name: self._value(expression, run) for name, expression in properties}
                self._cause(event, said, by=run)
            case Enroll(journey=journey, properties=properties) if not run.held_out:
                said = {name: self._value(expression, run) for name, expression in properties}
                self._cause(ENROLLED, {**said, "journey": journey}, by=run)

    # Reading -------------------------------------------------------------------------------------------------

    def lived(self) -> Lived:
        """What the contact has lived through so far."""
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
                    held_out=run.held_out,
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

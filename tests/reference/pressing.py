"""What readers do to their runs by the links of their messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from runner.journey.catalog import CONSENT_GRANTED, CONSENT_WITHDRAWN, LINK_PRESSED
from runner.journey.duration import Duration
from runner.journey.expression import Expression
from runner.journey.model import Ask, ChangeConsent, Emit, Exit, Journey, Snooze
from runner.journey.model.links import Asked, Link
from runner.journey.values import Kind
from tests.reference.causes import MILLION
from tests.reference.lives import Carried, Happening, Press, Pressed, Run, Walk
from tests.reference.person import Person
from tests.reference.wall_clock import due_on, elapsed


class Pressing:
    """How the buttons behind links act, for one reader and one button at a time."""

    person: Person
    journeys: list[Journey]
    walks: dict[str, Walk]
    runs: list[Run]
    now: datetime
    _cause: Callable[..., Happening]
    _end: Callable[[Run, str, str], None]
    _value: Callable[..., Any]

    def _press(self, press: Press) -> None:
        """The reader presses the button; that acts behind all that is there at this instant."""
        self.now = press.at
        letters = [
            (carried.at, run.number, carried)
            for run in self.runs
            if run.journey.name == press.journey
            for carried in run.carried
            if carried.step == press.step
        ]
        links = {
            link.name: link
            for journey in self.journeys
            for link in journey.links
            if journey.name == press.journey
        }
        if not letters:
            return
        _, number, letter = max(letters, key=lambda each: each[:2])
        run, link = self.runs[number - 1], links[press.link]
        if not self._acts(run, letter, link):
            return
        letter.pressed.add(link.name)
        match link.action:
            case ChangeConsent(topic=topic, channel=channel, given=given):
                said = {"topic": topic, "channel": channel, "confirmed": True}
                self._cause(CONSENT_GRANTED if given else CONSENT_WITHDRAWN, said)
            case _:
                self._cause(
                    LINK_PRESSED, {}, pressed=Pressed(run=run, step=letter.step, link=link, press=press)
                )

    def _acts(self, run: Run, letter: Carried, link: Link) -> bool:
        """A consent is the reader's own; everything else is over with the run."""
        on = run.active or isinstance(link.action, ChangeConsent)
        return on and self.now < letter.at + elapsed(link.expires) and link.name not in letter.pressed

    def _heed_press(self, event: Happening) -> bool:
        """Do what the button says. Answers whether the run has another value now."""
        pressed = event.pressed
        if pressed is None or not pressed.run.active:
            return False
        run, press = pressed.run, pressed.press
        match pressed.link.action:
            case Exit(reason=reason):
                self._end(run, "exited", reason)
            case Emit(event=name, properties=properties):
                said = {name: self._value(expression, run) for name, expression in properties}
                self._cause(name, said, by=run)
            case Snooze(options=options):
                self._put_back(pressed, self.now + elapsed(dict(options)[press.option or ""]))
            case Ask(values=values, until=until):
                taken = {
                    asked.name: given
                    for asked in values
                    if (given := self._taken(asked, run, press)) is not None
                }
                run.data |= taken
                if until is not None and until.name in taken:
                    begins = due_on(
                        date.fromisoformat(taken[until.name]), self.person.zone(), Duration(), None
                    )
                    self._put_back(pressed, max(begins, self.now))
                return bool(taken)
        return False

    def _taken(self, asked: Asked, run: Run, press: Press) -> Any:
        """What the reader gives, in its stored form; None for what is below or above what is taken."""
        given = press.values[asked.name]
        if asked.type.kind is Kind.NUMBER:
            given *= MILLION
        within = self._bound(asked.least, run, lambda least: given >= least)
        return given if within and self._bound(asked.most, run, lambda most: given <= most) else None

    def _bound(self, bound: Expression | None, run: Run, keeps: Callable[[Any], bool]) -> bool:
        """Whether a bound lets a value pass; one that is missing lets none, as in every comparison."""
        if bound is None:
            return True
        value = self._value(bound, run)
        return value is not None and keeps(value)

    def _put_back(self, pressed: Pressed, due: datetime) -> None:
        """The run stands before the step of the message again, and comes to it when it is due."""
        run = pressed.run
        run.step = self.walks[run.journey.name].by_id[pressed.step]
        run.arrived_at = run.due = due
        run.on_hold, run.place = False, None


def is_put_back(run: Run, now: datetime) -> bool:
    """Whether the reader has put the run off until later."""
    return run.arrived_at is not None and run.arrived_at > now

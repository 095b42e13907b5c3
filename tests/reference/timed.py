"""What time itself causes for one contact: schedules, dates, segments that change by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from runner.journey.catalog import Catalog
from runner.journey.model import ConsentTrigger, Journey
from runner.journey.model.timed import DateTrigger, IfPast, ScheduleTrigger
from runner.journey.model.triggers import ConsentChange
from runner.journey.model.waits import LocalTimes
from runner.journey.reserved import CONSENT_CHANGED, DATE_REACHED, SCHEDULE_FIRED
from tests.reference.expressions import EPOCH
from tests.reference.lives import Happening
from tests.reference.person import Person, as_date_or_instant
from tests.reference.wall_clock import due_after, due_on, elapsed, instant_of

DAY = timedelta(days=1)
TIME_PASSED = "Time Passed"
"""What makes the model look at segments."""


class Timed:
    """Timers of a contact that belong to no run."""

    catalog: Catalog
    journeys: list[Journey]
    person: Person
    now: datetime
    began: datetime
    """When the journeys were applied."""
    pending: list[Happening]
    segments: dict[str, Any]
    refresh: dict[str, timedelta]
    _cause: Callable[..., Happening]
    _holds: Callable[..., bool]
    _value: Callable[..., Any]
    _turns: Callable[[str], bool]

    def _set_clocks(self) -> None:
        triggers = [(journey, trigger) for journey in self.journeys for trigger in journey.triggers]
        self.schedules = [(of, each) for of, each in triggers if isinstance(each, ScheduleTrigger)]
        self.dates = [DateClock(of, each) for of, each in triggers if isinstance(each, DateTrigger)]
        self.ageing = [
            each
            for _, each in triggers
            if isinstance(each, ConsentTrigger) and each.change is ConsentChange.STALE
        ]
        self.aged: set[tuple[str, str | None, datetime]] = set()
        self.fired: set[tuple[str, datetime]] = set()

    def _next_timed(self, until: datetime) -> datetime | None:
        """The next instant, from now to ``until``, at which time causes something."""
        found: list[datetime] = []
        for _, trigger in self.schedules:
            found += [at for at, _ in self._firings(trigger, until)][:1]
        found += [clock.due[0] for clock in self.dates if clock.due is not None]
        found += [at for each in self.ageing if (at := self._stale_at(each)) is not None and at >= self.now]
        if self.segments and self.person.past:
            found += [self._next_refresh(until)]
        return min((at for at in found if at <= until), default=None)

    def _tell_time(self) -> None:
        """What time causes now takes its turn behind all that is there at this instant."""
        for journey, trigger in self.schedules:
            for at, wall in self._firings(trigger, self.now):
                self.fired.add((trigger.cause, at))
                said = {"journey": journey.name, "at": wall.isoformat()}
                self._cause(SCHEDULE_FIRED, said, of=trigger)
        for clock in self.dates:
            if clock.due is not None and clock.due[0] == self.now:
                self._reach(clock)
        for each in self.ageing:
            if self._stale_at(each) == self.now:
                self.aged.add((each.topic, each.channel, self.now))
                said = {"topic": each.topic, "channel": each.channel, "of": each.channel, "change": "stale"}
                self._cause(CONSENT_CHANGED, said)
        turned = self._turned_by_time()
        if self.person.past and turned:
            self._cause(TIME_PASSED, {"segments": turned})

    # Schedules -----------------------------------------------------------------------------------------------

    def _zone_of(self, trigger: ScheduleTrigger) -> ZoneInfo:
        return ZoneInfo(trigger.timezone) if trigger.timezone else self.person.zone()

    def _firings(self, trigger: ScheduleTrigger, until: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The firings from now on that have not been told: instants, and what the clock is meant to show then."""
        zone, cron = self._zone_of(trigger), trigger.cron
        day = self.now.astimezone(zone).date() - DAY
        while day <= until.astimezone(zone).date() + DAY:
            walls = (
                datetime.combine(day, time(hour, minute))
                for hour in sorted(cron.hours)
                for minute in sorted(cron.minutes)
                if cron.fires_on(day)
            )
            for wall in walls:
                at = instant_of(wall, zone)
                if self.now <= at <= until and at > self.began and (trigger.cause, at) not in self.fired:
                    yield at, wall
            day += DAY

    def _means(self, trigger: ScheduleTrigger | DateTrigger, event: Happening) -> bool:
        """Whether the event of time still stands, when it takes its turn."""
        if event.of is not trigger:
            return False
        if isinstance(trigger, DateTrigger):
            return True
        wall = datetime.fromisoformat(event.properties["at"])
        return instant_of(wall, self._zone_of(trigger)) == event.at and self._holds(trigger.audience, None)

    # Consents ------------------------------------------------------------------------------------------------

    def _is_too_old(self, trigger: ConsentTrigger, event: Happening) -> bool:
        """Whether a consent that grew stale has not been given anew before its event took its turn."""
        return trigger not in self.ageing or self._stale_at(trigger, again=True) == event.at

    def _stale_at(self, trigger: ConsentTrigger, *, again: bool = False) -> datetime | None:
        """When the consent is too old, where it is given; None where that was told, unless it is asked ``again``."""
        word = self.person.word(trigger.topic, trigger.channel or "")
        if word is None or word.state != "given" or trigger.stale_after is None:
            return None
        at = word.since + elapsed(trigger.stale_after)
        return at if again or (trigger.topic, trigger.channel, at) not in self.aged else None

    # Dates ---------------------------------------------------------------------------------------------------

    def _begin_dates(self) -> None:
        """As the journeys are applied: what is past by then is over."""
        for clock in self.dates:
            clock.known = self._meant_by(clock)
            self._appoint(clock)

    def _meant_by(self, clock: DateClock) -> tuple[Any, str]:
        return self._value(clock.trigger.date, None), self.person.zone().key

    def _keep_dates(self, event: Happening, changed: bool) -> None:
        """Look at the dates again, when all else has been done about an event."""
        for clock in self.dates:
            if clock.told is event:
                clock.told = None
            elif not changed:
                continue
            self._appoint(clock)

    def _appoint(self, clock: DateClock) -> None:
        trigger, zone = clock.trigger, self.person.zone()
        known, clock.known = clock.known, self._meant_by(clock)
        stored = clock.known[0]
        days = [] if stored is None else list(_days(trigger, as_date_or_instant(stored), zone, self.now))
        instants = [(_instant(trigger, value, zone), day) for value, day in days]
        if clock.told is not None:
            if clock.about in instants:
                return
            # It has moved before its event was handled.
            self.pending.remove(clock.told)
            clock.told = None
        clock.due = min(
            (each for each in instants if each[0] > self.now and each not in clock.reached), default=None
        )
        if trigger.if_past is IfPast.ENTER and known != clock.known:
            today = self.now.astimezone(zone).date()
            past = [
                (at, day)
                for at, day in instants
                if at <= self.now and (not trigger.yearly or day >= today) and (at, day) not in clock.reached
            ]
            clock.due = max(past, default=clock.due)
        if clock.due is not None and clock.due[0] <= self.now:
            self._reach(clock)

    def _reach(self, clock: DateClock) -> None:
        assert clock.due is not None
        clock.about, clock.due = clock.due, None
        clock.reached.add(clock.about)
        said = {"journey": clock.journey.name, "date": clock.about[1].isoformat()}
        clock.told = self._cause(DATE_REACHED, said, of=clock.trigger)

    # Segments ------------------------------------------------------------------------------------------------

    def _turned_by_time(self) -> list[str]:
        """The segments that are read now though nothing has happened, and have changed."""
        read = [name for name, often in self.refresh.items() if not (self.now - EPOCH) % often]
        return [name for name in read if self._turns(name)]

    def _next_refresh(self, until: datetime) -> datetime:
        """The next instant behind the present at which time alone has changed a segment."""
        present, often = self.now, min(self.refresh.values())
        next_one = present - (present - EPOCH) % often
        try:
            while self.now <= until:
                next_one += often
                self.now = next_one
                if self._turned_by_time():
                    break
        finally:
            self.now = present
        return next_one


class DateClock:
    """The date of one trigger. ``due`` is the next instant and the date that it is for, ``told`` the event of it that
    has still to be handled and ``about`` what that is about, ``reached`` what there has been."""

    def __init__(self, journey: Journey, trigger: DateTrigger) -> None:
        self.journey = journey
        self.trigger = trigger
        self.known: tuple[Any, str] | None = None
        self.due: tuple[datetime, date] | None = None
        self.told: Happening | None = None
        self.about: tuple[datetime, date] | None = None
        self.reached: set[tuple[datetime, date]] = set()


def _days(
    trigger: DateTrigger, value: date | datetime, zone: ZoneInfo, now: datetime
) -> Iterator[tuple[date | datetime, date]]:
    """The dates that the trigger may mean: one, or that of each year around the present."""
    wall = value.astimezone(zone).replace(tzinfo=None) if isinstance(value, datetime) else None
    first = wall.date() if wall else value
    if not trigger.yearly:
        yield value, first
        return
    for year in range(now.year - 2, now.year + 3):
        try:
            day = first.replace(year=year)
        except ValueError:
            day = date(year, 2, 28)
        yield (day if wall is None else instant_of(datetime.combine(day, wall.time()), zone)), day


def _instant(trigger: DateTrigger, value: date | datetime, zone: ZoneInfo) -> datetime:
    local = None if trigger.at is None else LocalTimes(at=trigger.at)
    if isinstance(value, datetime) and local is None:
        return due_after(value, zone, trigger.offset, None)
    day = value.astimezone(zone).date() if isinstance(value, datetime) else value
    return due_on(day, zone, trigger.offset, local)

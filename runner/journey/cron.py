"""Cron lines: the local times at which a schedule fires.

Five fields as in Unix: minute, hour, day of the month, month, weekday (0 and 7 are Sunday). Where both days are
narrowed either of them will do, as in Vixie cron (crontab(5)). What a time means in a zone is for the caller: these are
readings of a wall clock, and it is the same line in every zone.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from runner.journey.words import did_you_mean

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LEAP_YEAR = 2028
_LONGEST = 366 * 8 + 2
"""Days from one 29 February to the next, at most: 1896 to 1904."""


@dataclass(frozen=True, kw_only=True)
class _Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()

    @property
    def numbers(self) -> Mapping[str, int]:
        return {name: self.least + place for place, name in enumerate(self.names)}


_FIELDS = (
    _Field(name="minute", least=0, most=59),
    _Field(name="hour", least=0, most=23),
    _Field(name="day of the month", least=1, most=31),
    _Field(name="month", least=1, most=12, names=MONTHS),
    _Field(name="weekday", least=0, most=7, names=WEEKDAYS),
)
FORM = "Write minute, hour, day of the month, month and weekday, e.g. `0 9 * * MON`."


class CronError(ValueError):
    """What is wrong with a cron line, as a sentence, and how to write it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, kw_only=True)
class Cron:
    """``weekdays`` counts as Python does: 0 is Monday. ``either``: one of day and weekday is enough."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    def next_after(self, local: datetime) -> datetime | None:
        """The first time on the wall clock after ``local``; both are naive. None beyond the year 9999."""
        day, times = (
            local.date(),
            sorted(time(hour, minute) for hour in self.hours for minute in self.minutes),
        )
        for _ in range(_LONGEST):
            if self.fires_on(day):
                for at in times:
                    if (found := datetime.combine(day, at)) > local:
                        return found
            if day == date.max:
                return None
            day += timedelta(days=1)
        return None

    def fires_on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.weekday() in self.weekdays
        return by_day or by_weekday if self.either else by_day and by_weekday

    @property
    def canonical(self) -> str:
        """One text for all spellings of the same times."""
        parts = (self.minutes, self.hours, self.days, self.months, self.weekdays)
        texts = (
            "*" if len(part) == everything else ",".join(map(str, sorted(part)))
            for part, everything in zip(parts, (60, 24, 31, 12, 7), strict=True)
        )
        return " ".join(texts) + (" either" if self.either else "")


def parse_cron(text: str) -> Cron:
    """The cron line that ``text`` writes. Raises CronError, also for one that never fires."""
    words = text.split()
    if text.strip().startswith("@"):
        raise CronError(f"`{text.strip()}` is no cron line of five fields.", FORM)
    if len(words) != len(_FIELDS):
        raise CronError(f"A cron line has five fields, and `{text.strip()}` has {len(words)}.", FORM)
    minutes, hours, days, months, weekdays = (
        _numbers(of, word) for of, word in zip(_FIELDS, words, strict=True)
    )
    # A field that begins with a star does not narrow, be it `*/2`.
    either = not words[2].startswith("*") and not words[4].startswith("*")
    if not either and not any(day <= monthrange(_LEAP_YEAR, month)[1] for month in months for day in days):
        raise CronError(f"`{text.strip()}` never fires: none of these months has such a day.")
    return Cron(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset((number - 1) % 7 for number in weekdays),
        either=either,
    )


def _numbers(of: _Field, word: str) -> frozenset[int]:
    return frozenset(number for part in word.split(",") for number in _part(of, part))


def _part(of: _Field, part: str) -> range:
    """One of the alternatives of a field: ``*``, ``3``, ``1-5``, any with ``/2``."""
    what, slash, every = part.partition("/")
    step = 1
    if slash:
        if not every.isdecimal() or not int(every):
            raise CronError(f"`{part}`: behind the `/` stands every how many, e.g. `*/15`.")
        step = int(every)
    if what == "*":
        return range(of.least, min(of.most, 6 if of.names is WEEKDAYS else of.most) + 1, step)
    first, dash, last = what.partition("-")
    begin = _number(of, first, part)
    if not dash:
        # `3/15` is from 3 on, as most implementations have it.
        return range(begin, (of.most if slash else begin) + 1, step)
    end = _number(of, last, part)
    if of.names is WEEKDAYS and end == 0:
        end = 7
    if end < begin:
        least, most = (of.names[0].upper(), of.names[-1].upper()) if of.names else (of.least, of.most)
        raise CronError(f"`{part}` ends before it begins.", f"Write `{first}-{most},{least}-{last}`.")
    return range(begin, end + 1, step)


def _number(of: _Field, word: str, part: str) -> int:
    number = of.numbers.get(word.lower())
    if number is not None:
        return number
    if word.isascii() and word.isdecimal():
        if of.least <= int(word) <= of.most:
            return int(word)
        raise CronError(f"`{word}` is no {of.name}: it goes from {of.least} to {of.most}.")
    names = [name.upper() for name in of.names]
    kinds = f"a number from {of.least} to {of.most}" + (f" or {names[0]} to {names[-1]}" if names else "")
    raise CronError(f"`{part}` is no {of.name}.", did_you_mean(word.upper(), names) or f"It is {kinds}.")

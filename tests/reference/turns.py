"""The instants at which time alone may turn a condition, found by listing far too many.

That does no harm: looking changes nothing unless the condition holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from runner.journey.expression import Expression
from runner.journey.expression.tree import HoursLeft, walk
from runner.journey.graph import walk as steps_of
from runner.journey.model import Journey, WaitAny, WaitWhen
from tests.reference.person import Person
from tests.reference.vocabulary import INSTANTS_SAID
from tests.reference.wall_clock import MICROSECOND, instant_of

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def spans_read(journeys: Iterable[Journey]) -> list[timedelta]:
    """The lengths of time that conditions of exits and waits speak of: those of ``within``, and those that move a
    date."""
    found = set()
    for journey in journeys:
        for condition in _conditions(journey):
            for node in walk(condition.tree):
                for length in (getattr(node, "within", None), getattr(node, "microseconds", None)):
                    if length:
                        found |= {timedelta(microseconds=length), timedelta(microseconds=-length)}
    return sorted(found)


def something_fades(journeys: Iterable[Journey]) -> bool:
    """Whether one of the conditions reads what grows less by the hour."""
    return any(
        isinstance(node, HoursLeft)
        for journey in journeys
        for condition in _conditions(journey)
        for node in walk(condition.tree)
    )


def _conditions(journey: Journey) -> Iterator[Expression]:
    yield from (rule.when for rule in journey.exits if rule.when is not None)
    for step in steps_of(journey.steps):
        match step.verb:
            case WaitWhen(when=when):
                yield when
            case WaitAny(options=options):
                yield from (option.when for option in options if option.when is not None)


def turns(
    person: Person,
    held: Sequence[Mapping[str, Any]],
    spans: Sequence[timedelta],
    now: datetime,
    *,
    hourly: bool,
) -> Iterator[datetime]:
    """Instants after ``now``: the next midnights of the contact, and all that lie one of ``spans``, or whole days (or
    hours, where conditions turn ``hourly``), from an event, a consent, or a value that is an instant, and such an
    instant itself. The same again a microsecond later, for ``>`` and ``<``."""
    zone = person.zone()
    today = now.astimezone(zone).date()
    known = [*map(datetime.fromisoformat, INSTANTS_SAID), *(happening.at for happening in person.past)]
    known += [word.since for word in person.words.values()]
    for values in (person.attributes, *held):
        known += [instant for value in values.values() if (instant := _as_instant(value)) is not None]
    found = [instant_of(datetime.combine(today + days * DAY, time()), zone) for days in (0, 1, 2)]
    for instant in known:
        ahead = [((now - instant) // unit + 1) * unit for unit in ((DAY, HOUR) if hourly else (DAY,))]
        found += [instant + span for span in (timedelta(), *spans, *ahead)]
    for turn in found:
        yield from (instant for instant in (turn, turn + MICROSECOND) if instant > now)


def _as_instant(value: object) -> datetime | None:
    """A stored value as an instant, where it is one."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) and value.endswith("Z") else None
    except ValueError:
        return None

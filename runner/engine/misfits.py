"""Which values of an imported file did not fit their type: how many of each kind, and where the first of them stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from runner.engine.line import shown
from runner.journey.catalog import ACCOUNT_IDENTIFIED, IDENTIFIED
from runner.journey.shown import printable
from runner.store.people.arrival import Arrival

FIRST_PLACES = 3
"""How many values of a kind are told with their places."""
MOST_KINDS = 10
"""How many kinds are told, of those that a file has the most of."""

_OF = {IDENTIFIED: "contact", ACCOUNT_IDENTIFIED: "account"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a value stood: ``line`` counts from 1, ``key`` is the contact's or the account's, empty for a broadcast;
    ``value`` as people read it."""

    line: int
    key: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Misfits:
    """The values of one property (or trait) that were left empty for one reason. ``of`` says what they were said of:
    an event, a contact or an account; ``why`` reads after "is"."""

    name: str
    of: str
    why: str
    count: int
    first: tuple[Place, ...]


@dataclass
class _Kind:
    count: int = 0
    first: list[Place] = field(default_factory=list)


class MisfitValues:
    """What of a file did not fit so far."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, str], _Kind] = {}

    def look(self, arrival: Arrival) -> None:
        """Count what did not fit of ``arrival``."""
        for name, misfit in arrival.rejected.items():
            kind = self._kinds.setdefault((name, _OF.get(arrival.name, "event"), misfit.why), _Kind())
            kind.count += 1
            if len(kind.first) < FIRST_PLACES:
                kind.first.append(Place(line=arrival.line, key=arrival.contact, value=_text(misfit.value)))

    def told(self) -> tuple[Misfits, ...]:
        """All kinds, by property."""
        return tuple(
            Misfits(name=name, of=of, why=why, count=kind.count, first=tuple(kind.first))
            for (name, of, why), kind in sorted(self._kinds.items(), key=lambda each: each[0])
        )


def _text(value: object) -> str:
    """What is nested without end is not written out."""
    match value:
        case list():
            return "a list"
        case dict():
            return "an object"
        case Decimal():
            return str(value)[:60]
    return shown(value)


def misfits_text(misfits: Sequence[Misfits]) -> Iterator[str]:
    """A line for each kind: "`revenue` of 1 event is no number and was left empty: line 3, bob: '60,5'"."""
    most = sorted(misfits, key=lambda each: -each.count)[:MOST_KINDS]
    for one in most:
        places = "; ".join(
            f"line {place.line}{f', {place.key}' if place.key else ''}: {place.value}" for place in one.first
        )
        more = f", and {one.count - len(one.first):,} more" if one.count > len(one.first) else ""
        of = one.of if one.count == 1 else f"{one.of}s"
        yield printable(f"`{one.name}` of {one.count:,} {of} is {one.why} and was left empty: {places}{more}")
    if len(misfits) > len(most):
        yield f"and values of {len(misfits) - len(most):,} more properties that did not fit were left empty"


def misfits_json(misfits: Sequence[Misfits]) -> list[Mapping[str, object]]:
    """The same for programs."""
    return [
        {
            "property": one.name,
            "of": one.of,
            "why": f"is {one.why}",
            "count": one.count,
            "first": [
                {"line": place.line, "key": place.key or None, "value": place.value} for place in one.first
            ],
        }
        for one in misfits
    ]

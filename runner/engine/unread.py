"""Names that arrive and that the catalog does not have: kept as they came, and read by no journey.

A name that is misspelt where it is sent looks like an event that never happens, so what reads files tells
these names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from runner.journey.catalog import (
    ACCOUNT_IDENTIFIED,
    CONTACT_FIELDS,
    IDENTIFIED,
    RESERVED_PROPERTIES,
    Catalog,
)
from runner.journey.words import nearest
from runner.store.people.arrival import Arrival

FIRST_SHOWN = 10
"""How many names are told one by one."""
MOST_NAMES = 10_000
"""Names that are told apart, so that data with a new name in every line cannot fill the memory."""
LONGEST_SHOWN = 60
"""Characters of a name that are shown."""


class NameKind(StrEnum):
    EVENT = "event"
    TRAIT = "trait"
    ACCOUNT = "trait of an account"
    PROPERTY = "property"


@dataclass(frozen=True, kw_only=True)
class UnreadName:
    """One name, and how often it came. ``event`` is set for a property: the event that carried it;
    ``meant`` is a name of the catalog that is near."""

    kind: NameKind
    name: str
    event: str | None
    count: int
    meant: str | None


@dataclass(frozen=True, kw_only=True)
class Unread:
    """``first`` are the most frequent names, the most frequent one first; ``names`` counts all that were
    told apart."""

    first: tuple[UnreadName, ...] = ()
    names: int = 0


class UnreadNames:
    """Counts what arrives under names that ``catalog`` does not have. Of an event that it does not have the
    properties are not told as well."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._counts: Counter[tuple[NameKind, str, str]] = Counter()

    def look(self, arrival: Arrival) -> None:
        """Count the names of one arrival."""
        if arrival.name == IDENTIFIED:
            self._count(NameKind.TRAIT, "", arrival.undeclared)
        elif arrival.name == ACCOUNT_IDENTIFIED:
            self._count(NameKind.ACCOUNT, "", arrival.undeclared)
        elif arrival.name in self._catalog.events or arrival.name in RESERVED_PROPERTIES:
            self._count(NameKind.PROPERTY, arrival.name, arrival.undeclared)
        else:
            self._count(NameKind.EVENT, "", (arrival.name,))

    def _count(self, kind: NameKind, event: str, names: Iterable[str]) -> None:
        for name in names:
            key = (kind, event, name)
            if key in self._counts or len(self._counts) < MOST_NAMES:
                self._counts[key] += 1

    def told(self) -> Unread:
        """What was counted so far."""
        ordered = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        return Unread(
            first=tuple(
                UnreadName(
                    kind=kind,
                    name=_shown(name),
                    event=event or None,
                    count=count,
                    meant=nearest(name[:LONGEST_SHOWN], self._candidates(kind, event)),
                )
                for (kind, event, name), count in ordered[:FIRST_SHOWN]
            ),
            names=len(ordered),
        )

    def _candidates(self, kind: NameKind, event: str) -> Iterable[str]:
        if kind is NameKind.EVENT:
            return (*self._catalog.events, *RESERVED_PROPERTIES)
        if kind is NameKind.TRAIT:
            return (*self._catalog.attributes, *(name for name in CONTACT_FIELDS if name != "id"))
        if kind is NameKind.ACCOUNT:
            return self._catalog.accounts
        declared = self._catalog.events.get(event)
        return declared.properties if declared else RESERVED_PROPERTIES.get(event, {})


def unread_text(unread: Unread) -> str | None:
    """One line for people; None where there is nothing to tell."""
    if not unread.names:
        return None
    told = [_name_text(name) for name in unread.first]
    more = unread.names - len(told)
    rest = f", and {more:,} more" if more else ""
    return f"not in the catalog, kept but not read: {', '.join(told)}{rest}"


def _name_text(name: UnreadName) -> str:
    meant = f' (did you mean "{name.meant}"?)' if name.meant else ""
    match name.kind:
        case NameKind.EVENT:
            what = f'event "{name.name}"'
        case NameKind.TRAIT:
            what = f"trait {name.name}"
        case NameKind.ACCOUNT:
            what = f"account.{name.name}"
        case NameKind.PROPERTY:
            what = f"{name.event}.{name.name}"
    return f"{what} {name.count:,}{meant}"


def unread_json(unread: Unread) -> dict[str, object]:
    """The same for programs."""
    return {
        "names": unread.names,
        "first": [
            {
                "kind": one.kind.value,
                "name": one.name,
                "event": one.event,
                "count": one.count,
                "did_you_mean": one.meant,
            }
            for one in unread.first
        ],
    }


def _shown(name: str) -> str:
    """A name as it may stand on a terminal: not too long, and without what steers it."""
    short = name if len(name) <= LONGEST_SHOWN else f"{name[: LONGEST_SHOWN - 1]}…"
    return "".join(character if character.isprintable() else "\ufffd" for character in short)

"""What contacts do in a world: events of the generated catalog, on a coarse grid of instants, so that many
coincide."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any

from runner.journey.catalog import CONSENT_GRANTED, CONSENT_WITHDRAWN, IDENTIFIED, Catalog
from runner.journey.fit import fit_event, fit_traits
from runner.store.people.arrival import Arrival
from tests.reference.author import EVENTS
from tests.reference.generate import ZONES

HOURS = (0, 1, 2, 5, 6, 7, 12, 18)
MINUTES = (0, 0, 30)
DAYS = 4


class Life:
    """Draws events; counts them, so that each has a dedup key of its own."""

    def __init__(self, chance: Random, catalog: Catalog, begin: datetime) -> None:
        self._chance = chance
        self._catalog = catalog
        self._begin = begin
        self._count = 0

    def instant(self) -> datetime:
        chance = self._chance
        return self._begin + timedelta(
            days=chance.randrange(DAYS), hours=chance.choice(HOURS), minutes=chance.choice(MINUTES)
        )

    def introduce(self, contact: str) -> list[Arrival]:
        """An address, and mostly a consent."""
        known = [(IDENTIFIED, {"email": f"{contact}@example.com", "points": 1})]
        if self._chance.random() < 0.85:
            known.append((CONSENT_GRANTED, {"topic": "offers"}))
        return [self._arrival(contact, name, said, self._begin) for name, said in known]

    def event(self, contact: str, at: datetime) -> Arrival:
        chance = self._chance
        kind = chance.choices(("event", IDENTIFIED, "consent"), weights=(7, 2, 1))[0]
        if kind == IDENTIFIED:
            return self._arrival(contact, IDENTIFIED, self._some(self._traits(), 0.3), at)
        if kind == "consent":
            name = chance.choice((CONSENT_GRANTED, CONSENT_GRANTED, CONSENT_WITHDRAWN))
            said = {"topic": chance.choice(("offers", "receipts"))}
            channel = self._some({"channel": chance.choice(("email", "sms"))}, 0.5)
            return self._arrival(contact, name, said | channel, at)
        return self._arrival(contact, chance.choice(EVENTS), self._some(self._properties(), 0.6), at)

    def _some(self, values: Mapping[str, Any], share: float) -> dict[str, Any]:
        return {name: value for name, value in values.items() if self._chance.random() < share}

    def _properties(self) -> dict[str, Any]:
        return {
            "n": self._chance.choice((0, 1, 2, 2.5, 3)),
            "k": self._chance.choice(("x", "y")),
            "d": self._day(),
            "t": self.instant().isoformat(),
        }

    def _traits(self) -> dict[str, Any]:
        return {
            "plan": self._chance.choice(("pro", "free", "x", None)),
            "points": self._chance.choice((0, 1, 2, 3, None)),
            "vip": self._chance.choice((True, False, None)),
            "due": self._chance.choice((self._day(), None)),
            "meet": self.instant().isoformat(),
            "timezone": self._chance.choice((*ZONES, None)),
            "email": self._chance.choice(("someone@example.com", "other@example.com", None)),
        }

    def _day(self) -> str:
        return (self._begin + timedelta(days=self._chance.randint(-1, 8))).date().isoformat()

    def _arrival(self, contact: str, name: str, said: Mapping[str, Any], at: datetime) -> Arrival:
        self._count += 1
        fitted = (
            fit_traits(self._catalog, said) if name == IDENTIFIED else fit_event(self._catalog, name, said)
        )
        return Arrival(
            contact=contact,
            name=name,
            at=at,
            properties=fitted.properties,
            undeclared=fitted.undeclared,
            dedup_key=f"e{self._count}",
        )

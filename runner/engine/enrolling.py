"""Having contacts enter a journey by hand: the ``Enrolled`` event that its trigger ``manual`` hears."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from runner.engine.versions import Versions
from runner.journey.catalog import Catalog, EventType
from runner.journey.fit import fit_event
from runner.journey.longest import refuse_long_key
from runner.journey.model.triggers import ManualTrigger
from runner.journey.reserved import ENROLLED
from runner.journey.values import ValueType
from runner.journey.words import did_you_mean, listed
from runner.problem import JourneysError
from runner.store.database import Database, Deployment
from runner.store.partition import partition_of
from runner.store.people.arrival import Arrival
from runner.store.people.events import store_events
from runner.store.people.identities import known_contacts
from runner.store.statement import Connection


@dataclass(frozen=True, kw_only=True)
class Enrolling:
    """``properties`` are those that the journey's trigger declares. ``key`` tells one enrollment of a contact from the
    next; None where each line tells its own."""

    journey: str
    catalog: Catalog
    properties: Mapping[str, ValueType]
    key: str | None = None
    event: str = ENROLLED

    def within(self, catalog: Catalog) -> Catalog:
        """``catalog`` with the event that enrolls, so that its properties are fitted like those of any other."""
        declared = EventType(name=self.event, properties=self.properties)
        return replace(catalog, events={**catalog.events, self.event: declared})

    def arrival(self, arrival: Arrival) -> Arrival:
        """The event of this journey that a line stands for."""
        key = arrival.dedup_key if self.key is None else self.key
        return replace(
            arrival,
            properties={**arrival.properties, "journey": self.journey},
            dedup_key=f"enroll:{self.journey}:{key}",
        )

    def known(
        self, connection: Connection, deployment: Deployment, arrivals: Sequence[Arrival]
    ) -> tuple[list[Arrival], dict[str, None]]:
        """The events of those who are contacts, and the keys of the others: nobody is made by a slip of the pen."""
        keys = {arrival.contact for arrival in arrivals}
        places = [(partition_of(key, deployment.partitions), key) for key in sorted(keys)]
        known = known_contacts(connection, places) if places else frozenset()
        strangers = {arrival.contact: None for arrival in arrivals if arrival.contact not in known}
        return [self.arrival(arrival) for arrival in arrivals if arrival.contact in known], strangers


def enrolling(versions: Versions, journey: str, key: str | None = None) -> Enrolling:
    """How contacts enter ``journey`` by hand. Raises JourneysError where there is no such journey in force, it is
    retired, or it does not say ``manual: true``."""
    if key is not None:
        refuse_long_key(key)
    version = versions.current.get(journey)
    if version is None:
        known = sorted(versions.current)
        there_are = f"There are: {listed(known, 'and')}." if known else "Nothing was applied yet."
        raise JourneysError(f"There is no journey {journey!r}. {did_you_mean(journey, known) or there_are}")
    if version.retired:
        raise JourneysError(f"`{journey}` is retired: nobody enters any more.")
    for trigger in version.journey.triggers:
        if isinstance(trigger, ManualTrigger):
            return Enrolling(journey=journey, catalog=version.catalog, properties=trigger.properties, key=key)
    raise JourneysError(f"Nobody enters `{journey}` by hand: it has no trigger `manual: true`.")


def enroll_one(
    database: Database, how: Enrolling, contact: str, raw: Mapping[str, object], key: str, now: datetime
) -> bool:
    """Have ``contact`` enter; ``raw`` are the values that the run reads as ``trigger.*``. Answers whether that is new:
    with a ``key`` that was there before nothing happens. Raises JourneysError for somebody unknown, for a value that
    the trigger does not declare, and for one that does not fit."""
    refuse_long_key(key)
    fitted = fit_event(how.within(how.catalog), how.event, raw)
    for name in fitted.undeclared:
        hint = did_you_mean(name, how.properties) or (
            f"It takes {listed(how.properties)}." if how.properties else "It takes none."
        )
        raise JourneysError(f"`{how.journey}` takes no property {name!r}. {hint}")
    for name in fitted.rejected:
        raise JourneysError(f"The value of {name!r} is not {how.properties[name].kind.value}.")
    arrival = Arrival(
        contact=contact,
        name=how.event,
        at=now,
        properties=fitted.properties,
        undeclared={},
        dedup_key=key,
    )
    with database.begin() as connection:
        known, _ = how.known(connection, database.deployment, [arrival])
        if not known:
            raise JourneysError(f"There is no contact {contact!r}.")
        stored = store_events(connection, database.deployment, known, pending=True, received_at=now)
    return stored.new > 0

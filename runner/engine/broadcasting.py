"""Sending an event that has no contact."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from runner.journey.catalog import Catalog
from runner.journey.fit import fit_event
from runner.journey.words import did_you_mean, listed
from runner.problem import JourneysError
from runner.store.database import Database
from runner.store.people.events import NOBODY, Arrival, store_events


def send_broadcast(
    database: Database, catalog: Catalog, event: str, raw: Mapping[str, object], key: str, now: datetime
) -> bool:
    """Store the broadcast ``event`` with these properties, once for each ``key``; answers whether it is new. Raises
    JourneysError where the catalog has no such broadcast, or a value is not declared or does not fit."""
    declared = catalog.events.get(event)
    broadcasts = [name for name, each in catalog.events.items() if each.broadcast]
    if declared is None or not declared.broadcast:
        there_are = f"There are: {listed(broadcasts, 'and')}." if broadcasts else "The catalog declares none."
        raise JourneysError(
            f"There is no broadcast {event!r}. {did_you_mean(event, broadcasts) or there_are}"
        )
    fitted = fit_event(catalog, event, raw)
    for name in fitted.undeclared:
        hint = did_you_mean(name, declared.properties) or f"It has {listed(declared.properties, 'and')}."
        raise JourneysError(f"`{event}` has no property {name!r}. {hint}")
    for name in fitted.rejected:
        raise JourneysError(f"The value of {name!r} is not {declared.properties[name].kind.value}.")
    arrival = Arrival(
        contact=NOBODY,
        name=event,
        at=now,
        properties=fitted.properties,
        undeclared={},
        dedup_key=f"sent:{key}",
    )
    with database.begin() as connection:
        stored = store_events(connection, database.deployment, [arrival], pending=True, received_at=now)
    return stored.new > 0

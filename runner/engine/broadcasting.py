"""Sending an event that has no contact."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from runner.engine.versions import listeners_of, load_versions
from runner.journey.catalog import Catalog
from runner.journey.expression.tree import Name
from runner.journey.fit import fit_event
from runner.journey.longest import refuse_long_key
from runner.journey.words import did_you_mean, listed
from runner.problem import JourneysError
from runner.store.causes.hearers import Listener
from runner.store.database import Database
from runner.store.people.arrival import NOBODY, Arrival
from runner.store.people.events import store_events


def send_broadcast(
    database: Database, catalog: Catalog, event: str, raw: Mapping[str, object], key: str, now: datetime
) -> bool:
    """Store the broadcast ``event`` with these properties, once for each ``key``; answers whether it is new. Raises
    JourneysError where the catalog has no such broadcast, or a value is not declared or does not fit, or the key is too
    long."""
    refuse_long_key(key)
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


def unheard(database: Database, catalog: Catalog, event: str, raw: Mapping[str, object]) -> tuple[str, ...]:
    """Why nobody can hear the broadcast ``event`` with these properties, each as a sentence: that no journey
    listens, or what each of those that do compares. Empty where somebody may hear it.

    Raises JourneysError where a stored version cannot be read by this release of the software.
    """
    listeners = listeners_of(load_versions(database)).get(event, frozenset())
    properties = fit_event(catalog, event, raw).properties
    found = {_deaf(each, catalog, properties) for each in listeners}
    if not found:
        return (f"No journey that is in force listens for `{event}`: nobody hears it.",)
    reasons = sorted(each for each in found if each is not None)
    return tuple(f"{each}: nobody hears it." for each in reasons) if None not in found else ()


def _deaf(listener: Listener, catalog: Catalog, properties: Mapping[str, object]) -> str | None:
    """Why a listener cannot hear an event with these properties; None where it may."""
    sides = (listener.ear.equality.left, listener.ear.equality.right)
    names = {side.source: side for side in sides if isinstance(side, Name)}
    asked, other = ".".join(names["event"].path), names[listener.ear.source]
    value = properties.get(names["event"].path[0])
    if value is None:
        return f"`{listener.journey}` compares `{asked}`, which this event does not have"
    attribute = catalog.attributes.get(other.path[0]) if other.source == "contact" else None
    allowed = attribute.type.one_of if attribute is not None else ()
    if allowed and isinstance(value, str) and value not in allowed:
        return (
            f"`{listener.journey}` compares `{asked}` with `contact.{other.path[0]}`, which is never {value!r}, but"
            f" {listed(allowed)}"
        )
    return None

"""A reader presses the button of a link's page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from runner.engine.versions import Versions
from runner.journey.catalog import LINK_PRESSED
from runner.journey.fit import fit
from runner.journey.model import Link, Snooze
from runner.journey.model.links import Ask
from runner.journey.values import MILLIONTHS
from runner.store.causes.presses import carrier
from runner.store.database import Database
from runner.store.people.events import Arrival, store_events


class Pressed(StrEnum):
    """What the page says."""

    DONE = "done"
    TWICE = "twice"  # it was pressed before: nothing changes
    ENDED = "ended"  # the run is over: nothing changes
    EXPIRED = "expired"
    REFUSED = "refused"  # no such link, or what was given with it does not fit


def press(
    database: Database,
    versions: Versions,
    *,
    contact: str,
    journey: str,
    link: str,
    at: datetime,
    option: str | None = None,
    values: Mapping[str, object] | None = None,
    run: int | None = None,
    step: str | None = None,
    visit: int | None = None,
) -> Pressed:
    """Press ``link`` in the message of ``journey`` that was let go last to the contact with that key, or in the one of
    that ``run``, ``step`` and ``visit``. ``option`` is that of a snooze, ``values`` are those that the link asks for,
    by name. What it does is done by the next tick."""
    with database.begin() as connection:
        found = carrier(connection, contact, journey, at=at, run_number=run, step=step, visit=visit)
        version = versions.by_id.get(found.version) if found else None
        links = version.journey.links if version else ()
        known = next((each for each in links if each.name == link), None)
        if found is None or known is None or not _fits(known, option, values or {}):
            return Pressed.REFUSED
        if not found.active:
            return Pressed.ENDED
        if at >= found.let_go_at + timedelta(microseconds=known.expires.elapsed):
            return Pressed.EXPIRED
        told: dict[str, Any] = {
            "run": found.run * MILLIONTHS,
            "journey": journey,
            "step": found.step,
            "visit": found.visit * MILLIONTHS,
            "link": link,
            "option": option,
            **{f"value_{name}": value for name, value in _fitted(known, values or {}).items()},
        }
        arrival = Arrival(
            contact=contact,
            name=LINK_PRESSED,
            at=at,
            properties=told,
            undeclared={},
            dedup_key=f"press:{journey}:{found.run}:{found.step}:{found.visit}:{link}",
        )
        stored = store_events(connection, database.deployment, [arrival], pending=True)
    return Pressed.DONE if stored.new else Pressed.TWICE


def _fitted(link: Link, values: Mapping[str, object]) -> dict[str, Any]:
    """What the reader gave, in its stored form; None for what does not fit."""
    if not isinstance(link.action, Ask):
        return {}
    return {asked.name: fit(values.get(asked.name), asked.type) for asked in link.action.values}


def _fits(link: Link, option: str | None, values: Mapping[str, object]) -> bool:
    if isinstance(link.action, Snooze):
        return option in {name for name, _ in link.action.options}
    return all(value is not None for value in _fitted(link, values).values())

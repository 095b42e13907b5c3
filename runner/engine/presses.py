"""A reader presses the button of a link's page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from runner.engine.versions import Versions, stored_project
from runner.journey.catalog import CONSENT_GRANTED, CONSENT_WITHDRAWN, LINK_PRESSED
from runner.journey.fit import fit
from runner.journey.model import ChangeConsent, Link, Snooze
from runner.journey.model.links import Ask
from runner.journey.values import MILLIONTHS
from runner.problem import JourneysError
from runner.store.causes.presses import carrier
from runner.store.database import Database
from runner.store.journeys.versions import version_files
from runner.store.people.arrival import Arrival
from runner.store.people.events import store_events
from runner.store.statement import Connection


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
        links = links_of(connection, versions, journey, found.version) if found else ()
        known = next((each for each in links if each.name == link), None)
        if found is None or known is None or not _fits(known, option, values or {}):
            return Pressed.REFUSED
        # A consent is the reader's own, and no matter of the run: it can be given and taken back when that is over.
        if not found.active and not isinstance(known.action, ChangeConsent):
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
        name = LINK_PRESSED
        if isinstance(known.action, ChangeConsent):
            name, told = _consent(known.action, f"{journey}/{link}")
        arrival = Arrival(
            contact=contact,
            name=name,
            at=at,
            properties=told,
            undeclared={},
            dedup_key=f"press:{journey}:{found.run}:{found.step}:{found.visit}:{link}",
        )
        stored = store_events(connection, database.deployment, [arrival], pending=True)
    return Pressed.DONE if stored.new else Pressed.TWICE


def links_of(connection: Connection, versions: Versions, journey: str, version: int) -> tuple[Link, ...]:
    """What the links of a message do that ``version`` of ``journey`` wrote, whether anybody is in it any more or not.
    Where this release cannot read that version, they are those of the present one."""
    known = versions.by_id.get(version)
    if known is not None:
        return known.journey.links
    found = versions.former_links.get(version)
    if found is None:
        try:
            project = stored_project(journey, version, version_files(connection, version))
            found = project.journeys[journey].links
        except JourneysError:
            present = versions.current.get(journey)
            found = present.journey.links if present else ()
        versions.former_links[version] = found
    return found


def _consent(action: ChangeConsent, source: str) -> tuple[str, dict[str, Any]]:
    """The event by which the reader gives or withdraws a consent, with the link as its proof."""
    said: dict[str, Any] = {"topic": action.topic, "source": source}
    if action.channel is not None:
        said["channel"] = action.channel
    # Pressing the button of a mail is the second yes of a double opt-in.
    return (CONSENT_GRANTED, {**said, "confirmed": True}) if action.given else (CONSENT_WITHDRAWN, said)


def _fitted(link: Link, values: Mapping[str, object]) -> dict[str, Any]:
    """What the reader gave, in its stored form; None for what does not fit."""
    if not isinstance(link.action, Ask):
        return {}
    return {asked.name: fit(values.get(asked.name), asked.type) for asked in link.action.values}


def _fits(link: Link, option: str | None, values: Mapping[str, object]) -> bool:
    if isinstance(link.action, Snooze):
        return option in {name for name, _ in link.action.options}
    return all(value is not None for value in _fitted(link, values).values())

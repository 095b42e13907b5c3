"""The state of a deployment: journeys and their versions, people on each step, messages by state, what is
due.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from runner.insight.present import count_text, instant_text, journey_json, journey_text
from runner.insight.report import JourneyNumbers, journey_numbers, nothing_yet
from runner.journey.project import load_project
from runner.store.audit import lived_virtually
from runner.store.database import Database
from runner.store.journeys.states import states_since
from runner.store.journeys.versions import StoredVersion, current_versions
from runner.store.tables import JourneyState
from runner.store.watching import due, reports

OVERDUE_AFTER = timedelta(minutes=1)
"""A daemon looks every few seconds: what is due for less than that waits for its next look."""
MEANWHILE = {
    JourneyState.PAUSED: "nobody enters, and who would have does not enter afterwards",
    JourneyState.STOPPED: "nobody enters, and who would have does not enter afterwards",
}
"""What a journey that is not live does to those who would enter it."""
SHORT_HASH = 12
"""Digits of a version's hash that are shown to people."""


@dataclass(frozen=True, kw_only=True)
class InForce:
    """The version of a journey that contacts enter. ``since``: when the journey was paused or stopped; of one that is
    live, when this version was applied, or the journey resumed after that."""

    version: str
    state: JourneyState
    since: datetime


@dataclass(frozen=True, kw_only=True)
class JourneyStatus:
    """``in_force`` is None for a journey that was never applied here; ``older`` counts the runs that finish
    on older versions. ``next_start``: when a schedule fires next, or the next contact's date comes, that starts it."""

    numbers: JourneyNumbers
    in_force: InForce | None
    older: int
    next_start: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Status:
    """``next_due`` is the earliest instant at which a run is due, ``oldest_pending`` that of the earliest
    event that has not been handled; None where there is none. ``virtual``: this database has lived in virtual
    time, of which the real clock says nothing."""

    journeys: tuple[JourneyStatus, ...]
    totals: reports.Totals
    next_due: datetime | None
    oldest_pending: datetime | None
    virtual: bool = False


NOTHING = Status(
    journeys=(),
    totals=reports.Totals(contacts=0, events=0, pending=0, first=None, last=None),
    next_due=None,
    oldest_pending=None,
)
"""The state of a deployment whose database is not there yet."""


def read_status(database: Database) -> Status:
    """The present state of ``database``."""
    with database.read() as connection:
        stored = {version.journey: version for version in current_versions(connection)}
        since = states_since(connection)
        active = reports.active_by_version(connection)
        totals = reports.totals(connection)
        next_due = due.next_due(connection)
        oldest_pending = due.next_pending(connection)
        next_starts = due.next_starts(connection)
        virtual = lived_virtually(connection)
    journeys = [
        journey
        for version in stored.values()
        if (
            journey := load_project(version.files, {version.journey: version.renames}).journeys.get(
                version.journey
            )
        )
        is not None
    ]
    found = {one.journey: one for one in journey_numbers(database, journeys)}
    return Status(
        journeys=tuple(
            replace(
                _journey(name, found.get(name), stored.get(name), since.get(name), active),
                next_start=next_starts.get(name),
            )
            for name in sorted({*found, *stored})
        ),
        totals=totals,
        next_due=next_due,
        oldest_pending=oldest_pending,
        virtual=virtual,
    )


def _journey(
    name: str,
    numbers: JourneyNumbers | None,
    stored: StoredVersion | None,
    since: datetime | None,
    active: Mapping[tuple[str, int], int],
) -> JourneyStatus:
    current = stored.id if stored else None
    return JourneyStatus(
        numbers=numbers or nothing_yet(name),
        in_force=InForce(version=stored.hash, state=stored.state, since=since or stored.since)
        if stored
        else None,
        older=sum(
            runs for (journey, version), runs in active.items() if journey == name and version != current
        ),
    )


def status_json(status: Status) -> dict[str, object]:
    """For programs: instants are ISO 8601 in UTC."""
    return {
        "contacts": status.totals.contacts,
        "events": status.totals.events,
        "pending_events": status.totals.pending,
        "oldest_pending": _instant(status.oldest_pending),
        "next_due": _instant(status.next_due),
        "suppressed_addresses": status.totals.suppressed,
        "journeys": [
            {
                **journey_json(one.numbers),
                "version": one.in_force.version if one.in_force else None,
                "state": one.in_force.state.value if one.in_force else None,
                "since": _instant(one.in_force.since) if one.in_force else None,
                "on_older_versions": one.older,
                "next_start": _instant(one.next_start),
            }
            for one in status.journeys
        ],
    }


def status_text(status: Status, now: datetime) -> str:
    """For people: the totals, then a paragraph and a table a journey. What is overdue at
    ``now`` says so, but for virtual time."""
    totals = status.totals
    overdue_before = None if status.virtual else now - OVERDUE_AFTER
    lines = [f"{count_text(totals.contacts, 'contact')}, {count_text(totals.events, 'event')}"]
    if totals.pending:
        oldest = _when(status.oldest_pending, overdue_before)
        lines.append(f"{count_text(totals.pending, 'event')} not handled yet, the oldest of {oldest}")
    if totals.suppressed:
        lines.append(f"addresses to which nothing is sent: {totals.suppressed:,}")
    if status.next_due is not None:
        lines.append(f"next run due {_when(status.next_due, overdue_before)}")
    if not status.journeys:
        return "\n".join([*lines, "", "No journey has been applied: `journeys apply` does it."])
    journeys = (
        journey_text(one.numbers, states=True, facts=_facts(one, overdue_before)) for one in status.journeys
    )
    return "\n\n".join(["\n".join(lines), *journeys])


def _facts(one: JourneyStatus, overdue_before: datetime | None) -> tuple[tuple[str, str], ...]:
    current = one.in_force
    if current is None:
        return (("version", "none in force"),)
    since = f"{current.version[:SHORT_HASH]}, {current.state.value} since {_minute(current.since)}"
    older = (("older", f"{one.older:,} in flight on older versions"),) if one.older else ()
    starts = (("next start", _when(one.next_start, overdue_before)),) if one.next_start else ()
    told = (("meanwhile", MEANWHILE[current.state]),) if current.state in MEANWHILE else ()
    return (("version", since), *told, *starts, *older)


def _when(instant: datetime | None, overdue_before: datetime | None) -> str:
    assert instant is not None
    overdue = overdue_before is not None and instant < overdue_before
    return f"{_minute(instant)}{' (overdue)' if overdue else ''}"


def _minute(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else instant_text(instant)

"""Recorded events through journeys under virtual time, on a database of their own: what would have happened.

The same engine as in production does the work; nothing is rendered and no channel is touched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from runner.engine.apply import apply_project
from runner.engine.intake import Rejected, read_arrivals
from runner.engine.tick import EXACT, Pace, tick
from runner.engine.timed import begin_anew
from runner.engine.unread import Unread, UnreadNames, unread_json, unread_text
from runner.engine.versions import Versions, load_versions
from runner.journey.catalog import EVERY_CHANNEL, Catalog
from runner.journey.project import Project
from runner.journey.shown import printable
from runner.problem import JourneysError
from runner.review.backtest_pools import Undrawn, undrawn, undrawn_json, undrawn_text
from runner.review.reporters import counted
from runner.store.causes.schedules import next_firings
from runner.store.database import Database
from runner.store.engines import write_json
from runner.store.people.arrival import Arrival
from runner.store.people.contacts import grant_consent
from runner.store.people.events import store_events
from runner.store.tables import MessageStatus
from runner.store.watching import due, reports

SUFFIXES = (".ndjson", ".ndjson.gz", ".csv")
FIRST_SHOWN = 10
"""How many rejections are shown one by one."""
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""When journeys of a backtest count as applied, and consents as granted: before anything that is recorded."""

BATCH = 20_000
"""Events that are stored, and contacts that are advanced, in one transaction unless told."""

TICKS_A_LOOK = 8
"""How many ticks go by until it is counted again what is left: that reads an index from end to end."""

INSTANT = timedelta(microseconds=1)
"""The shortest time there is."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much (bytes of a file, or events)."""


def silent(what: str, done: int, of: int) -> None:
    """The progress that nobody looks at."""
    del what, done, of


@dataclass(frozen=True, kw_only=True)
class Grant:
    """Consent that is granted to everybody before the beginning. ``channel`` is ``*`` for every channel."""

    topic: str
    channel: str = EVERY_CHANNEL

    def __str__(self) -> str:
        return self.topic if self.channel == EVERY_CHANNEL else f"{self.topic}:{self.channel}"


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """A line of a recording that could not be read; ``line`` counts from 1."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """How many values of one property (or trait, of an identify) did not fit the catalog and counted as missing."""

    event: str
    value: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What was replayed. ``first`` is the instant of the earliest event, ``until`` where virtual time stopped.

    ``rejected`` counts lines, of which ``rejections`` are the first few.
    """

    files: tuple[str, ...]
    contacts: int
    events: int
    duplicates: int
    first: datetime
    until: datetime
    grants: tuple[Grant, ...]
    rejected: int
    rejections: tuple[Rejection, ...]
    misfits: tuple[Misfit, ...]
    unread: Unread
    undrawn: tuple[Undrawn, ...] = ()


@dataclass
class _Intake:
    """What has been read so far."""

    unread: UnreadNames
    events: int = 0
    duplicates: int = 0
    rejected: int = 0
    rejections: list[Rejection] = field(default_factory=list)
    misfits: Counter[tuple[str, str]] = field(default_factory=Counter)

    def reject(self, file: str, line: int, reason: str) -> None:
        self.rejected += 1
        if len(self.rejections) < FIRST_SHOWN:
            self.rejections.append(Rejection(file=file, line=line, reason=reason))


def recordings(folder: Path) -> tuple[Path, ...]:
    """The recordings in ``folder``, by file name. Raises JourneysError where there are none."""
    found = sorted(
        (path for path in folder.iterdir() if path.is_file() and path.name.endswith(SUFFIXES)),
        key=lambda path: path.name,
    )
    if not found:
        raise JourneysError(f"{folder} holds no recording: no file ends with {', '.join(SUFFIXES)}")
    return tuple(found)


def parse_grant(text: str, catalog: Catalog) -> Grant:
    """``TOPIC`` or ``TOPIC:CHANNEL`` as a grant. Raises JourneysError for one that the catalog does not
    have.
    """
    topic, colon, channel = text.partition(":")
    if topic not in catalog.topics:
        known = ", ".join(sorted(catalog.topics)) or "none"
        raise JourneysError(f"--grant {text}: there is no topic {topic!r}; the catalog has: {known}")
    if colon and channel != EVERY_CHANNEL and channel not in catalog.channels:
        known = ", ".join(sorted(catalog.channels)) or "none"
        raise JourneysError(f"--grant {text}: there is no channel {channel!r}; the catalog has: {known}")
    return Grant(topic=topic, channel=channel if colon else EVERY_CHANNEL)


def replay(
    database: Database,
    project: Project,
    paths: Sequence[Path],
    *,
    grants: Sequence[Grant] = (),
    until: datetime | None = None,
    batch: int = BATCH,
    progress: Progress = silent,
) -> Replayed:
    """Live through what ``paths`` record, in an empty ``database``, until the instant of the last event or
    ``until``.

    ``batch`` is the number of events stored, and of contacts advanced, in one transaction; it changes nothing
    in what happens. Raises JourneysError where the recordings hold no event.
    """
    apply_project(database, project, now=BEGINNING, author=None, git_commit=None)
    intake = _Intake(unread=UnreadNames(project.catalog))
    for path in paths:
        _store(database, path, project.catalog, intake, batch, progress)
    with database.begin() as connection:
        for grant in grants:
            grant_consent(
                connection,
                database.deployment,
                None,
                topic=grant.topic,
                channel=grant.channel,
                at=BEGINNING,
                source="backtest --grant",
            )
    with database.read() as connection:
        totals = reports.totals(connection)
    if totals.first is None or totals.last is None:
        told = ["the recordings hold no event", *_rejected_text(intake.rejected, intake.rejections)]
        raise JourneysError("\n".join(told))
    end = until or totals.last
    pace, versions = replace(EXACT, contacts=batch), load_versions(database)
    with database.begin() as connection:
        begin_anew(connection, versions, totals.first - INSTANT)
    _live(database, versions, end, pace, totals.pending, progress)
    with database.read() as connection:
        empty = reports.left_by(connection, "empty")
    return Replayed(
        files=tuple(path.name for path in paths),
        contacts=totals.contacts,
        events=intake.events,
        duplicates=intake.duplicates,
        first=totals.first,
        until=end,
        grants=tuple(grants),
        rejected=intake.rejected,
        rejections=tuple(intake.rejections),
        misfits=tuple(
            Misfit(event=event, value=value, count=count)
            for (event, value), count in sorted(intake.misfits.items())
        ),
        unread=intake.unread.told(),
        undrawn=tuple(undrawn(project.journeys.values(), empty)),
    )


def _store(
    database: Database, path: Path, catalog: Catalog, intake: _Intake, batch: int, progress: Progress
) -> None:
    """Store what ``path`` records as events that are still to be handled, each received when it happened."""
    size = path.stat().st_size

    def read(position: int) -> None:
        progress(f"reading {path.name}", position, size)

    for portion in _portions(read_arrivals(path, catalog, progress=read), batch):
        arrivals = []
        for item in portion:
            if isinstance(item, Rejected):
                intake.reject(path.name, item.line, item.reason)
                continue
            arrivals.append(item)
            intake.unread.look(item)
            for value in item.rejected:
                intake.misfits[item.name, value] += 1
        with database.begin() as connection:
            stored = store_events(connection, database.deployment, arrivals, pending=True)
        intake.events += stored.new
        intake.duplicates += stored.duplicate


def _portions(items: Iterable[Arrival | Rejected], size: int) -> Iterator[list[Arrival | Rejected]]:
    iterator = iter(items)
    while portion := list(islice(iterator, size)):
        yield portion


def _live(
    database: Database, versions: Versions, until: datetime, pace: Pace, pending: int, progress: Progress
) -> None:
    """Let virtual time run to ``until``.

    It stops at each firing of a schedule, when all before is done: of those who have nothing to be handled it is known
    whether they are of its audience.
    """
    reached, ticks = None, 0
    while reached != until:
        with database.read() as connection:
            firing = next_firings(connection)
        for instant in (firing - INSTANT, firing) if firing and firing <= until else (until,):
            while tick(database, versions, instant, pace).more:
                ticks += 1
                if ticks % TICKS_A_LOOK:
                    continue
                with database.read() as connection:
                    left = due.pending_count(connection)
                progress("living through it", max(0, pending - left), pending)
            reached = instant


def _rejected_text(count: int, first: Sequence[Rejection]) -> Iterator[str]:
    if count:
        yield f"  Rejected: {counted(count, 'line')}."
        yield from (f"    {item.file}:{item.line}: {printable(item.reason)}" for item in first)
        if count > len(first):
            yield "    …"


def replayed_text(replayed: Replayed) -> str:
    """What was replayed, what was granted and what was rejected, as lines for people."""
    lines = [
        f"Replayed {counted(replayed.events, 'event')} of {counted(replayed.contacts, 'contact')}"
        f" from {', '.join(replayed.files)}.",
        f"  {_minute(replayed.first)} to {_minute(replayed.until)} UTC. Nothing was sent to anybody.",
    ]
    if replayed.duplicates:
        lines.append(f"  {counted(replayed.duplicates, 'event')} came again and counted once.")
    if replayed.grants:
        granted = ", ".join(map(str, replayed.grants))
        lines.append(f"  Consent was granted to everybody by --grant: {granted}.")
    lines += _rejected_text(replayed.rejected, replayed.rejections)
    if replayed.misfits:
        lines.append("  Values that do not fit the catalog, and count as missing:")
        lines += [
            f"    {printable(item.event)}: {printable(item.value)}, {counted(item.count, 'time')}"
            for item in replayed.misfits
        ]
    lines += undrawn_text(replayed.undrawn)
    if told := unread_text(replayed.unread):
        lines.append(f"  {told[0].upper()}{told[1:]}.")
    return "\n".join(lines)


def replayed_json(replayed: Replayed) -> dict[str, object]:
    """The same for programs; instants are ISO 8601 in UTC."""
    return {
        "files": list(replayed.files),
        "contacts": replayed.contacts,
        "events": replayed.events,
        "duplicates": replayed.duplicates,
        "first": _iso(replayed.first),
        "until": _iso(replayed.until),
        "granted": [str(grant) for grant in replayed.grants],
        "rejected": replayed.rejected,
        "rejections": [
            {"file": item.file, "line": item.line, "reason": item.reason} for item in replayed.rejections
        ],
        "misfits": [
            {"event": item.event, "value": item.value, "count": item.count} for item in replayed.misfits
        ],
        "not_read": unread_json(replayed.unread),
        "not_drawn": [undrawn_json(one) for one in replayed.undrawn],
    }


def message_json(line: reports.MessageLine) -> str:
    """A message as a line of NDJSON: ``status`` is ``sent`` for what policy let go, ``withheld`` for what it would have
    let go of somebody who is held out, else ``blocked``."""
    withheld = line.status is MessageStatus.WITHHELD
    return write_json(
        {
            "contact": line.contact,
            "journey": line.journey,
            "step": line.step,
            "channel": line.channel,
            "at": _iso(line.at),
            "status": "withheld" if withheld else "sent" if line.let_go else "blocked",
            "reason": line.reason,
        }
    )


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _minute(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M}"

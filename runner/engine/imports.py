"""Importing a file into the store: in batches, each a transaction, what is not taken kept in a reject
file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

from runner.engine.enrolling import Enrolling
from runner.engine.intake import Progress, Rejected, consent_arrival, csv_header, read_arrivals
from runner.engine.misfits import Misfits, MisfitValues
from runner.engine.sent_nobody import without_strangers
from runner.engine.tick import LIVE
from runner.engine.told_of import with_messages
from runner.engine.unread import Unread, UnreadNames
from runner.journey.catalog import ACCOUNT_IDENTIFIED, CONSENT_GRANTED, IDENTIFIED, Catalog
from runner.problem import JourneysError
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.people.events import Stored, store_events

FIRST_SHOWN = 10
"""How many lines of one kind are told one by one; the reject file has all that are rejected."""

_NO_EVENTS = frozenset({IDENTIFIED, ACCOUNT_IDENTIFIED})

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Granted:
    """A consent that an import gives to each contact that it identifies. ``channel`` is ``*`` for every
    channel.

    ``source`` says who stands for it: it is the proof.
    """

    topic: str
    channel: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What became of a file.

    ``stored`` counts its lines; ``consents`` those that were recorded on the way. ``misfits``
    are the values that did not fit; their lines were taken. ``unread`` are names that
    the catalog does not have. ``too_old`` counts the events of a live import that are too old to start
    anything; ``turned_since`` are the segments that time may have turned since these. ``unknown_messages`` counts the
    events that name a message which their contact has not had; ``first_unknown`` are the first of them.
    ``strangers`` are keys that are no contact's, where nobody is made. ``rejections`` are the first rejected lines, all
    of which are in ``reject_file``.
    """

    stored: Stored
    consents: int
    rejected_lines: int
    misfits: tuple[Misfits, ...]
    unread: Unread
    too_old: int
    turned_since: tuple[str, ...]
    unknown_messages: int
    first_unknown: tuple[Arrival, ...]
    strangers: Mapping[str, None]
    rejections: tuple[Rejected, ...]
    reject_file: Path | None


@dataclass
class _Rejects:
    """The reject file, made when the first line is rejected: the lines as they stood, ready to be mended
    and imported again, and their reasons beside them.

    They are written under another name and moved into place at the end.
    """

    path: Path
    header: str | None
    count: int = 0
    first: list[Rejected] = field(default_factory=list)

    @classmethod
    def of(cls, source: Path, folder: Path) -> _Rejects:
        """Of the file ``source``. The name holds its whole path: files of one base name do not share a
        reject file, and that of a reject file is another one."""
        plain = Path(source.name[:-3] if source.name.lower().endswith(".gz") else source.name)
        digest = hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:8]
        return cls(path=folder / f"{plain.stem}-{digest}{plain.suffix}", header=csv_header(source))

    def take(self, rejections: Sequence[Rejected]) -> None:
        if not rejections:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        mode = "a" if self.count else "w"
        part, part_of_reasons = _part(self.path), _part(_reasons(self.path))
        with (
            part.open(mode, encoding="utf-8", errors="surrogateescape", newline="\n") as lines,
            part_of_reasons.open(mode, encoding="utf-8", errors="replace") as reasons,
        ):
            if self.header is not None and self.count == 0:
                lines.write(f"{self.header}\n")
            for rejected in rejections:
                lines.write(f"{rejected.text}\n")
                reasons.write(f"{rejected.line}: {rejected.reason}\n")
        self.count += len(rejections)
        self.first += rejections[: FIRST_SHOWN - len(self.first)]

    def place(self) -> None:
        """Put what was written in the place of what an earlier import of the same file has left."""
        if self.count:
            for path in (self.path, _reasons(self.path)):
                _part(path).replace(path)

    def clear(self) -> None:
        """Forget what an earlier import of the same file has left."""
        for path in (self.path, _reasons(self.path)):
            path.unlink(missing_ok=True)


def _reasons(path: Path) -> Path:
    return path.with_name(f"{path.name}.reasons")


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def import_file(
    database: Database,
    catalog: Catalog,
    path: Path,
    *,
    received_at: datetime,
    pending: bool,
    rejects: Path,
    batch: int,
    grants: Sequence[Granted] = (),
    only_contacts: bool = False,
    enrolling: Enrolling | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Store what ``path`` holds, ``batch`` lines a transaction. A second import of the same file changes
    nothing.

    ``pending``: journeys react; else it is history. ``enrolling``: each line enters a journey by hand.
    ``only_contacts`` takes no events. Rejected lines go to the folder ``rejects``. Raises JourneysError where the file
    cannot be read, or is cut off; the batches before are stored then.
    """
    catalog = enrolling.within(catalog) if enrolling else catalog
    kept = _Rejects.of(path, rejects)
    total = Stored()
    consents = 0
    values = MisfitValues()
    unread = UnreadNames(catalog)
    too_old = unknown_messages = 0
    old_names: set[str] = set()
    first_unknown: list[Arrival] = []
    oldest = received_at - LIVE.event_max_age if pending and LIVE.event_max_age else None
    read = read_arrivals(
        path,
        catalog,
        received_at=received_at,
        only_contacts=only_contacts,
        as_event=enrolling.event if enrolling else None,
        progress=progress,
    )
    strangers: dict[str, None] = {}
    try:
        for portion in _portions(read, batch):
            arrivals: list[Arrival] = []
            given: list[Arrival] = []
            bad: list[Rejected] = []
            for item in portion:
                if isinstance(item, Rejected):
                    bad.append(item)
                    continue
                values.look(item)
                unread.look(item)
                if oldest is not None and item.name not in _NO_EVENTS and item.at < oldest:
                    too_old += 1
                    old_names.add(item.name)
                if item.name == IDENTIFIED:
                    given.extend(_consents(item, grants))
                # A consent of a contact's row is no line of its own.
                (given if only_contacts and item.name == CONSENT_GRANTED else arrivals).append(item)
            with database.begin() as connection:
                deployment = database.deployment
                if enrolling is not None:
                    arrivals, unknown = enrolling.known(connection, deployment, arrivals)
                    strangers.update(unknown)
                of_contacts, of_nobody = without_strangers(connection, deployment, arrivals)
                told, of_no_message = with_messages(connection, deployment, of_contacts)
                stored = store_events(connection, deployment, told, received_at=received_at, pending=pending)
                recorded = store_events(
                    connection, deployment, given, received_at=received_at, pending=pending
                )
            # Counted once they are committed.
            total += stored
            consents += recorded.new
            unknown_messages += len(of_no_message)
            first_unknown += of_no_message[: FIRST_SHOWN - len(first_unknown)]
            kept.take(sorted([*bad, *of_nobody], key=lambda each: each.line))
    except JourneysError as error:
        lines = total.new + total.duplicate
        raise JourneysError(
            f"{error}; {lines:,} lines of {path.name} are stored: import it again, nothing counts twice"
        ) from error
    finally:
        # Of a file that is cut off, too: its batches before are stored.
        kept.place()
    if not kept.count:
        kept.clear()
    return Imported(
        stored=total,
        consents=consents,
        rejected_lines=kept.count,
        misfits=values.told(),
        unread=unread.told(),
        too_old=too_old,
        turned_since=tuple(_turned_by_time(catalog, old_names)),
        unknown_messages=unknown_messages,
        first_unknown=tuple(first_unknown),
        strangers=strangers,
        rejections=tuple(kept.first),
        reject_file=kept.path if kept.count else None,
    )


def _turned_by_time(catalog: Catalog, events: Set[str]) -> Iterator[str]:
    """The segments that read ``events`` and the time: they are read as of now, however old the event is."""
    for name, segment in sorted(catalog.segments.items()):
        if segment.when.reads.time and not events.isdisjoint(segment.when.reads.events):
            yield name


def _consents(arrival: Arrival, grants: Sequence[Granted]) -> Iterator[Arrival]:
    for grant in grants:
        cause = f"{grant.source} {arrival.dedup_key}"
        yield consent_arrival(arrival.contact, grant.topic, grant.channel, arrival.at, grant.source, cause)


def _portions(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while portion := list(islice(iterator, size)):
        yield portion

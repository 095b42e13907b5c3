"""Importing a file into the store: in batches, each a transaction, what is not taken kept in a reject
file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from runner.engine.enrolling import Enrolling
from runner.engine.intake import Progress, Rejected, consent_arrival, read_arrivals
from runner.engine.misfits import Misfits, MisfitValues
from runner.engine.reject_file import FIRST_SHOWN, RejectFile
from runner.engine.sent_nobody import without_strangers
from runner.engine.tick import LIVE
from runner.engine.told_of import with_messages
from runner.engine.unread import Unread, UnreadNames
from runner.journey.catalog import ACCOUNT_IDENTIFIED, CONSENT_GRANTED, IDENTIFIED, Catalog
from runner.problem import JourneysError
from runner.store.causes.feedback import FEEDBACK
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.people.events import Stored, store_events

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
    events that name a message which their contact has not had, ``unheeded`` those of them that would have suppressed an
    address or withdrawn a consent; ``first_unknown`` are the first of them.
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
    unheeded: int
    first_unknown: tuple[Arrival, ...]
    strangers: Mapping[str, None]
    rejections: tuple[Rejected, ...]
    reject_file: Path | None


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
    kept = RejectFile.of(path, rejects)
    importing = _Importing(
        database=database,
        received_at=received_at,
        pending=pending,
        grants=grants,
        only_contacts=only_contacts,
        enrolling=enrolling,
        rejects=kept,
        oldest=received_at - LIVE.event_max_age if pending and LIVE.event_max_age else None,
        unread=UnreadNames(catalog),
    )
    read = read_arrivals(
        path,
        catalog,
        received_at=received_at,
        only_contacts=only_contacts,
        as_event=enrolling.event if enrolling else None,
        progress=progress,
    )
    try:
        for portion in _portions(read, batch):
            importing.take(portion)
    except JourneysError as error:
        lines = importing.stored.new + importing.stored.duplicate
        raise JourneysError(
            f"{error}; {lines:,} lines of {path.name} are stored: import it again, nothing counts twice"
        ) from error
    finally:
        # Of a file that is cut off, too: its batches before are stored.
        kept.place()
    if not kept.count:
        kept.clear()
    return importing.told(catalog)


@dataclass(kw_only=True)
class _Importing:
    """An import on its way, and what became of its lines so far; the names are those of ``Imported``."""

    database: Database
    received_at: datetime
    pending: bool
    grants: Sequence[Granted]
    only_contacts: bool
    enrolling: Enrolling | None
    rejects: RejectFile
    oldest: datetime | None
    """What happened before this instant is too old to start anything; None where nothing is."""
    unread: UnreadNames
    values: MisfitValues = field(default_factory=MisfitValues)
    stored: Stored = field(default_factory=Stored)
    consents: int = 0
    too_old: int = 0
    old_names: set[str] = field(default_factory=set)
    unknown_messages: int = 0
    unheeded: int = 0
    first_unknown: list[Arrival] = field(default_factory=list)
    strangers: dict[str, None] = field(default_factory=dict)

    def take(self, portion: Sequence[Arrival | Rejected]) -> None:
        """Store ``portion`` in a transaction, and count what became of it once that is committed."""
        arrivals: list[Arrival] = []
        given: list[Arrival] = []
        for item in portion:
            if isinstance(item, Rejected):
                continue
            self._look(item)
            if item.name == IDENTIFIED:
                given.extend(_consents(item, self.grants))
            # A consent of a contact's row is no line of its own.
            (given if self.only_contacts and item.name == CONSENT_GRANTED else arrivals).append(item)
        deployment = self.database.deployment
        with self.database.begin() as connection:
            if self.enrolling is not None:
                arrivals, unknown = self.enrolling.known(connection, deployment, arrivals)
                self.strangers.update(unknown)
            of_contacts, of_nobody = without_strangers(connection, deployment, arrivals)
            told, of_no_message = with_messages(connection, deployment, of_contacts)
            store = partial(
                store_events, connection, deployment, received_at=self.received_at, pending=self.pending
            )
            stored, recorded = store(told), store(given)
        self.stored += stored
        self.consents += recorded.new
        self.unknown_messages += len(of_no_message)
        self.unheeded += sum(each.name in FEEDBACK for each in of_no_message)
        self.first_unknown += of_no_message[: FIRST_SHOWN - len(self.first_unknown)]
        bad = [item for item in portion if isinstance(item, Rejected)]
        self.rejects.take(sorted([*bad, *of_nobody], key=lambda each: each.line))

    def _look(self, arrival: Arrival) -> None:
        self.values.look(arrival)
        self.unread.look(arrival)
        if self.oldest is not None and arrival.name not in _NO_EVENTS and arrival.at < self.oldest:
            self.too_old += 1
            self.old_names.add(arrival.name)

    def told(self, catalog: Catalog) -> Imported:
        """What became of the file."""
        return Imported(
            stored=self.stored,
            consents=self.consents,
            rejected_lines=self.rejects.count,
            misfits=self.values.told(),
            unread=self.unread.told(),
            too_old=self.too_old,
            turned_since=tuple(_turned_by_time(catalog, self.old_names)),
            unknown_messages=self.unknown_messages,
            unheeded=self.unheeded,
            first_unknown=tuple(self.first_unknown),
            strangers=self.strangers,
            rejections=tuple(self.rejects.first),
            reject_file=self.rejects.path if self.rejects.count else None,
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

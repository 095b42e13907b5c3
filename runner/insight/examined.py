"""A deployment as it was found: everything that ``doctor.py`` judges, measured or handed in, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from runner.engine.versions import Version, Versions, load_versions
from runner.journey.catalog import ASKED_BY_CALL
from runner.journey.graph import Program
from runner.journey.model import AdAudience, Call, Delivery, HandOff, Send
from runner.journey.pools import drawn_from
from runner.journey.template_reads import members_read
from runner.problem import JourneysError, Problem
from runner.store.audit import lived_virtually
from runner.store.database import Database
from runner.store.journeys.versions import current_versions
from runner.store.local_time.zones import outdated_zones
from runner.store.migrations import Standing, revision_of, revisions
from runner.store.sending.pools import empty_pools
from runner.store.tables import JourneyState
from runner.store.watching import examination
from runner.store.watching.examination import Halted, Holder, Runner, SetAside, StandingRuns, Waiting
from runner.store.watching.vital_signs import VitalSigns, database_clock, read_vital_signs

EXAMPLES = 3
"""How many of those who are concerned are named."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the database said.

    ``revision`` is that of its schema, ``newest`` the newest that this software knows. ``clock_ahead``: how far this
    machine's clock is before the database's; negative where it is behind. ``moved``: of the partitions where something
    lagged, those in which the oldest work had changed after ``watched``. ``held``: the partitions that somebody held.
    ``versions`` is None where the stored ones cannot be read, for the reason in ``unreadable``. ``anybody_else``:
    whether software of ours is connected, where the database can tell. ``empty_pools``: those without a value left, by
    name, with the journeys that draw from them and are in force.
    """

    revision: str = ""
    newest: str = ""
    dialect: str = "sqlite"
    server_version: int | None = None
    journal_mode: str | None = None
    clock_ahead: timedelta = timedelta()
    virtual: bool = False
    signs: VitalSigns
    watched: timedelta = timedelta()
    moved: frozenset[int] = frozenset()
    held: frozenset[int] = frozenset()
    holders: tuple[Holder, ...] = ()
    runners: tuple[Runner, ...] = ()
    anybody_else: bool | None = None
    waiting: tuple[Waiting, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    standing_runs: tuple[StandingRuns, ...] = ()
    halted: tuple[Halted, ...] = ()
    empty_pools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    links: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Those that live messages carry, by journey."""
    outdated_zones: tuple[str, ...] = ()
    in_force: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[int, Program] = field(default_factory=dict)
    versions: Versions | None = None
    unreadable: str | None = None


@dataclass(frozen=True, kw_only=True)
class Disk:
    """The file system that holds ``what`` (the database, the outbox of a channel), in bytes."""

    what: str
    path: Path
    free: int


@dataclass(frozen=True, kw_only=True)
class CheckedChannel:
    """A channel that journeys in use send through. ``wrong_settings`` and ``unreachable`` say what is the matter, None
    where nothing is. ``sender``: whether the catalog names a sender address, and ``sender_domain`` its domain;
    ``signing``: the domains that sign (DKIM); both as the DNS has them. ``line``: where journeys.yaml sets the channel,
    and ``option`` of it, which ``wrong_settings`` is about; None where it does not."""

    name: str
    transport: str
    journeys: tuple[str, ...]
    sender: bool = True
    sender_domain: str | None = None
    signing: tuple[str, ...] = ()
    line: int | None = None
    option: str | None = None
    wrong_settings: str | None = None
    unreachable: str | None = None


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A deployment. What could not be looked at, because something before it is wrong, is None or empty.

    ``settings``: what is wrong with them; ``without_settings``: a database was named, and there are none here.
    ``unreachable``: why the database cannot be opened; ``standing``: how it stands to this software where it can.
    ``missing_tables`` and ``not_writable`` (tables, or paths of a SQLite file) make it unfit for a runner.
    ``late``: how long something may be due before it lags. ``on_disk``: the journeys of the project by the hashes of
    their versions.
    """

    settings: tuple[Problem, ...] = ()
    without_settings: bool = False
    database: str = ""
    unreachable: str | None = None
    standing: Standing = Standing.CURRENT
    too_new: str | None = None
    missing_tables: tuple[str, ...] = ()
    not_writable: tuple[str, ...] = ()
    measured: Measured | None = None
    late: timedelta = timedelta(minutes=1)
    channels: tuple[CheckedChannel, ...] = ()
    disks: tuple[Disk, ...] = ()
    on_disk: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Watch:
    """How to see whether something moves: ``pause`` waits until the next look, ``looks`` times at most; ``clock``
    answers the present, aware, in UTC."""

    clock: Callable[[], datetime]
    pause: Callable[[], None]
    looks: int


def sent_through(versions: Versions) -> dict[str, tuple[str, ...]]:
    """The journeys in use that send through each channel, by its name."""
    users: dict[str, set[str]] = {}
    for version in versions:
        for node in version.program.nodes:
            if isinstance(node.verb, Send | HandOff | AdAudience | Call):
                channel = ASKED_BY_CALL if isinstance(node.verb, Call) else node.verb.channel
                users.setdefault(channel, set()).add(version.journey.name)
    return {channel: tuple(sorted(journeys)) for channel, journeys in sorted(users.items())}


def measure(database: Database, late: timedelta, watch: Watch) -> Measured:
    """Ask ``database`` everything. Where something has been due for longer than ``late``, look again until all that
    lags has moved, or ``watch.looks`` times."""
    measured = replace(_at_once(database, watch.clock()), clock_ahead=_clock_ahead(database, watch.clock))
    now = measured.signs.at
    lagging = frozenset() if measured.virtual else lagging_partitions(measured.signs, late)
    if not lagging:
        return measured
    moved, until = _watched(database, lagging, watch)
    measured = replace(measured, moved=moved, watched=until - now)
    stuck = lagging - moved
    if not stuck:
        return measured
    held = examination.held_partitions(database)
    worst = max(stuck, key=lambda number: measured.signs.partitions[number].lag(now))
    with database.read() as connection:
        return replace(
            measured,
            held=held,
            holders=examination.holders(connection) if held else (),
            waiting=examination.longest_waiting(connection, worst, now, EXAMPLES),
        )


def _links(entered: Iterable[Version]) -> Mapping[str, tuple[str, ...]]:
    """The links by which readers steer that messages of these versions carry, where they really are sent."""
    found: dict[str, tuple[str, ...]] = {}
    for version in entered:
        journey = version.journey
        if journey.links and journey.delivery is Delivery.LIVE:
            read = members_read(version.templates, "links")
            carried = [link.name for link in journey.links if read is None or link.name in read]
            if carried:
                found[journey.name] = tuple(carried)
    return dict(sorted(found.items()))


def _at_once(database: Database, now: datetime) -> Measured:
    """What one look tells."""
    versions, unreadable = _versions(database)
    entered = [
        each
        for each in (versions.current.values() if versions else ())
        if each.state is not JourneyState.STOPPED
    ]
    draws = drawn_from(each.journey for each in entered)
    with database.read() as connection:
        return Measured(
            dialect=database.dialect,
            revision=revision_of(connection) or "",
            newest=revisions()[-1].id,
            server_version=examination.server_version(connection),
            journal_mode=examination.journal_mode(connection),
            virtual=lived_virtually(connection),
            signs=read_vital_signs(connection, now),
            anybody_else=examination.anybody_else(connection),
            runners=examination.runners(connection, database.deployment),
            set_aside=examination.set_aside(connection, EXAMPLES),
            standing_runs=examination.standing_runs(connection),
            halted=examination.halted(connection),
            empty_pools={pool: draws[pool] for pool in empty_pools(connection, draws)},
            links=_links(entered),
            outdated_zones=outdated_zones(connection),
            in_force={version.journey: version.hash for version in current_versions(connection)},
            programs={version.id: version.program for version in versions or ()},
            versions=versions,
            unreadable=unreadable,
        )


def _clock_ahead(database: Database, clock: Callable[[], datetime]) -> timedelta:
    """How far ``clock`` is before the database's, which is read halfway between two looks at it."""
    if database.dialect == "sqlite":
        return timedelta()
    with database.read() as connection:
        before, there, after = clock(), database_clock(connection), clock()
    return before + (after - before) / 2 - there


def lagging_partitions(signs: VitalSigns, late: timedelta) -> frozenset[int]:
    """The partitions in which something has been due for longer than ``late``."""
    return frozenset(one.partition for one in signs.partitions if one.lag(signs.at) > late)


def _watched(database: Database, lagging: frozenset[int], watch: Watch) -> tuple[frozenset[int], datetime]:
    """Which of the ``lagging`` partitions move, and when that was known."""
    first: dict[int, tuple[int | None, ...]] | None = None
    moved: frozenset[int] = frozenset()
    looks = 0
    while True:
        now = watch.clock()
        with database.read() as connection:
            heads = examination.heads(connection, now)
        first = first or heads
        moved |= {number for number in lagging if heads[number] != first[number]}
        looks += 1
        if moved == lagging or looks > watch.looks:
            return moved, now
        watch.pause()


def _versions(database: Database) -> tuple[Versions | None, str | None]:
    try:
        return load_versions(database), None
    except JourneysError as error:
        return None, str(error)

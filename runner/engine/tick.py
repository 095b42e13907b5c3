"""A tick: everybody's next instant, again and again, until nothing is due."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from runner.engine.advance import Passes, advance
from runner.engine.lateness import LATE_AFTER
from runner.engine.receive import receive
from runner.engine.timed import Prepared, prepare
from runner.engine.versions import Versions
from runner.journey.catalog import IDENTIFIED
from runner.store.causes.announce import MOST_AT_ONCE, break_circles
from runner.store.causes.begun import begin_watching, partitions_to_begin
from runner.store.database import Database
from runner.store.journeys.in_force import in_force
from runner.store.local_time.zones import ensure_zones
from runner.store.passes.colleagues import bring_colleagues, hold_back
from runner.store.passes.misplaced import leave_misplaced
from runner.store.passes.timeline import (
    begin_batch,
    fire_timers,
    names_in_pass,
    take,
)
from runner.store.passes.timers import fire_due
from runner.store.passes.told import store_told, take_told, unstored
from runner.store.passes.working import empty_working_tables, prepare_session, steady_plans
from runner.store.people.moves import move_misplaced
from runner.store.statement import Connection
from runner.store.work.partitions import Work, hold_partitions, look_for_work
from runner.store.work.wake import tell_ready

logger = logging.getLogger(__name__)

_ALWAYS = datetime(1900, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How a tick deals with time and with size. Sizes change nothing in what happens to anybody.

    ``late_after``: a run overdue by more than that goes on after all stored events of its contact, at ``now``.
    ``event_max_age``: an older event may end runs, never start or wake them. None for both is virtual time, in which
    nothing is late and a message is handed over at the instant that lets it go. ``partitions``: how many a tick
    takes at most; None is as many as fill a batch.
    """

    late_after: timedelta | None = LATE_AFTER
    event_max_age: timedelta | None = timedelta(hours=24)
    contacts: int = 20_000
    partitions: int | None = None
    # On PostgreSQL each pass of one transaction leaves dead index rows behind that every later one must step over.
    passes: int = 6

    @property
    def exact(self) -> bool:
        return self.late_after is None


LIVE = Pace()
EXACT = Pace(late_after=None, event_max_age=None)


@dataclass(frozen=True, kw_only=True)
class Ticked:
    """``more``: something may still be due; tick again. ``outdated``: nothing was done, since other versions are in
    force by now; load them and tick again. ``last``: the last partition that was taken; the next tick goes on behind
    it."""

    contacts: int
    passes: int
    more: bool
    outdated: bool = False
    last: int = -1


class OutdatedError(Exception):
    """Other versions are in force than those that the tick was given."""


def tick(
    database: Database, versions: Versions, now: datetime, pace: Pace = LIVE, *, after: int = -1
) -> Ticked:
    """Handle what is due at ``now`` for one batch of contacts, in one transaction.

    Partitions behind ``after`` have their turn first. Those that another runner holds are left to it. Where nothing is
    due nothing is written or locked. Raises ValueError for a naive ``now``.
    """
    if now.tzinfo is None:
        raise ValueError("`now` must carry its time zone")
    work, begins = look(database, versions, now, after)
    apart = database.deployment.partitions > 1
    # Before their next event, so that it sees those with whom they share an account from now on.
    if work.misplaced and pace.partitions != 1 and move_misplaced(database, work.misplaced, now):
        return Ticked(contacts=0, passes=0, more=True, last=after)
    found = (*work.partitions, *(partition for partition in begins if partition not in work.partitions))
    if not found:
        return Ticked(contacts=0, passes=0, more=False, last=after)
    try:
        with database.begin() as connection:
            steady_plans(connection)
            partitions = hold_partitions(connection, found, now, size=pace.contacts, most=pace.partitions)
            if not partitions:
                return Ticked(contacts=0, passes=0, more=False, last=after)
            passes, late_before = passes_of(connection, versions, now, pace)
            prepared = bring_due(passes, partitions, begins, pace, of_all=database.deployment.partitions)
            in_turn = pace.exact and versions.look_at_colleagues
            begun = unstored(connection)
            if prepared.whole:
                begun += begin_batch(connection, partitions, now, pace.contacts)
                # At ticks that keep up nobody is far ahead of anybody.
                if in_turn:
                    begun += bring_colleagues(connection, now, pace.contacts)
            n, contacts, stay = 1, 0, not prepared.whole
            while (
                begun
                and n <= pace.passes
                and (taken := _take(passes, prepared, n, pace.contacts, in_turn=in_turn))
            ):
                contacts = max(contacts, taken)
                names = handle(passes, n)
                moving = apart and (IDENTIFIED in names or versions.write_accounts)
                if moving and leave_misplaced(connection, n):
                    # What they have been told comes after they have been moved, too.
                    store_told(connection)
                    stay = True
                n += 1
            store_told(connection)
            # Those without events, once at least: when a batch was full, the next tick goes on behind it.
            fired = 0
            while not stay and not in_turn and fired < pace.contacts and (n <= pace.passes or not fired):
                n += 1
                moved = fire_due(connection, n, partitions, now, late_before, pace.contacts)
                if not moved:
                    break
                _agree(passes)
                advance(passes, n)
                store_told(connection)
                fired += moved
            if not contacts and not fired:
                _agree(passes)
            elif not pace.exact:
                tell_ready(connection, database.deployment, now)
    except OutdatedError:
        return Ticked(contacts=0, passes=0, more=False, outdated=True, last=after)
    # Whom time has told something may have a timer before that: it is stored by now, and the next tick takes both.
    more = bool(begun or contacts or fired or begins or prepared.some)
    last = partitions[-1] if prepared.whole or pace.exact else after
    return Ticked(contacts=contacts + fired, passes=n - 1, more=more, last=last)


def _take(passes: Passes, prepared: Prepared, n: int, size: int, *, in_turn: bool) -> int:
    """The instants of pass ``n``: everybody's next, or, until all that time brings has become events, of those alone
    whose next is surely known. ``in_turn``: of those who share an account only what comes first."""
    connection, now, late_before = passes.connection, passes.now, passes.late_before
    if prepared.whole:
        taken = take(connection, n, now, late_before, size)
        if in_turn:
            hold_back(connection, n)
        return taken
    if in_turn or not prepared.sole:
        return 0
    return take_told(connection, n, now, late_before, size, alone=True)


def look(database: Database, versions: Versions, now: datetime, after: int) -> tuple[Work, tuple[int, ...]]:
    """Where something is due at ``now``, and the partitions whose contacts have yet to be looked at for what is
    watched."""
    with database.read() as connection:
        steady_plans(connection)
        return look_for_work(connection, now, after=after), _to_begin(connection, versions)


def bring_due(
    passes: Passes,
    partitions: tuple[int, ...],
    begins: tuple[int, ...],
    pace: Pace,
    *,
    of_all: int,
    asks: bool = True,
) -> Prepared:
    """What comes before any instant of the ``partitions``, which are held: their contacts are looked at for what is
    watched, where ``begins`` says that some were not, and what is due by now is told, to be taken or stored.

    ``asks`` as ``Passes.asks``; where it is not set, those are passed over who cannot be looked at.

    Raises OutdatedError where the versions are no longer those in force.
    """
    _agree(passes)
    if begins:
        _begin_watching(passes, partitions, exact=pace.exact, narrowly=not asks)
        _agree(passes)
    return prepare(replace(passes, asks=asks), partitions, pace.contacts, of_all=of_all)


def _begin_watching(passes: Passes, partitions: tuple[int, ...], *, exact: bool, narrowly: bool) -> None:
    watched = passes.versions.watched
    for passed_over in begin_watching(
        passes.connection, partitions, watched, passes.now, exact=exact, narrowly=narrowly
    ):
        logger.error(
            "a contact cannot be looked at, and is passed over",
            extra={"contact": "/".join(map(str, passed_over))},
        )


def _to_begin(connection: Connection, versions: Versions) -> tuple[int, ...]:
    """The partitions whose contacts have not been looked at yet for what is watched. Once there are none, nobody asks
    again: with other journeys in force come other versions."""
    if versions.all_begun:
        return ()
    found = partitions_to_begin(connection, versions.watched)
    versions.all_begun = not found
    return found


def passes_of(
    connection: Connection, versions: Versions, now: datetime, pace: Pace
) -> tuple[Passes, datetime]:
    """Make the connection ready for passes at ``now``. Answers what those of one transaction share, and from when on
    back a timer is late."""
    prepare_session(connection, versions.ways)
    empty_working_tables(connection)
    ensure_zones(connection, versions.zones)
    late_before = now - pace.late_after if pace.late_after is not None else _ALWAYS
    event_floor = now - pace.event_max_age if pace.event_max_age is not None else _ALWAYS
    passes = Passes(
        connection=connection,
        versions=versions,
        exact=pace.exact,
        event_floor=event_floor,
        now=now,
        late_before=late_before,
    )
    return passes, late_before


def _agree(passes: Passes) -> None:
    # Asked after the instants were taken: an event that was stored after an `apply` is never taken without it.
    if in_force(passes.connection) != passes.versions.in_force:
        raise OutdatedError


def handle(passes: Passes, n: int) -> frozenset[str]:
    """Handle the instants of pass ``n``; answers the names of its events.

    Raises OutdatedError where the versions are no longer those in force.
    """
    _agree(passes)
    names = names_in_pass(passes.connection, n)
    if passes.versions.copies.take_away_unheard(passes.connection, n, names):
        names = names_in_pass(passes.connection, n)
    if None in names:
        fire_timers(passes.connection, n)
    if max(names.values(), default=0) > MOST_AT_ONCE:
        break_circles(passes.connection, n)
    events = frozenset(name for name in names if name is not None)
    if events:
        receive(passes, n, events)
    advance(passes, n)
    return events

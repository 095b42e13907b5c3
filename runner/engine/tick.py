"""A tick: everybody's next instant, again and again, until nothing is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from runner.engine.advance import Passes, advance
from runner.engine.receive import receive
from runner.engine.versions import ANY_ZONE, Versions
from runner.store.database import Database
from runner.store.receive import load_zones_of_pass
from runner.store.timeline import begin_batch, fire_timers, lock_partitions_with_work, names_in_pass, take
from runner.store.working import empty_working_tables, forget_session, prepare_session, steady_plans
from runner.store.zones import ensure_zones, known_zones

_ALWAYS = datetime(1900, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How a tick deals with time and with size. Sizes change nothing in what happens to anybody.

    ``late_after``: a run overdue by more than that goes on after all stored events of its contact, at ``now``.
    ``event_max_age``: an older event may end runs, never start or wake them. None for both is virtual time, in which
    nothing is late and a message is handed over at the instant that lets it go.
    """

    late_after: timedelta | None = timedelta(minutes=5)
    event_max_age: timedelta | None = timedelta(hours=24)
    contacts: int = 20_000
    # On PostgreSQL each pass of one transaction leaves dead index rows behind that every later one must step over.
    passes: int = 6

    @property
    def exact(self) -> bool:
        return self.late_after is None


LIVE = Pace()
EXACT = Pace(late_after=None, event_max_age=None)


@dataclass(frozen=True, kw_only=True)
class Ticked:
    """``more``: something may still be due; tick again."""

    contacts: int
    passes: int
    more: bool


def tick(database: Database, versions: Versions, now: datetime, pace: Pace = LIVE) -> Ticked:
    """Handle what is due at ``now`` for one batch of contacts, in one transaction.

    Partitions that another runner holds are left to it. Raises ValueError for a naive ``now``.
    """
    if now.tzinfo is None:
        raise ValueError("`now` must carry its time zone")
    late_before = now - pace.late_after if pace.late_after is not None else _ALWAYS
    event_floor = now - pace.event_max_age if pace.event_max_age is not None else _ALWAYS
    with database.begin() as connection:
        partitions = lock_partitions_with_work(connection, now)
        if not partitions:
            return Ticked(contacts=0, passes=0, more=False)
        try:
            prepare_session(connection, versions.nodes)
            steady_plans(connection)
            empty_working_tables(connection)
            ensure_zones(connection, known_zones() if ANY_ZONE in versions.zones else versions.zones)
            contacts = begin_batch(connection, partitions, now, pace.contacts)
            load_zones_of_pass(connection, 0)
            passes = Passes(
                connection=connection, versions=versions, exact=pace.exact, event_floor=event_floor
            )
            n = 1
            while n <= pace.passes and take(connection, n, now, late_before):
                names = names_in_pass(connection, n)
                if None in names:
                    fire_timers(connection, n)
                events = names.keys() - {None}
                if events:
                    receive(passes, n, {name for name in events if name is not None})
                advance(passes, n)
                n += 1
        except BaseException:
            forget_session(connection)
            raise
    return Ticked(contacts=contacts, passes=n - 1, more=True)

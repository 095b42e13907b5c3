"""What a look costs when nothing is due: milliseconds of a tick with one journey in force and with 200, with few people
who wait for later and with many, and right after a burst of events.

    python -m benchmarks idle

On PostgreSQL the look after a burst hangs on who else reads: index entries of runs that have moved on are stepped
over in no time once nobody can see them any more. While a transaction from before is open (an ANALYZE, a backup) each
look asks the table about every run that was moved since: about a millisecond for a thousand.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from datetime import timedelta

from benchmarks import advance
from benchmarks.harness import KINDS, Figure, Limit, Scale, analyse, databases, processor_seconds
from runner.engine.tick import tick
from runner.engine.versions import load_versions
from runner.store.database import Database
from runner.store.journeys.in_force import in_force
from runner.store.work.wake import ready_messages

TICKS = 200
MOST = 5.0
"""Milliseconds."""


def measure(scale: Scale) -> Iterator[Figure]:
    waiting = scale.of(10_000, 300_000, 3_000_000)
    for kind in KINDS:
        with databases(kind) as make:
            for journeys in (1, 200):
                database = make()
                advance.fill(database, 1_000, journeys=journeys)
                yield from figures(database, f"idle look, {journeys} in force", 1_000)
            database = make()
            advance.fill(database, waiting)
            yield from figures(database, "idle look, many wait for later", waiting)
            if scale in (Scale.TRIAL, Scale.QUICK):
                continue
            advance.advance_with_engine(database, advance.START + timedelta(hours=1))
            yield from figures(database, "idle look, after as many were moved", waiting, hours=1)
            analyse(database)


def figures(database: Database, name: str, size: int, *, hours: int = 0) -> Iterator[Limit]:
    """Milliseconds of what an idle daemon does at a turn: what is in force, a tick, a look for messages. The median by
    the wall clock, which others on the machine slow down, and the mean of processor time, the server's included."""
    versions, now = load_versions(database), advance.START + timedelta(hours=hours)
    assert not tick(database, versions, now).more
    taken, cpu = [], processor_seconds(database)
    for _ in range(TICKS):
        begun = time.perf_counter()
        with database.read() as connection:
            in_force(connection)
        tick(database, versions, now)
        with database.read() as connection:
            ready_messages(connection, advance.START - timedelta(days=1), 200)
        taken.append((time.perf_counter() - begun) * 1000)
    cpu = (processor_seconds(database) - cpu) * 1000 / TICKS
    for kind, measured in (("ms", statistics.median(taken)), ("ms of processors", cpu)):
        yield Limit(name=name, database=database.dialect, size=size, measured=measured, unit=kind, limit=MOST)

"""How much faster two runners on one PostgreSQL move everybody on than one does.

Each runner is a process of its own that ticks until nothing is due; they are told nothing of each other. A runner
waits for its server process most of the time, so one keeps about one core busy, and two have two.

    python -m benchmarks sharing
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta

from benchmarks import advance
from benchmarks.harness import Figure, Row, Scale, databases
from runner.daemon.stage import REST
from runner.engine.tick import LIVE, tick
from runner.engine.versions import load_versions
from runner.store.database import Database
from runner.store.work.partitions import look_for_work

NOW = advance.START + timedelta(hours=1)


def measure(scale: Scale) -> Iterator[Figure]:
    """Contacts a second of two runners, beside those of one."""
    size = scale.of(120_000, 400_000)
    with databases("postgresql") as make:
        one, two = (moved_by(make(), size, runners) for runners in (1, 2))
    yield Row(
        name="two runners beside one",
        database="postgresql",
        size=size,
        per_second=two,
        floor_per_second=one,
        ratio=two / one,
    )


def moved_by(database: Database, size: int, runners: int) -> float:
    """Contacts a second that so many runners move on."""
    advance.fill(database, size)
    url = database.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "benchmarks.sharing", url]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(runners)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    begun = time.perf_counter()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    shares = [int(process.communicate()[0]) for process in started]
    taken = time.perf_counter() - begun
    advance.check(database, size)
    assert sum(shares) == size, shares
    return size / taken


def main(url: str) -> None:
    """Tick until nothing is due; prints how many contacts that were."""
    database = Database.open(url)
    versions, moved, last = load_versions(database), 0, os.getpid() % database.deployment.partitions
    print("ready", flush=True)
    sys.stdin.readline()
    while _something_due(database):
        ticked = tick(database, versions, NOW, LIVE, after=last)
        moved, last = moved + ticked.contacts, ticked.last
        if not ticked.contacts:
            time.sleep(REST)
    print(moved)


def _something_due(database: Database) -> bool:
    with database.read() as connection:
        return bool(look_for_work(connection, NOW).partitions)


if __name__ == "__main__":
    main(*sys.argv[1:])

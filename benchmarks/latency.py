"""How long an event takes from the call that stores it until its message reaches the channel, and how runners share.

A daemon in a process of its own, with a channel that only writes down who got a message and when; the events are
stored by this process. First on an idle system, one event at a time; then under a stream of 1,000 events a second, of
which one in twenty starts a journey and sends a message. Both clocks are this machine's.

    python -m benchmarks latency            the figures, in the table of all
"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks.harness import Figure, Limit, Scale, databases
from channels.base import Message, Result, Sent
from runner.clock import utc_now
from runner.daemon.daemon import Daemon, Pulse
from runner.daemon.process import stopping_on_signals
from runner.engine.apply import apply_project
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.people.events import store_events

CATALOG = """
timezone: UTC
locale: en
attributes: {}
events:
  Signed Up: {}
  Page Viewed: {}
topics:
  receipts: {title: Receipts, opt_in: none}
channels:
  push: {uses: file}
"""
JOURNEY = """
journey: greet
language: 1
title: Greet whoever signs up
topic: receipts
trigger: {event: Signed Up}
entry: {reentry: always}
steps:
  - id: hello
    send: {channel: push, template: hello}
"""
FILES = {
    "journeys/catalog.yaml": CATALOG,
    "journeys/greet/journey.yaml": JOURNEY,
    "journeys/greet/hello.txt": "Hello.\n",
}
PEOPLE = 10_000
RATE = 1_000
"""Events a second of the stream."""
TOGETHER = 20
"""Events of the stream that are stored in one transaction, one of which sends a message."""
IDLE_MEDIAN = 100.0
STREAM_P99 = 2_000.0
PATIENCE = 60.0
"""Seconds to wait for a message."""


def measure(scale: Scale) -> Iterator[Figure]:
    """Milliseconds on PostgreSQL."""
    alone, seconds = scale.of(20, 100), scale.of(3, 20)
    with databases("postgresql") as make:
        database = make()
        fill(database)
        arrivals = Path(str(database.engine.url.query.get("host") or "/tmp")).parent / "arrivals"
        arrivals.touch()
        with a_daemon(database, arrivals):
            idle = on_an_idle_system(database, arrivals, alone)
            stream = under_a_stream(database, arrivals, seconds)
        for name, found, limits in (
            ("latency, idle", idle, (IDLE_MEDIAN, None)),
            (f"latency, {RATE:,} events a second", stream, (None, STREAM_P99)),
        ):
            for part, share, limit in zip(("median", "p99"), (0.5, 0.99), limits, strict=True):
                yield Limit(
                    name=f"{name}, {part}",
                    database=database.dialect,
                    size=len(found),
                    measured=quantile(found, share),
                    unit="ms",
                    limit=limit,
                )


def quantile(found: list[float], share: float) -> float:
    """The smallest of ``found`` that so great a share of them does not exceed."""
    return sorted(found)[max(0, math.ceil(len(found) * share) - 1)]


def fill(database: Database) -> None:
    project = load_project(FILES)
    assert not project.problems, project.problems
    now = utc_now()
    apply_project(database, project, now=now - timedelta(days=1), author="bench", git_commit=None)
    with database.begin() as connection:
        first = [_arrival(person, "Page Viewed", now - timedelta(days=1), 0) for person in range(PEOPLE)]
        store_events(connection, database.deployment, first, pending=False, received_at=now)


def on_an_idle_system(database: Database, arrivals: Path, number: int) -> list[float]:
    """Store one event after the other, each when the message of the one before has come; milliseconds of each. The
    first finds everything cold and does not count."""
    found = []
    for person in range(number + 1):
        begun = time.time()
        store(database, [(person, "Signed Up")], person)
        found.append((wait_for(arrivals, {person})[person] - begun) * 1000)
        time.sleep(0.2)
    return found[1:]


def under_a_stream(database: Database, arrivals: Path, seconds: int) -> list[float]:
    """Milliseconds of each event that sends a message."""
    begun: dict[int, float] = {}
    start = time.monotonic()
    for batch in range(RATE // TOGETHER * seconds):
        time.sleep(max(0.0, start + batch * TOGETHER / RATE - time.monotonic()))
        person = PEOPLE // 2 + batch
        others = [((batch * TOGETHER + place) % (PEOPLE // 2), "Page Viewed") for place in range(1, TOGETHER)]
        begun[person] = time.time()
        store(database, [(person, "Signed Up"), *others], person)
    reached = wait_for(arrivals, set(begun))
    return [(reached[person] - at) * 1000 for person, at in begun.items()]


def store(database: Database, events: list[tuple[int, str]], number: int) -> None:
    now = utc_now()
    with database.begin() as connection:
        arriving = [_arrival(person, name, now, number) for person, name in events]
        store_events(connection, database.deployment, arriving, pending=True, received_at=now)


def _arrival(person: int, name: str, at: datetime, number: int) -> Arrival:
    return Arrival(
        contact=f"c{person}", name=name, at=at, properties={}, undeclared={}, dedup_key=f"{name} {number}"
    )


def wait_for(arrivals: Path, people: set[int]) -> dict[int, float]:
    """When the message of each of ``people`` came, in seconds since 1970."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        lines = [
            line.split() for line in arrivals.read_text().splitlines(keepends=True) if line.endswith("\n")
        ]
        reached = {int(person[1:]): float(at) for person, at in lines}
        if people <= reached.keys():
            return reached
        time.sleep(0.005)
    raise TimeoutError(f"{len(people - reached.keys())} messages did not come")


# The daemon --------------------------------------------------------------------------------------------------------


class Noting:
    """A channel that writes down who got a message, and when."""

    def __init__(self, arrivals: Path) -> None:
        self._file = arrivals.open("a", buffering=1)

    def send(self, message: Message) -> Result:
        self._file.write(f"{message.contact} {time.time()}\n")
        return Sent(None)

    def close(self) -> None:
        self._file.close()


@contextmanager
def a_daemon(database: Database, arrivals: Path) -> Iterator[None]:
    """A runner in a process of its own, told to stop at the end of the block."""
    url = database.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "benchmarks.latency", url, str(arrivals)]
    daemon = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == "ready\n"
        yield
    finally:
        daemon.terminate()
        daemon.wait(60)


def main(url: str, arrivals: str) -> int:
    database = Database.open(url)
    pulse = Pulse(every=timedelta(seconds=5), workers=2)
    daemon = Daemon(database, lambda _versions: {"push": Noting(Path(arrivals))}, pulse)
    print("ready", flush=True)
    with stopping_on_signals(daemon):
        return daemon.run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

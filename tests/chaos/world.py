"""What a campaign works on: a project, a database, a sink, a feeder, daemons; and the verdict when all is healed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select, update

from runner.clock import utc_now
from runner.store.database import Database
from runner.store.tables import MessageStatus, RunStatus, contact, message, run
from tests.chaos import project
from tests.chaos.processes import Running, acknowledged_batches, run_daemon, run_feeder, run_sink, start
from tests.chaos.project import Wanted
from tests.chaos.sink import Arrival, Manners, read_arrivals
from tests.servers import free_port

ENDED = "daemons that had ended and were started anew"
_BUGS = (
    "This is a bug",
    "PendingRollbackError",
    "AssertionError",
    "TypeError",
    "AttributeError",
    "KeyError",
)
FINAL = (MessageStatus.SENT, MessageStatus.UNKNOWN, MessageStatus.FAILED)
_ON_THE_WAY = (MessageStatus.READY, MessageStatus.CLAIMED, MessageStatus.SENDING)
LONGEST_REST = 60.0
"""Seconds without any progress after which what is not settled is stuck."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of the messages that an undisturbed run sends.

    ``lost``: neither arrived nor stand in the ledger as unknown, as refused, or as still to be sent. ``duplicated``:
    arrived more than once; a webhook that is called again with the same key does not count, and is ``called_again``.
    ``strange``: arrived, or stand in the ledger, and are none of those. ``unknown`` stand so in the ledger,
    ``unknown_arrived`` of them did arrive. ``stuck``: were not settled in time.
    """

    expected: int
    arrived: int
    lost: tuple[Wanted, ...]
    duplicated: tuple[Wanted, ...]
    strange: tuple[str, ...]
    unknown: int
    unknown_arrived: int
    refused: int
    called_again: int
    stuck: Mapping[str, int]

    @property
    def good(self) -> bool:
        return not (self.lost or self.duplicated or self.strange or self.stuck)


@dataclass(kw_only=True)
class World:
    """Everything of one campaign. ``urls`` are how each process reaches the database, ``database`` how we do."""

    folder: Path
    database: Database
    urls: Mapping[str, str]
    lease: str = "2s"
    pause: float = 0.03
    sink: Running
    daemons: dict[str, Running] = field(default_factory=dict)
    feeder: Running | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def acknowledged(self) -> int:
        """How many batches the feeder knows to be stored."""
        return acknowledged_batches(self.folder / "acknowledged")

    def arrivals(self) -> list[Arrival]:
        return read_arrivals(self.folder / "arrivals", self.folder / "outbox")

    def start_daemon(self, name: str) -> Running:
        arguments = (self.folder, self.urls[name], self.lease, self.environment)
        self.daemons[name] = start(self.folder / f"{name}.log", run_daemon, *arguments)
        return self.daemons[name]

    def start_feeder(self, until: int | None = None) -> Running:
        arguments = (self.urls["feeder"], self.folder / "acknowledged", self.pause, until)
        self.feeder = start(self.folder / "feeder.log", run_feeder, *arguments)
        return self.feeder

    def revive(self, counted: Counter[str]) -> None:
        """Start daemons anew that have ended, as whatever watches over them would; count those in ``counted``."""
        for name, daemon in list(self.daemons.items()):
            if not daemon.alive:
                counted[ENDED] += 1
                self.start_daemon(name)

    def hasten(self) -> None:
        """Make what waits for a later attempt due: nobody waits for half an hour here."""
        with self.database.begin() as connection:
            connection.execute(
                update(message)
                .where(message.c.status == MessageStatus.READY.value, message.c.available_at > utc_now())
                .values(available_at=utc_now())
            )

    def errors(self) -> list[str]:
        """What the processes said that nobody should have to read: bugs, and tracebacks of other than a database or a
        channel that was away."""
        found = []
        for log in sorted(self.folder.glob("*.log")):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            found += [f"{log.name}: {line[:300]}" for line in lines if any(word in line for word in _BUGS)]
        return found

    def sending(self) -> int:
        """How many messages are being handed over right now."""
        with self.database.read() as connection:
            rows = select(func.count()).where(message.c.status == MessageStatus.SENDING.value)
            return int(connection.execute(rows).scalar_one())

    def finish(self) -> Verdict:
        """End the feed, wait until everything is settled, and compare. All faults must be healed by now."""
        if self.feeder is not None:
            self.feeder.kill()
        batches = self.acknowledged + 1
        last = self.start_feeder(until=batches)
        expected = project.undisturbed(batches, utc_now())
        wait_for(lambda: not last.alive, LONGEST_REST, every=0.02)
        stuck = self._settle(len(expected))
        for daemon in self.daemons.values():
            daemon.process.terminate()
        for daemon in self.daemons.values():
            daemon.process.join(30)
        return self._verdict(expected, stuck)

    def _settle(self, expected: int) -> dict[str, int]:
        """Wait until all is delivered. Answers what is not, by status, once nothing has moved for LONGEST_REST."""
        before: tuple[object, ...] = ()
        deadline = 0.0
        while True:
            self.hasten()
            self.revive(Counter())
            with self.database.read() as connection:
                counts: Counter[str] = Counter(dict(connection.execute(_COUNT_MESSAGES).tuples().all()))
                active = connection.execute(_COUNT_ACTIVE).scalar_one()
            settled = sum(counts[status.value] for status in FINAL)
            # Nobody orders for the people of the last batch: they wait.
            if active <= project.PEOPLE and settled == counts.total() >= expected:
                return {}
            now = (settled, counts.total(), active)
            if now != before:
                before, deadline = now, time.monotonic() + LONGEST_REST
            if time.monotonic() > deadline:
                stuck = {name: count for name, count in counts.items() if name not in FINAL}
                return {**stuck, "active runs": active, "missing": max(0, expected - counts.total())}
            time.sleep(0.1)

    def ledger(self) -> dict[Wanted, str]:
        """The state of each message."""
        rows = select(contact.c.key, message.c.step, message.c.channel, message.c.status).join(
            contact, (contact.c.partition == message.c.partition) & (contact.c.id == message.c.contact)
        )
        with self.database.read() as connection:
            return {
                project.wanted(row.key, row.step, row.channel): row.status for row in connection.execute(rows)
            }

    def _verdict(self, expected: list[Wanted], stuck: Mapping[str, int]) -> Verdict:
        ledger = self.ledger()
        keys: dict[Wanted, list[str]] = {}
        for arrival in self.arrivals():
            keys.setdefault(arrival.what, []).append(arrival.key)
        unknown = {what for what, status in ledger.items() if status == MessageStatus.UNKNOWN}
        refused = {what for what, status in ledger.items() if status == MessageStatus.FAILED}
        waiting = {what for what, status in ledger.items() if status in _ON_THE_WAY}
        twice = [
            what for what, found in keys.items() if len(found if what.channel != "hook" else set(found)) > 1
        ]
        strange = [f"arrived: {what}" for what in keys.keys() - set(expected)]
        strange += [f"in the ledger: {what}" for what in ledger.keys() - set(expected)]
        strange += [f"refused, but arrived: {what}" for what in refused & keys.keys()]
        return Verdict(
            expected=len(expected),
            arrived=len(keys.keys() & set(expected)),
            lost=tuple(sorted(set(expected) - keys.keys() - unknown - refused - waiting)),
            duplicated=tuple(sorted(twice)),
            strange=tuple(sorted(strange)),
            unknown=len(unknown),
            unknown_arrived=len(unknown & keys.keys()),
            refused=len(refused),
            called_again=sum(len(found) - 1 for what, found in keys.items() if what.channel == "hook"),
            stuck=stuck,
        )


_COUNT_MESSAGES = select(message.c.status, func.count()).group_by(message.c.status)
_COUNT_ACTIVE = select(func.count()).where(run.c.status == RunStatus.ACTIVE.value)


@contextmanager
def a_world(
    folder: Path,
    url: str,
    urls: Mapping[str, str] | None = None,
    *,
    manners: Manners | None = None,
    smtp_port: int | None = None,
    sink_port: int | None = None,
    timeout: float = 2.0,
    lease: str = "2s",
    pause: float = 0.03,
    environment: Mapping[str, str] | None = None,
) -> Iterator[World]:
    """A world in ``folder`` with the journey in force on the database at ``url``, and its sink. The runners reach SMTP
    at ``smtp_port`` and the sink listens at ``sink_port`` where a proxy is between them. Every process ends with it."""
    sink_port = sink_port or free_port()
    http_port = free_port()
    project.write_project(folder, smtp_port=smtp_port or sink_port, http_port=http_port, timeout=timeout)
    database = Database.open(url)
    project.apply(database, utc_now())
    arguments = (folder / "arrivals", manners or Manners(), sink_port, http_port)
    world = World(
        folder=folder,
        database=database,
        urls=urls or dict.fromkeys(("daemon_a", "daemon_b", "feeder"), url),
        sink=start(folder / "sink.log", run_sink, *arguments),
        lease=lease,
        pause=pause,
        environment=environment or {},
    )
    try:
        yield world
    finally:
        for each in (world.feeder, *world.daemons.values(), world.sink):
            if each is not None:
                each.kill()
        database.close()


def wait_for(condition: Callable[[], bool], seconds: float = 20.0, every: float = 0.005) -> bool:
    """Wait until ``condition`` holds; answers whether it did in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True

"""The daemon: one interval job a stage, signals, a watchdog.

APScheduler says when to look; what is due, and whose it is, the database knows. Its jobs are kept in memory, because
its SQL job store deletes a date job before it has run and stops for good at an exception.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from channels.base import Channel
from runner.clock import utc_now
from runner.daemon.batch import Batch
from runner.daemon.listener import listening
from runner.daemon.log_aside import log_is_out
from runner.daemon.observe.metrics import Metrics
from runner.daemon.opened import Open, close
from runner.daemon.renewing import renewing
from runner.daemon.stage import Stage
from runner.engine.deliver import LEASE, Delivered, Delivery
from runner.engine.doubt import resend_unknown
from runner.engine.experiments import move_traffic
from runner.engine.poison import tick_past_poison
from runner.engine.recover import recover
from runner.engine.tick import LIVE, Pace
from runner.engine.versions import Versions, load_versions
from runner.problem import JourneysError
from runner.store.database import Database
from runner.store.journeys.in_force import InForce, in_force
from runner.store.work.partitions import FEW
from runner.store.work.wake import Work, ready_messages

logger = logging.getLogger(__name__)

STALLED = timedelta(minutes=10)
"""A stage without a sign of life for that long has hung: the process ends, and whatever watches it starts another."""
STALLED_EXIT = 70

FAREWELL = 5.0
"""Seconds that whoever listens to the database gets to hang up."""


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """How the daemon keeps time. ``every``: how often each stage looks for work; ``grace``: how long it may finish what
    is being sent when told to stop; ``lease``: how long a message is held without a sign of life; ``workers``: over how
    many connections a process delivers at a time; ``processes``: how many others deliver in its stead, 0 where it does
    so itself; ``ticks``: whether it does anything beside delivering; ``recipients``: to whom alone messages go."""

    every: timedelta = timedelta(seconds=1)
    grace: timedelta = timedelta(seconds=30)
    lease: timedelta = LEASE
    workers: int = 1
    processes: int = 0
    pace: Pace = LIVE
    ticks: bool = True
    recipients: frozenset[str] | None = None


class Daemon:
    """Runs what was applied to ``database`` until it is told to stop. ``clock`` answers the present, aware, in UTC."""

    def __init__(
        self,
        database: Database,
        open_channels: Open,
        pulse: Pulse,
        *,
        clock: Callable[[], datetime] = utc_now,
        stalled: timedelta = STALLED,
        metrics: Metrics | None = None,
    ) -> None:
        self._database = database
        self._open = open_channels
        self._pulse = pulse
        self._clock = clock
        self._stalled = stalled
        self._metrics = metrics or Metrics(clock=clock)
        self._stopping = threading.Event()
        self._reloading = threading.Lock()
        self._known: InForce | None = None
        self._asked = -math.inf
        # Each runner begins with another partition, and goes on behind the ones that it had.
        self._last = os.getpid() % database.deployment.partitions
        self._in_vain = 0
        self._versions: Versions | None = None
        self._delivery: Delivery | None = None
        self._opened_for: Versions | None = None
        self._batch = Batch()
        # Channels are used by one thread at a time; recovery has connections of its own.
        self._keepers: Mapping[str, Channel] = {}
        self._keepers_for: Versions | None = None
        self._ticking = Stage("tick", self._tick, self._stopping, pulse.every)
        self._delivering = Stage(
            f"deliver {os.getpid()}/1", self._deliver, self._stopping, pulse.every, held_up=self._held_up
        )
        housekeeping = Stage("housekeeping", self._keep_house, self._stopping, pulse.lease / 4)
        delivering = (self._delivering,) if pulse.workers and not pulse.processes else ()
        self.stages: Sequence[Stage] = (
            (self._ticking, *delivering, housekeeping) if pulse.ticks else delivering
        )

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    def wake(self, work: Work) -> None:
        """Have it look for ``work`` now instead of at the next turn. May be called from any thread."""
        if work is Work.DUE:
            self._ticking.wake()
        else:
            self._wake_delivery()

    def _wake_delivery(self) -> None:
        self._delivering.wake()
        if self._delivery is not None:
            self._delivery.lines.nudge()

    def stop(self) -> None:
        """Have ``run`` finish what is being sent, and return. May be called from a signal handler and any thread."""
        self._stopping.set()
        if self._delivery is not None:
            self._delivery.lines.nudge()

    def run(self) -> int:
        """Run until ``stop``. Answers the exit code: 0, or 1 where something was still on its way after the grace."""
        scheduler = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": {"type": "threadpool", "max_workers": len(self.stages) + 1}},
            timezone=UTC,
        )
        # The scheduler lives by the machine's clock, whatever `clock` says: from a first run in the past it would count
        # through every one that it missed.
        for stage in self.stages:
            scheduler.add_job(
                stage.run,
                "interval",
                seconds=max(stage.every.total_seconds(), 0.01),
                next_run_time=utc_now(),
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
            )
            # A job of its own each time: the scheduler drops what would run a job that is running.
            stage.woken_by(partial(scheduler.add_job, stage.run, misfire_grace_time=None))
        processes = self._pulse.processes
        beside = {"processes": processes} if processes else {}
        workers = self._pulse.workers * max(1, processes)
        logger.info("started", extra={"database": self._database.dialect, **beside, "workers": workers})
        scheduler.start()
        listener = threading.Thread(
            target=listening, args=(self._database, self.wake, self._stopping), name="listener", daemon=True
        )
        listener.start()
        with renewing(self._renew, self._pulse.lease):
            try:
                while not self._stopping.wait(1.0):
                    self._watch()
            finally:
                self._stopping.set()
                for stage in self.stages:
                    stage.woken_by(None)
                scheduler.remove_all_jobs()
                code = self._finish()
                listener.join(FAREWELL)
                scheduler.shutdown(wait=False)
        logger.info("stopped")
        return code

    def _watch(self) -> None:
        """End the process if a stage has hung: a daemon that seems to run and does nothing is the worst of all."""
        for stage in self.stages:
            if stage.silent_for() > self._stalled + stage.every:
                logger.critical(
                    "a stage has hung; the process ends so that it can be started anew",
                    extra={"stage": stage.name},
                )
                log_is_out()
                os._exit(STALLED_EXIT)

    def _finish(self) -> int:
        """Wait, for the grace at most, until every stage is done with what it was doing."""
        deadline = time.monotonic() + self._pulse.grace.total_seconds()
        late = [
            stage.name for stage in self.stages if not stage.idle.wait(max(0.0, deadline - time.monotonic()))
        ]
        if late:
            logger.error("still at work after the grace", extra={"stages": late})
            return 1
        close(self._keepers)
        return 0 if self._delivery is None or self._finish_delivery(self._delivery, deadline) else 1

    def _finish_delivery(self, delivery: Delivery, deadline: float) -> bool:
        """Wait for what is on its way; whether all of it is written down."""
        try:
            self._told(delivery.finish(max(0.0, deadline - time.monotonic())))
        except JourneysError as error:
            logger.error("results could not be written", extra={"error": str(error)})
        delivery.lines.close()
        if delivery.lines.busy:
            logger.error("still at work after the grace", extra={"stages": [self._delivering.name]})
        return not delivery.pending

    def _current(self, *, fresh: bool = False) -> Versions:
        """The versions in use; read anew when what is in force has changed. Whether it has is asked once a turn of the
        stages, and where it must be ``fresh``."""
        with self._reloading:
            turn = time.monotonic() - self._asked < self._pulse.every.total_seconds()
            if self._versions is not None and turn and not fresh:
                return self._versions
            with self._database.read() as connection:
                found = in_force(connection)
            if self._versions is None or found != self._known:
                self._versions = load_versions(self._database, self._versions)
                self._known = found
                names = sorted(self._versions.current)
                said = (
                    "journeys in force" if names else "no journey is in force; `journeys apply` stores some"
                )
                logger.info(said, extra={"journeys": names})
            self._asked = time.monotonic()
            return self._versions

    def _tick(self) -> bool:
        versions, begun = self._current(), time.perf_counter()
        ticked = tick_past_poison(self._database, versions, self._clock(), self._pulse.pace, after=self._last)
        self._metrics.ticked(ticked, time.perf_counter() - begun)
        # Somebody else was quicker in those that it took: there may be others.
        taken_for_nothing = not ticked.contacts and ticked.last != self._last
        self._in_vain = self._in_vain + 1 if taken_for_nothing else 0
        self._last = ticked.last
        if ticked.outdated:
            self._current(fresh=True)
        if ticked.contacts:
            logger.info("ticked", extra={"contacts": ticked.contacts, "passes": ticked.passes})
            self._wake_delivery()
        return ticked.more or ticked.outdated or 0 < self._in_vain <= FEW

    def _deliver(self) -> bool:
        # Channels that cannot be opened are told before there is anything to send.
        delivery = self._delivering_for(self._current())
        now = self._clock()
        with self._database.read() as connection:
            waiting = ready_messages(connection, now, 1)
        if not waiting and not delivery.pending:
            return False
        versions = self._current(fresh=True)
        size, begun = self._batch.size, time.monotonic()
        delivered = self._delivering_for(versions).step(versions, now, limit=size)
        self._told(delivered)
        if delivered.claimed:
            self._batch.took(delivered.claimed, time.monotonic() - begun)
        return delivered.claimed == size or delivery.pending

    def _told(self, delivered: Delivered) -> None:
        self._metrics.delivered(delivered)
        if delivered != Delivered():
            logger.info("delivered", extra=_counts(delivered))

    def _renew(self) -> None:
        if self._delivery is not None:
            self._delivery.renew()

    def _held_up(self) -> timedelta:
        """How long a connection has been waiting for its other side."""
        return timedelta(seconds=self._delivery.lines.busy_for() if self._delivery else 0.0)

    def _keep_house(self) -> bool:
        versions, now = self._current(), self._clock()
        if self._keepers_for is not versions:
            opened = self._open(versions)
            close(self._keepers)
            self._keepers, self._keepers_for = opened, versions
        recovered = recover(self._database, self._keepers, now)
        self._metrics.recovered(recovered)
        if recovered != Delivered():
            logger.warning("recovered", extra=_counts(recovered))
        self._metrics.resent(resend_unknown(self._database, versions, now))
        move_traffic(self._database, versions, now)
        return False

    def _delivering_for(self, versions: Versions) -> Delivery:
        """What delivers, its channels opened anew when the versions have changed. Raises what opening raises, and keeps
        the old ones then."""
        if self._opened_for is not versions:
            opened = [self._open(versions) for _ in range(self._pulse.workers)]
            if self._delivery is None:
                self._delivery = Delivery(
                    self._database,
                    opened,
                    clock=self._clock,
                    lease=self._pulse.lease,
                    stopping=self._stopping.is_set,
                    recipients=self._pulse.recipients,
                )
            else:
                self._delivery.lines.use(opened)
            self._opened_for = versions
        assert self._delivery is not None
        return self._delivery


def _counts(delivered: Delivered) -> dict[str, int]:
    return {name: value for name, value in asdict(delivered).items() if value}

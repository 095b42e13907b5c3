"""One runner, as a process is one: what it has in memory is lost when it dies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from channels.base import Channel
from runner.engine.deliver import Delivered, Unrecorded, deliver
from runner.engine.recover import recover
from runner.engine.tick import LIVE, Pace, Ticked, tick
from runner.engine.versions import Versions, load_versions
from runner.store.database import Database
from runner.store.journeys.in_force import InForce, in_force


class Process:
    """The stages of the daemon over one database, each a step that is taken when told.

    ``compiled`` are versions that need not be compiled anew.
    """

    def __init__(
        self,
        database: Database,
        channels: Mapping[str, Channel],
        clock: Callable[[], datetime],
        *,
        pace: Pace = LIVE,
        batch: int = 200,
        compiled: Versions | None = None,
    ) -> None:
        self.database = database
        self._channels = channels
        self._clock = clock
        self._pace = pace
        self._batch = batch
        self._versions = compiled
        self._known: InForce | None = None
        self._unrecorded = Unrecorded()
        self._last = -1

    @property
    def versions(self) -> Versions | None:
        """The versions that it knows."""
        return self._versions

    def tick(self) -> Ticked:
        """Once through the partitions that have something due, from where the last one stopped."""
        ticked = tick(self.database, self._current(), self._clock(), self._pace, after=self._last)
        self._last = ticked.last
        return ticked

    def deliver(self) -> Delivered:
        versions = self._current()
        return deliver(
            self.database,
            versions,
            self._channels,
            self._clock(),
            limit=self._batch,
            clock=self._clock,
            unrecorded=self._unrecorded,
        )

    def recover(self) -> Delivered:
        return recover(self.database, self._channels, self._clock())

    def _current(self) -> Versions:
        """The versions in use; read anew when what is in force has changed."""
        with self.database.read() as connection:
            found = in_force(connection)
        if self._versions is None or found != self._known:
            self._versions = load_versions(self.database, self._versions)
            self._known = found
        return self._versions

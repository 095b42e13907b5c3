"""A piece of work that is looked for again and again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from runner.problem import JourneysError

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 60.0
"""Seconds between two attempts of a stage that keeps failing."""
LONGEST_WAIT = 10.0
"""The same where it waits for what is known to come back, such as the database: work goes on soon after it has."""
REST = 0.05
"""Seconds that lie between two woken looks at least: what comes as a stream is taken up by the handful, and many
runners that are woken by one event do not ask the database without a break."""


class Stage:
    """A piece of work that is looked for again and again. ``step`` does one batch and answers whether there is more.

    A step that raises is logged, and tried again after a pause that doubles with each failure: the database may be
    away. One thread at a time works; a wake-up that comes meanwhile is not lost, it has the stage look once more.
    ``held_up``: for how long what it began in other threads has given no sign of life.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], bool],
        stopping: threading.Event,
        every: timedelta = timedelta(seconds=1),
        held_up: Callable[[], timedelta] = timedelta,
    ) -> None:
        self.name = name
        self.every = every
        """How long it rests between two looks."""
        self.idle = threading.Event()
        self.idle.set()
        self.worked = False
        """Whether it has done what it was to do at least once."""
        self.failure: str | None = None
        """Why the last attempt failed, without values of anybody; None where it did not."""
        self.failures = 0
        """How often it has failed."""
        self._step = step
        self._held_up = held_up
        self._stopping = stopping
        self._at_work = threading.Lock()
        self._wanted = False
        self._begin: Callable[[], object] | None = None
        self._failures = 0
        self._not_before = 0.0
        self._rested_at = 0.0
        self._beat = time.monotonic()

    def woken_by(self, begin: Callable[[], object] | None) -> None:
        """``begin`` has ``run`` called soon, in a thread of its own; None where nobody does."""
        self._begin = begin

    def wake(self) -> None:
        """There may be work: look now instead of at the next turn. May be called from any thread, at any time."""
        if not self._wanted:
            self._wanted = True
            if self._begin is not None:
                self._begin()

    def run(self) -> None:
        """Work until there is nothing more to do, and nobody has woken it meanwhile. Never raises: an exception would
        be lost in the scheduler."""
        self._wanted = True
        while self._wanted and not self._stopping.is_set():
            if not self._at_work.acquire(blocking=False):
                return  # whoever works looks at `_wanted` once more after letting go
            try:
                self._stopping.wait(max(0.0, self._rested_at - time.monotonic()))
                self._wanted = False
                self._work()
                self._rested_at = time.monotonic() + REST
            finally:
                self._at_work.release()

    def _work(self) -> None:
        self._beat = time.monotonic()
        if self._beat < self._not_before:
            return
        self.idle.clear()
        try:
            while not self._stopping.is_set() and self._step():
                self._worked_well()
            self._worked_well()
            self._failures = 0
        except Exception as error:
            foreseen = isinstance(error, JourneysError)
            pause = min(2.0**self._failures, LONGEST_WAIT if foreseen else LONGEST_PAUSE)
            self._failures += 1
            self.failures += 1
            self.failure = str(error) if foreseen else type(error).__name__
            self._not_before = time.monotonic() + pause
            logger.error(
                "a stage failed; it is tried again",
                extra={"stage": self.name, "pause_seconds": pause, "error": self.failure},
                exc_info=not foreseen,
            )
        finally:
            self._beat = time.monotonic()
            self.idle.set()

    def _worked_well(self) -> None:
        self._beat = time.monotonic()
        self.worked, self.failure = True, None

    def silent_for(self) -> timedelta:
        """How long ago the last sign of life was, or for how long what it has begun elsewhere has been held up."""
        return max(timedelta(seconds=time.monotonic() - self._beat), self._held_up())

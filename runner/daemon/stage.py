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


class Stage:
    """A piece of work that is looked for again and again. ``step`` does one batch and answers whether there is more.

    A step that raises is logged, and tried again after a pause that doubles with each failure: the database may be
    away.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], bool],
        stopping: threading.Event,
        every: timedelta = timedelta(seconds=1),
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
        self._stopping = stopping
        self._failures = 0
        self._not_before = 0.0
        self._beat = time.monotonic()

    def run(self) -> None:
        """Work until there is nothing more to do. Never raises: an exception would be lost in the scheduler."""
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
            pause = min(2.0**self._failures, LONGEST_PAUSE)
            self._failures += 1
            self.failures += 1
            self.failure = str(error) if isinstance(error, JourneysError) else type(error).__name__
            self._not_before = time.monotonic() + pause
            logger.exception(
                "a stage failed; it is tried again", extra={"stage": self.name, "pause_seconds": pause}
            )
        finally:
            self._beat = time.monotonic()
            self.idle.set()

    def _worked_well(self) -> None:
        self._beat = time.monotonic()
        self.worked, self.failure = True, None

    def silent_for(self) -> timedelta:
        """How long ago the last sign of life was."""
        return timedelta(seconds=time.monotonic() - self._beat)

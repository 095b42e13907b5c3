"""What was found out a moment ago: something that takes its time, and that many may ask at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Generic, TypeVar

Found = TypeVar("Found")


class Lately(Generic[Found]):
    """The answer of ``look``, at most ``fresh`` seconds old, or ``share`` times as old as it took to find out.

    One look at a time is under way, in a thread of its own, however many ask: a database that hangs holds up nobody
    longer than ``patience`` seconds, and does not hold up the end of the process.
    """

    def __init__(
        self, look: Callable[[], Found], *, fresh: float = 5.0, share: float = 0.0, patience: float = 3.0
    ) -> None:
        self._look = look
        self._fresh = fresh
        self._share = share
        self._patience = patience
        self._lock = threading.Lock()
        self._latest: Future[Found] | None = None
        self._stale_from = 0.0

    def ask(self) -> Found:
        """Raises TimeoutError where there is no answer within the patience, and what ``look`` raises."""
        with self._lock:
            if self._latest is None or (self._latest.done() and time.monotonic() >= self._stale_from):
                self._latest = Future()
                threading.Thread(target=self._find_out, args=(self._latest,), daemon=True).start()
            latest = self._latest
        try:
            return latest.result(self._patience)
        except FutureTimeoutError as error:
            if latest.done():
                raise
            raise TimeoutError(f"no answer within {self._patience:g} seconds") from error

    def _find_out(self, latest: Future[Found]) -> None:
        begun = time.monotonic()
        try:
            found = self._look()
        except BaseException as error:
            self._stale_from = time.monotonic() + self._fresh
            latest.set_exception(error)
        else:
            over = time.monotonic()
            self._stale_from = over + max(self._fresh, self._share * (over - begun))
            latest.set_result(found)

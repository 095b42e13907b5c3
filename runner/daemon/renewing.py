"""A sign of life for what is being handed over: its lease is renewed as long as its process lives.

A server may take longer to answer than a lease lasts. Whoever hands a message over waits meanwhile, so another thread
tells the database; it stops when the process stops, and the lease runs out for whoever recovers.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from runner.problem import JourneysError

logger = logging.getLogger(__name__)

FAREWELL = 5.0
"""Seconds that a renewal which waits for the database is waited for at the end."""


@contextmanager
def renewing(renew: Callable[[], None], lease: timedelta) -> Iterator[None]:
    """Call ``renew`` each quarter of the ``lease`` as long as the block lasts."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(lease.total_seconds() / 4):
            try:
                renew()
            except Exception as error:
                foreseen = isinstance(error, JourneysError)
                logger.warning(
                    "the lease of what is being handed over could not be renewed",
                    extra={"error": str(error) if foreseen else type(error).__name__},
                    exc_info=not foreseen,
                )

    thread = threading.Thread(target=work, name="renewing", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(FAREWELL)

"""A thread that hears from the database that there is work, and says so."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from runner.problem import JourneysError
from runner.store.database import Database
from runner.store.work.wake import Work, listen

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 60.0
"""Seconds between two attempts to listen, where that keeps failing."""


def listening(database: Database, heard: Callable[[Work], None], stopping: threading.Event) -> None:
    """Call ``heard`` with all that is told, until ``stopping``, on PostgreSQL. Never raises.

    When the connection is lost it listens anew, after a pause that doubles with each failure: until then whoever waits
    finds work by looking. Where work can be told only within the process, it returns at once.
    """
    if database.dialect != "postgresql":
        return
    failures = 0
    while not stopping.is_set():
        try:
            for work in listen(database, stopping.is_set):
                failures = 0
                heard(work)
        except JourneysError as error:
            pause = min(2.0**failures, LONGEST_PAUSE)
            failures += 1
            logger.warning(
                "not woken by the database; work is found by looking",
                extra={"error": str(error), "pause_seconds": pause},
            )
            stopping.wait(pause)
        except Exception:
            logger.exception("listening failed; work is found by looking")
            stopping.wait(LONGEST_PAUSE)

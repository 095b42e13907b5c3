"""A daemon that lives in a thread of the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from channels.base import Channel
from runner.daemon.daemon import Daemon, Pulse
from runner.store.database import Database
from tests.shop import START

QUICK = Pulse(every=timedelta(milliseconds=20))


@contextmanager
def living(
    database: Database,
    channel: Channel,
    *,
    workers: int = 1,
    lease: timedelta = QUICK.lease,
    clock: Callable[[], datetime] = lambda: START,
) -> Iterator[threading.Thread]:
    """The thread of a daemon on ``database`` that hands emails to ``channel``; it is stopped in the end."""
    pulse = replace(QUICK, workers=workers, lease=lease)
    daemon = Daemon(database, lambda versions: {"email": channel}, pulse, clock=clock)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        yield thread
    finally:
        daemon.stop()
        thread.join()

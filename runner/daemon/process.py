"""The signals that end a daemon."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from runner.daemon.daemon import Daemon


@contextmanager
def stopping_on_signals(daemon: Daemon) -> Iterator[None]:
    """SIGTERM and SIGINT stop the daemon in order; a second one ends the process at once."""
    told = False

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal told
        if told:
            os._exit(128 + number)
        told = True
        daemon.stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

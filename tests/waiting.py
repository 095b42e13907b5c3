"""Waiting for what other threads and processes do: for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 45


def until(holds: Callable[[], object]) -> None:
    """Wait until it holds; fails where it does not within ``SECONDS``."""
    last = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < last, "it did not come true"
        time.sleep(0.02)

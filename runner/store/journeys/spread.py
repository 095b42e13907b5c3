"""What is overdue all at once is released at a limited rate, the one that has waited longest first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, literal

from runner.store.types import Instant, constant, shifted

MINUTE = 60_000_000
"""µs."""


def released_at(now: datetime, place: ColumnElement[int], per_minute: int) -> ColumnElement[Any]:
    """When the one at ``place`` of those who wait, counted from 0, is released: the first at ``now``."""
    gap = max(1, MINUTE // per_minute)
    return shifted(literal(now, Instant()), place * constant(gap))


def last_released(now: datetime, count: int, per_minute: int) -> datetime:
    """When the last of ``count`` is released."""
    return now + timedelta(microseconds=max(1, MINUTE // per_minute) * max(0, count - 1))

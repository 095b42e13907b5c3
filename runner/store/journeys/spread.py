"""What is overdue all at once is released at a limited rate, the one that has waited longest first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, literal

from runner.store.types import Instant, constant, shifted

MINUTE = 60_000_000
"""µs."""


def released_at(begin: datetime, place: ColumnElement[int], per_minute: int) -> ColumnElement[Any]:
    """When the one at ``place`` of those who wait, counted from 0, is released: the first at ``begin``."""
    return shifted(literal(begin, Instant()), place * constant(_gap(per_minute)))


def last_released(begin: datetime, count: int, per_minute: int) -> datetime:
    """When the last of ``count`` is released, the first at ``begin``."""
    return begin + timedelta(microseconds=_gap(per_minute) * max(0, count - 1))


def after_last(last: datetime, per_minute: int) -> datetime:
    """When the next is released behind the one at ``last``."""
    return last + timedelta(microseconds=_gap(per_minute))


def _gap(per_minute: int) -> int:
    return max(1, MINUTE // per_minute)

"""Business hours: when people work, so that what they owe can be counted in their time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time


@dataclass(frozen=True, kw_only=True)
class BusinessHours:
    """From ``begins`` to ``ends``, of the same day, on ``days`` (0 is Monday), by the clock of ``timezone``."""

    name: str
    begins: time
    ends: time
    days: frozenset[int]
    timezone: str

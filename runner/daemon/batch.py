"""How many messages a worker claims together."""

from __future__ import annotations

from dataclasses import dataclass

FRESH = 5.0
"""Seconds within which a batch is to be handed over: consent, address and expiry are looked at when it is claimed."""
MOST = 200
FIRST = 8


@dataclass
class Batch:
    """Fits itself to the pace of the channels: a mail server that takes a second for each mail is given few at a time,
    so that nobody is written to by a consent that was withdrawn long ago."""

    size: int = FIRST

    def took(self, claimed: int, seconds: float) -> None:
        """Learn from a batch of so many messages that was handed over in so many seconds."""
        if seconds > FRESH:
            self.size = max(1, int(claimed * FRESH / seconds))
        elif claimed == self.size and seconds < FRESH / 2:
            self.size = min(2 * self.size, MOST)

"""Lengths of time as authors write them: ``90s 15m 2h 3d 1w 1h30m`` or ISO 8601 (``PT2H``)."""

from __future__ import annotations

import re
from dataclasses import dataclass

MICROSECONDS = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}
DAY = 86_400_000_000
"""Microseconds in a day of 24 hours."""

_SHORT = re.compile(r"(?P<sign>-?)(?:(?P<w>\d{1,6})w)?(?:(?P<d>\d{1,6})d)?(?:(?P<h>\d{1,6})h)?(?:(?P<m>\d{1,6})m)?(?:(?P<s>\d{1,9})s)?")
_ISO = re.compile(
    r"(?P<sign>-?)P(?:(?P<w>\d{1,6})W)?(?:(?P<d>\d{1,6})D)?(?:T(?:(?P<h>\d{1,6})H)?(?:(?P<m>\d{1,6})M)?(?:(?P<s>\d{1,9})S)?)?"
)


@dataclass(frozen=True)
class Duration:
    """``days`` calendar days, then ``microseconds`` of elapsed time; both carry the same sign.

    In ``wait`` and ``offset`` a day is a calendar day of the contact's zone; everywhere else it is 24 hours,
    which is what ``elapsed`` answers.
    """

    days: int = 0
    microseconds: int = 0

    @property
    def elapsed(self) -> int:
        """The length in microseconds, a day counted as 24 hours."""
        return self.days * DAY + self.microseconds


def parse_duration(text: str) -> Duration | None:
    """The duration that ``text`` writes, or None where it writes none (bare numbers, months and years write none)."""
    for pattern in (_SHORT, _ISO):
        match = pattern.fullmatch(text)
        if match and any(match[unit] for unit in "wdhms"):
            sign = -1 if match["sign"] else 1
            days = int(match["w"] or 0) * 7 + int(match["d"] or 0)
            elapsed = sum(int(match[unit] or 0) * size for unit, size in MICROSECONDS.items())
            return Duration(sign * days, sign * elapsed)
    return None

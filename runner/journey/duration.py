"""Lengths of time as authors write them: ``90s 15m 2h 3d 1w 1h30m`` or ISO 8601 (``PT2H``)."""

from __future__ import annotations

import re
from dataclasses import dataclass

MICROSECONDS = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}
DAY = 86_400_000_000
"""Microseconds in a day of 24 hours."""

_SHORT = re.compile(
    r"(?P<sign>-?)(?:(?P<w>\d{1,6})w)?(?:(?P<d>\d{1,6})d)?(?:(?P<h>\d{1,6})h)?(?:(?P<m>\d{1,6})m)?(?:(?P<s>\d{1,9})s)?"
)
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
    """The duration that ``text`` writes, or None (bare numbers, months and years are no durations)."""
    for pattern in (_SHORT, _ISO):
        match = pattern.fullmatch(text)
        if match and any(match[unit] for unit in "wdhms"):
            sign = -1 if match["sign"] else 1
            days = int(match["w"] or 0) * 7 + int(match["d"] or 0)
            elapsed = sum(int(match[unit] or 0) * size for unit, size in MICROSECONDS.items())
            return Duration(sign * days, sign * elapsed)
    return None


_WORDS = {"s": "s", "sec": "s", "m": "m", "min": "m", "minute": "m", "h": "h", "hr": "h", "hour": "h"}
_WORDS |= {"second": "s", "d": "d", "day": "d", "w": "w", "wk": "w", "week": "w"}
# A capital M stands for months, as it does in ISO 8601: nobody who means minutes is given 6 of them for half a year.
_ENDLESS = re.compile(
    r"-?\d+\s*(?:(?-i:M)|mo|mon|month|months|y|yr|yrs|year|years)|-?P\d+[MY].*", re.IGNORECASE
)
_SPELT = re.compile(r"(?P<count>-?\d{1,6})\s*(?P<unit>[A-Za-z]+?)s?")
_BESIDE = re.compile(
    r"(?P<length>\d.*?)\s+(?P<beside>before|earlier|ago|after|later|afterwards)", re.IGNORECASE
)
_SINGLE = {"second": "1s", "minute": "1m", "hour": "1h", "hourly": "1h", "day": "1d", "daily": "1d"}
_SINGLE |= {"week": "7d", "weekly": "7d"}
_PIECES = re.compile(r"\d{1,6}[wdhms]")


def length_meant(text: str) -> str | None:
    """What to write for ``1 hour`` or ``a week before``; None for a text that is meant as something else."""
    said = duration_trouble(text)[1]
    return said if re.fullmatch(r"Write -?\d+[wdhms]\.", said) else None


def duration_trouble(text: str) -> tuple[str, str]:
    """Why ``text`` is no duration, and what to write instead."""
    text = text.strip()
    shown = text if len(text) <= 40 else text[:40] + "…"
    if re.fullmatch(r"-?\d{1,9}", text):
        units = f"{text}s (seconds), {text}m (minutes), {text}h (hours) or {text}d (days)"
        return f"The duration `{shown}` has no unit.", f"Write {units}."
    if _ENDLESS.fullmatch(text):
        return f"`{shown}` has no fixed length: months and years differ.", "Write days or weeks: 30d, 52w."
    if re.search(r"\d[.,]\d", text):
        return f"The duration `{shown}` is not in whole numbers.", "Use a smaller unit as well: 1h30m."
    spelt = _SPELT.fullmatch(text)
    if spelt and spelt["unit"].lower() in _WORDS:
        return f"`{shown}` is no duration.", f"Write {spelt['count']}{_WORDS[spelt['unit'].lower()]}."
    beside = _BESIDE.fullmatch(text)
    length = beside["length"] if beside else ""
    spelt = _SPELT.fullmatch(length)
    if beside and spelt and spelt["unit"].lower() in _WORDS:
        sign = "-" if beside["beside"].lower() in ("before", "earlier", "ago") else ""
        return f"`{shown}` is no duration.", f"Write {sign}{spelt['count']}{_WORDS[spelt['unit'].lower()]}."
    if text.lower() in _SINGLE:
        return f"`{shown}` is no duration.", f"Write {_SINGLE[text.lower()]}."
    pieces = _PIECES.findall(text)
    if len(pieces) > 1 and "".join(pieces) == text.lstrip("-"):
        right = "".join(sorted(pieces, key=lambda piece: "wdhms".index(piece[-1])))
        return f"`{shown}` is no duration: each unit stands once, the larger first.", f"Write {right}."
    return f"`{shown}` is no duration.", "Write 90s, 15m, 2h, 3d, 1w, 1h30m, or ISO 8601 (PT2H)."

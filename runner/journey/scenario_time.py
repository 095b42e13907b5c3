"""Instants as people write them: in scenarios, and on the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from runner.journey.duration import parse_duration

FIRST = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime(9000, 1, 1, tzinfo=UTC)
"""Before and after these nothing is played: beyond them calendars end, and what follows an instant must be one, too."""


def read_played(text: str, start: datetime | None, zone: tzinfo) -> datetime:
    """As ``read_moment``, an instant at which something is played. Raises ValueError also where it is too far away."""
    instant = read_moment(text, start, zone)
    if not FIRST <= instant < LAST:
        raise ValueError(f"`{text}` is too far away: write an instant between {FIRST.year} and {LAST.year}.")
    return instant


def read_moment(text: str, start: datetime | None, zone: tzinfo) -> datetime:
    """The instant that ``text`` writes, aware, in UTC.

    It is a time after ``start`` (``90m``, ``-2d``; a day is 24 hours), where there is one, or ISO 8601;
    without an offset it is local time of ``zone``, the first where it occurs twice. Raises ValueError with
    what is wrong, as a sentence.
    """
    duration = parse_duration(text) if start is not None else None
    try:
        if start is not None and duration is not None:
            return start + timedelta(microseconds=duration.elapsed)
        written = datetime.fromisoformat(text)
        local = written if written.tzinfo else written.replace(tzinfo=zone)
        instant = local.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"`{text}` is too far away.") from None
    except ValueError:
        also = "a time after the start (90m, 2d) or " if start is not None else ""
        raise ValueError(f"`{text}` is not {also}an ISO 8601 instant (2026-03-01T10:00:00+04:00).") from None
    if written.tzinfo is None and instant.astimezone(zone).replace(tzinfo=None, fold=0) != written:
        raise ValueError(f"The clocks of {zone} never show `{text}`.")
    return instant

"""Lengths and stretches of time as options of commands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

LAST_YEAR = 9000
"""Waits that begin in virtual time must end before the year 10000."""


class LengthOfTime(click.ParamType[timedelta]):
    """``1s``, ``2m``, ``1h30m``."""

    name = "duration"

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        from runner.journey.duration import parse_duration

        if isinstance(value, timedelta):
            return value
        duration = parse_duration(value)
        if duration is None or duration.elapsed <= 0:
            self.fail(f"{value!r} is not a length of time; write 1s, 2m or 1h30m", param, ctx)
        return timedelta(microseconds=duration.elapsed)


class Stretch(click.ParamType[tuple[datetime, datetime]]):
    """``FROM..UNTIL``: two dates (midnight UTC) or instants."""

    name = "from..until"

    def convert(
        self, value: str | tuple[datetime, datetime], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[datetime, datetime]:
        if isinstance(value, tuple):
            return value
        begin, _, until = value.partition("..")
        try:
            stretch = (_instant(begin), _instant(until))
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not FROM..UNTIL, such as 2017-01-01..2018-01-01", param, ctx)
        if stretch[0] > stretch[1]:
            self.fail(f"{value!r} ends before it begins", param, ctx)
        if stretch[1].year > LAST_YEAR:
            self.fail(f"{value!r} ends after the year {LAST_YEAR}", param, ctx)
        return stretch


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text.strip())
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)

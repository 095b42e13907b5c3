"""Cron lines fire when Unix says, and tell what is wrong with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.journey.cron import CronError, parse_cron


def wall(text: str) -> datetime:
    """What the wall clock shows."""
    return datetime.fromisoformat(text)


MONDAY = wall("2026-03-02 09:00")


@pytest.mark.parametrize(
    ("line", "after", "expected"),
    [
        ("0 9 * * MON", MONDAY - timedelta(minutes=1), MONDAY),
        ("0 9 * * MON", MONDAY, MONDAY + timedelta(days=7)),
        ("0 9 * * 1", MONDAY - timedelta(days=3), MONDAY),
        ("0 9 * * 0", MONDAY, wall("2026-03-08 09:00")),
        ("0 9 * * 7", MONDAY, wall("2026-03-08 09:00")),
        ("0 9 * * fri-sun", MONDAY, wall("2026-03-06 09:00")),
        ("0 9 * * 5-7", wall("2026-03-07 09:00"), wall("2026-03-08 09:00")),
        ("*/20 8-10 * * *", MONDAY, MONDAY + timedelta(minutes=20)),
        ("5/20 * * * *", MONDAY, MONDAY + timedelta(minutes=5)),
        ("30 23 31 * *", MONDAY, wall("2026-03-31 23:30")),
        ("0 0 29 feb *", MONDAY, wall("2028-02-29")),
        # Either day will do where both are narrowed; neither narrows where one begins with a star.
        ("0 9 13 * FRI", MONDAY, wall("2026-03-06 09:00")),
        ("0 9 13 * */1", MONDAY, wall("2026-03-13 09:00")),
        ("0 9 1,15 JAN,JUL *", MONDAY, wall("2026-07-01 09:00")),
    ],
)
def test_the_next_time(line: str, after: datetime, expected: datetime) -> None:
    assert parse_cron(line).next_after(after) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "A cron line has five fields, and `` has 0."),
        ("0 0 9 * * MON", "A cron line has five fields, and `0 0 9 * * MON` has 6."),
        ("@daily", "`@daily` is no cron line of five fields."),
        ("60 9 * * *", "`60` is no minute: it goes from 0 to 59."),
        ("0 24 * * *", "`24` is no hour: it goes from 0 to 23."),
        ("0 9 0 * *", "`0` is no day of the month: it goes from 1 to 31."),
        ("0 9 * 13 *", "`13` is no month: it goes from 1 to 12."),
        ("0 9 * * 8", "`8` is no weekday: it goes from 0 to 7."),
        ("0 9 * * MOM", "`MOM` is no weekday."),
        ("0 9 L * *", "`L` is no day of the month."),
        ("0 9 * * FRI-MON", "`FRI-MON` ends before it begins."),
        ("*/0 9 * * *", "`*/0`: behind the `/` stands every how many, e.g. `*/15`."),
        ("0 9 30 2 *", "`0 9 30 2 *` never fires: none of these months has such a day."),
        ("0 9 31 4,6,9,11 *", "`0 9 31 4,6,9,11 *` never fires: none of these months has such a day."),
        ("², 9 * * *", "`²` is no minute."),
    ],
)
def test_what_is_wrong(line: str, message: str) -> None:
    with pytest.raises(CronError) as caught:
        parse_cron(line)
    assert str(caught.value) == message


def test_a_hint_says_how_to_write_it() -> None:
    with pytest.raises(CronError) as caught:
        parse_cron("0 9 * * FRI-MON")
    assert caught.value.hint == "Write `FRI-SAT,SUN-MON`."


def subsets(least: int, most: int) -> st.SearchStrategy[set[int]]:
    return st.sets(st.integers(least, most), min_size=1, max_size=4)


@settings(deadline=None, max_examples=150)
@given(
    minutes=subsets(0, 59),
    hours=subsets(0, 23),
    days=st.none() | subsets(1, 28),
    months=st.none() | subsets(1, 12),
    weekdays=st.none() | subsets(0, 6),
    after=st.datetimes(wall("2000-01-01"), wall("2040-01-01")),
)
def test_it_agrees_with_another_implementation(
    minutes: set[int],
    hours: set[int],
    days: set[int] | None,
    months: set[int] | None,
    weekdays: set[int] | None,
    after: datetime,
) -> None:
    """With APScheduler's, which counts weekdays from Monday and wants both days."""

    def written(numbers: set[int] | None) -> str:
        return ",".join(map(str, sorted(numbers))) if numbers else "*"

    line = " ".join(map(written, (minutes, hours, days, months, weekdays)))

    def other(day: set[int] | None, weekday: set[int] | None) -> datetime | None:
        names = [
            ("sun", "mon", "tue", "wed", "thu", "fri", "sat")[number] for number in sorted(weekday or ())
        ]
        trigger = CronTrigger(
            minute=written(minutes),
            hour=written(hours),
            day=written(day),
            month=written(months),
            day_of_week=",".join(names) or "*",
            timezone=UTC,
        )
        just_after = after.replace(tzinfo=UTC) + timedelta(microseconds=1)
        return trigger.get_next_fire_time(None, just_after)

    either = [other(days, None), other(None, weekdays)] if days and weekdays else [other(days, weekdays)]
    expected = min(found for found in either if found is not None)
    assert parse_cron(line).next_after(after) == expected.replace(tzinfo=None)

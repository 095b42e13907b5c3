"""The hour of the day at which a contact opens most messages."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Integer, cast, func, literal_column, select

from runner.journey.catalog import MESSAGE_OPENED
from runner.journey.duration import DAY
from runner.store.local_time.localtime import local_microseconds, midnight
from runner.store.local_time.windows import HOUR
from runner.store.tables import event
from runner.store.types import constant, json_true, microseconds_of, shifted

LOOKS_BACK = 90 * DAY
FEWEST = 3
"""Opens of the last 90 days from which on an hour is believed in."""


def best_hour(source: Any, zone: ColumnElement[str]) -> ColumnElement[int]:
    """The local hour, 0 to 23, with most opens of the last 90 days before ``source.at``, machines left out, and
    the earliest of several. NULL where there are fewer than ``FEWEST`` in all. Served by ix_event_history."""
    opened = event.alias("opened")
    utc = microseconds_of(opened.c.at)
    local = local_microseconds(utc, zone)
    hour = cast((local - midnight(local)).op("/", precedence=8)(constant(HOUR)), Integer())
    hours = (
        select(hour.label("hour"))
        .select_from(opened)
        .where(
            opened.c.partition == source.c.partition,
            opened.c.contact == source.c.contact,
            opened.c.name == literal_column(f"'{MESSAGE_OPENED}'"),
            opened.c.at > shifted(source.c.at, constant(-LOOKS_BACK)),
            opened.c.at <= source.c.at,
            ~opened.c.pending,
            ~json_true(opened.c.properties, constant("bot")),
        )
        .correlate_except(opened)
        .subquery()
    )
    counted = (
        select(hours.c.hour, func.count().label("opens"), func.sum(func.count()).over().label("total"))
        .group_by(hours.c.hour)
        .subquery()
    )
    return (
        select(counted.c.hour)
        .where(counted.c.total >= constant(FEWEST))
        .order_by(counted.c.opens.desc(), counted.c.hour)
        .limit(constant(1))
        .correlate_except(counted)
        .scalar_subquery()
    )

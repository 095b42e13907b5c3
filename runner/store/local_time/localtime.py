"""The wall clock in SQL: from UTC to local time and back, and when a wait ends.

Everything is in whole microseconds since 1970, of UTC or of the wall clock, as 64-bit integers. ``zone`` is
the name of a zone that ``zones.ensure_zones`` has written; for another one the answer is NULL. Each look-up
is a correlated scalar subquery of two seeks, served by the primary key of its table.

A local time that occurs twice is the first of the two; one that does not exist is the next valid instant.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import time
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import BigInteger, ColumnElement, FromClause, Table, case, func, literal_column, or_

from runner.journey.duration import DAY, MICROSECONDS, Duration
from runner.store import tables
from runner.store.composed import looked_up
from runner.store.local_time.years import divided
from runner.store.types import constant

if TYPE_CHECKING:
    from runner.journey.model import LocalTimes

EVERY_DAY = frozenset(range(7))

_SHIFT_DAYS = 7 * 200_000
"""Added to day numbers before dividing: integer division truncates on both databases, and days before 1970
are negative. A multiple of seven, so that weekdays stay; enough for every instant since 2000 BC."""
_SHIFT = _SHIFT_DAYS * DAY
_THURSDAY = 3
"""The weekday of 1 January 1970, where 0 is Monday."""

# The names that stand in every look-up. One within another has a FROM of its own, and so no need for other names.
_OFFSET, _LOCAL = tables.zone_offset.alias("in_force"), tables.zone_local.alias("in_force")
_GIVEN: ColumnElement[int] = literal_column("given.instant", BigInteger())
"""The instant that is asked about: one row of a query of its own. Neither database folds it into its surroundings:
SQLite because nothing stands in its FROM, PostgreSQL because of the OFFSET. Folded, the computations would repeat at
each mention, and nest."""

Microseconds = ColumnElement[int]
Zone = ColumnElement[str]
T = TypeVar("T")


def local_microseconds(utc: Microseconds, zone: Zone) -> Microseconds:
    """What the wall clock shows at an instant."""
    return _at_instant(utc, zone, lambda row, utc: utc + row.c.offset)


def utc_microseconds(local: Microseconds, zone: Zone) -> Microseconds:
    """The instant at which the wall clock shows ``local`` (the first, or the next valid one)."""
    return _latest(
        lambda local: func.coalesce(local - _LOCAL.c.offset, _LOCAL.c.instant), tables.zone_local, zone, local
    )


def midnight(local: Microseconds) -> Microseconds:
    """00:00 of the local day in which ``local`` lies, on the wall clock."""
    return _start_of(_day(local))


def weekday(local: Microseconds) -> Microseconds:
    """The weekday of a local time; 0 is Monday."""
    return _weekday(_day(local))


def day_number(local: Microseconds) -> Microseconds:
    """The number of a local day, counted from 1970."""
    return _day(local) - constant(_SHIFT_DAYS)


def due_after(
    utc: Microseconds, zone: Zone, duration: Duration, local: LocalTimes | None = None
) -> Microseconds:
    """When a wait of ``duration`` that begins at ``utc`` ends.

    Calendar days are added on the wall clock, then elapsed time, then the next allowed time of ``local`` at
    or after that instant is taken. ``local.timezone`` is for the caller: it says which ``zone`` to give.
    """
    ends = utc
    if duration.days:
        ends = utc_microseconds(local_microseconds(utc, zone) + constant(duration.days * DAY), zone)
    if duration.microseconds:
        ends = ends + constant(duration.microseconds)
    if local is None or (local.at is None and local.days == EVERY_DAY):
        return ends
    if local.at is not None:
        at, days = _since_midnight(local.at), local.days
        return utc_microseconds(
            _at_instant(ends, zone, lambda row, ends: _next_time(_first_unread(ends, row), at, days)), zone
        )
    return _named(ends, lambda ends: _on_allowed_day(ends, zone, local.days))


def due_on(
    local_midnight: Microseconds,
    zone: Zone,
    offset: Duration = Duration(),  # noqa: B008 (frozen)
    at: time | None = None,
    days: frozenset[int] | None = None,
) -> Microseconds:
    """When a wait until a date ends.

    At ``at`` (00:00 unless said) of the day that is ``offset.days`` from the day beginning at
    ``local_midnight`` (wall clock), moved to the next of the allowed ``days``; then moved by the elapsed
    part of ``offset``, and once more to an allowed day.
    """
    days = EVERY_DAY if days is None else days
    first_day = _day(local_midnight + constant(offset.days * DAY))
    if days != EVERY_DAY:
        first_day = _named(first_day, lambda day: _allowed(day, days))
    ends = utc_microseconds(_start_of(first_day) + constant(_since_midnight(at) if at else 0), zone)
    if not offset.microseconds:
        return ends
    ends = ends + constant(offset.microseconds)
    return ends if days == EVERY_DAY else _named(ends, lambda ends: _on_allowed_day(ends, zone, days))


def _on_allowed_day(utc: Microseconds, zone: Zone, days: frozenset[int]) -> Microseconds:
    """The instant itself where its local day is one of ``days``, else the beginning of the next such day."""
    is_allowed = _at_instant(
        utc, zone, lambda row, utc: _weekday(_day(utc + row.c.offset)).in_(_listed(days))
    )

    def beginning(row: FromClause, utc: Microseconds) -> Microseconds:
        unread = _first_unread(utc, row)
        started = _start_of(_allowed(_day(unread), days))
        return case((started < unread, unread), else_=started)

    return case((is_allowed, utc), else_=utc_microseconds(_at_instant(utc, zone, beginning), zone))


def _first_unread(utc: Microseconds, row: FromClause) -> Microseconds:
    """The earliest local time that is read as ``utc`` or a later instant, ``row`` being the offset in force.

    It is what the wall clock shows, with two exceptions: while it shows times for the second time, all of
    them are read as earlier instants; and at the end of a gap, the times of the gap are read as this very
    instant.
    """
    shown = utc + row.c.offset
    return case((or_(row.c.begins == utc, shown < row.c.earliest), row.c.earliest), else_=shown)


def _next_time(local: Microseconds, at: int, days: frozenset[int]) -> Microseconds:
    """The first local time at or after ``local`` that is ``at`` µs after midnight on one of ``days``."""
    return _start_of(_allowed(_day(local + constant(DAY - 1 - at)), days)) + constant(at)


def _day(local: Microseconds) -> Microseconds:
    """The number of a local day, counted from ``_SHIFT_DAYS`` before 1970."""
    return divided(local + constant(_SHIFT), DAY)


def _start_of(day: Microseconds) -> Microseconds:
    return day * constant(DAY) - constant(_SHIFT)


def _weekday(day: Microseconds) -> Microseconds:
    return (day + constant(_THURSDAY)) % constant(7)


def _allowed(day: Microseconds, days: frozenset[int]) -> Microseconds:
    """The first day at or after ``day`` whose weekday is in ``days``."""
    if days == EVERY_DAY:
        return day
    to_go = {today: min((allowed - today) % 7 for allowed in days) for today in range(7)}
    return day + case(
        {constant(today): constant(count) for today, count in to_go.items()}, value=_weekday(day)
    )


def _listed(days: frozenset[int]) -> list[Microseconds]:
    return [constant(day) for day in sorted(days)]


def _since_midnight(at: time) -> int:
    return (
        at.hour * MICROSECONDS["h"]
        + at.minute * MICROSECONDS["m"]
        + at.second * MICROSECONDS["s"]
        + at.microsecond
    )


def _at_instant(
    utc: Microseconds, zone: Zone, answer: Callable[[FromClause, Microseconds], ColumnElement[T]]
) -> ColumnElement[T]:
    """``answer`` over the row of ``zone_offset`` that is in force at ``utc``, and ``utc``."""
    return _latest(lambda utc: answer(_OFFSET, utc), tables.zone_offset, zone, utc)


def _latest(
    answer: Callable[[Microseconds], ColumnElement[T]],
    table: Table,
    zone: Zone,
    instant: Microseconds,
) -> ColumnElement[T]:
    found = answer(_GIVEN)
    query = (
        f"(SELECT {{0}} FROM (SELECT {{1}} AS instant{{apart}}) AS given {{join}} {table.name} AS in_force "
        f"ON in_force.zone = {{2}} AND in_force.begins = (SELECT max(earlier.begins) FROM {table.name} AS earlier "
        "WHERE earlier.zone = {2} AND earlier.begins <= given.instant))"
    )
    return looked_up(found.type, query, found, instant, zone)


def _named(instant: Microseconds, answer: Callable[[Microseconds], ColumnElement[T]]) -> ColumnElement[T]:
    """``answer`` over ``instant``, which is computed once however often the answer mentions it."""
    found = answer(_GIVEN)
    return looked_up(found.type, "(SELECT {0} FROM (SELECT {1} AS instant{apart}) AS given)", found, instant)

"""The next instant at which time alone may turn an expression, in SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, func, select

from runner.journey.expression import Expression
from runner.journey.expression.turns import (
    DayOfConsent,
    MidnightOf,
    MomentOf,
    NextHour,
    NextMidnight,
    OfColleagues,
    Turn,
    WindowEnds,
    turns,
)
from runner.store import tables
from runner.store.local_time.localtime import local_microseconds, midnight, utc_microseconds
from runner.store.predicates.compile import Compiler, Sql
from runner.store.predicates.history import DAY, HOUR, looked_at, whole
from runner.store.predicates.recorded import given_since, row_of, shares_account
from runner.store.predicates.row import Row
from runner.store.types import constant, instant_of, microseconds_of


def next_turn(
    expression: Expression, row: Row, dialect: str, *, becomes: bool | None = None
) -> ColumnElement[Any] | None:
    """The earliest instant after ``row.instant`` at which time alone may turn the value, though it need not; with
    ``becomes``, at which it may make a condition so that is not so at present.

    NULL where there is none ahead; Python's None where time cannot turn it. Raises ValueError where ``turn_problem``
    says why it cannot be told.
    """
    found, problem = turns(expression.tree, becomes=becomes)
    if problem is not None:
        raise ValueError(problem)
    if not found:
        return None
    compiler = Compiler(row, dialect)
    candidates = [
        compiler.microseconds("after", _microseconds(compiler, turn), compiler.instant()) for turn in found
    ]
    if len(candidates) == 1:
        return instant_of(candidates[0])
    if compiler.postgresql:
        return instant_of(func.least(*candidates))
    return instant_of(compiler.microseconds("earliest", *candidates))


def _microseconds(compiler: Compiler, turn: Turn) -> Sql:
    zone = compiler.row.zone
    if isinstance(turn, NextMidnight):
        today = midnight(local_microseconds(compiler.instant(), zone))
        return utc_microseconds(today + constant(DAY), zone)
    if isinstance(turn, MidnightOf):
        day = compiler.microseconds("day_number", compiler.value(turn.date)) + constant(turn.days)
        return utc_microseconds(day * constant(DAY), zone)
    if isinstance(turn, MomentOf):
        moment = compiler.microseconds("microseconds", compiler.value(turn.moment))
        return moment + constant(turn.microseconds)
    if isinstance(turn, DayOfConsent):
        return _day_after(compiler, given_since(compiler, turn.consent), turn.days)
    if isinstance(turn, OfColleagues):
        mate = compiler.row.alias(tables.contact)
        theirs = compiler.for_row(row_of(compiler.row, mate))
        ahead = compiler.microseconds("after", _microseconds(theirs, turn.turn), compiler.instant())
        query = select(func.min(ahead)).select_from(mate).where(*shares_account(compiler.row, mate))
        return query.correlate_except(mate).scalar_subquery()
    event = compiler.row.alias(tables.event)
    latest = microseconds_of(func.max(event.c.at))
    if isinstance(turn, WindowEnds):
        assert turn.history.within is not None
        leaves = latest if turn.latest else microseconds_of(func.min(event.c.at))
        ends = leaves + constant(turn.history.within)
    elif isinstance(turn, NextHour):
        at = microseconds_of(event.c.at)
        ends = func.min(at + (whole(compiler.instant() - at, HOUR) + constant(1)) * constant(HOUR))
    else:
        ends = _day_after(compiler, latest, turn.days)
    return looked_at(compiler, turn.history, event, ends).scalar_subquery()


def _day_after(compiler: Compiler, begin: Sql, days: int | None) -> Sql:
    """So many days of 24 hours after ``begin``; the next of them, where None."""
    if days is None:
        return begin + (whole(compiler.instant() - begin, DAY) + constant(1)) * constant(DAY)
    return begin + constant(days * DAY)

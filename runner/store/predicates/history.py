"""The past of a contact: each function is one correlated scalar subquery over its handled events, served by
``ix_event_history`` (partition, contact, name, at)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, ColumnElement, Select, and_, exists, func, or_, select

from runner.journey.expression import tree
from runner.journey.values import MILLIONTHS, Kind
from runner.store import tables
from runner.store.predicates.read import read_json
from runner.store.predicates.recorded import shares_account
from runner.store.types import constant, microseconds_of, shifted

if TYPE_CHECKING:
    from runner.store.predicates.compile import Compiler

Sql = ColumnElement[Any]
DAY = 86_400_000_000
HOUR = 3_600_000_000
HALF = 1_000_000_000
"""What a number is divided by to be summed in two halves."""


def history_value(compiler: Compiler, node: tree.History) -> Sql:
    """The value of a history function."""
    if compiler.row.gathered is not None:
        gathered = compiler.row.gathered(compiler, node)
        if gathered is not None:
            return gathered
    event = compiler.row.alias(tables.event)
    if isinstance(node, tree.Did):
        return exists(looked_at(compiler, node, event, constant(1)))
    if isinstance(node, Aggregate):
        return compiler.number(
            looked_at(compiler, node, event, aggregate(compiler, node, event)).scalar_subquery()
        )
    found = read_json(event.c.properties, node.path, node.type, compiler.dialect, node.inside)
    return (
        looked_at(compiler, node, event, found)
        .order_by(
            event.c.at.desc(), event.c.id.desc(), *((event.c.contact.desc(),) if node.by_account else ())
        )
        .limit(constant(1))
        .scalar_subquery()
    )


Aggregate = tree.Count | tree.Total | tree.DaysSince | tree.HoursLeft
"""The history functions that are computed from all events that they look at."""


def aggregate(compiler: Compiler, node: Aggregate, event: Any) -> Sql:
    """What ``node`` is over the rows of ``event``: whole millionths. Over none, 0 or NULL."""
    if isinstance(node, tree.Count):
        return func.count() * constant(MILLIONTHS)
    if isinstance(node, tree.DaysSince):
        return whole(compiler.instant() - microseconds_of(func.max(event.c.at)), DAY) * constant(MILLIONTHS)
    if isinstance(node, tree.HoursLeft):
        assert node.within is not None
        gone = whole(compiler.instant() - microseconds_of(event.c.at), HOUR)
        left = func.coalesce(func.sum(constant(node.within // HOUR) - gone), constant(0))
        return compiler.number(left) * constant(MILLIONTHS)
    number = read_json(event.c.properties, node.path, node.type, compiler.dialect)
    if compiler.postgresql:
        return compiler.typed("number", func.coalesce(func.sum(number), constant(0)), kind=Kind.NUMBER)
    # SQLite's sum() fails where it leaves 64 bits: neither of the two halves can.
    upper = number.op("/", precedence=8, return_type=BigInteger())(constant(HALF))
    return compiler.typed("total", func.sum(upper), func.sum(number % constant(HALF)), kind=Kind.NUMBER)


def whole(elapsed: Sql, unit: int) -> Sql:
    """Whole units of so many microseconds in ``elapsed``, which is not negative."""
    return elapsed.op("/", precedence=8, return_type=BigInteger())(constant(unit))


def looked_at(compiler: Compiler, node: tree.History, event: Any, *columns: Sql) -> Select[Any]:
    """``columns`` over the events that ``node`` looks at, as a query for each row."""
    row = compiler.row
    if not node.by_account:
        its = [event.c.partition == row.partition, event.c.contact == row.contact]
        query = select(*columns).select_from(event).where(*its, *conditions(compiler, node, event))
        return query.correlate_except(event)
    # From the account to its contacts to their events: SQLite keeps the order in which they stand here.
    mate = row.alias(tables.contact)
    theirs = mate.join(event, and_(event.c.partition == mate.c.partition, event.c.contact == mate.c.id))
    query = select(*columns).select_from(theirs)
    query = query.where(*shares_account(row, mate), *conditions(compiler, node, event))
    return query.correlate_except(event, mate)


def conditions(compiler: Compiler, node: tree.History, event: Any) -> list[Sql]:
    """Which events of a contact ``node`` looks at."""
    row = compiler.row
    own = row.own if row.own is not None else row.contact
    others = node.by_account or row.own is not None
    handled = and_(~event.c.pending, event.c.contact == own) if others else ~event.c.pending
    found: list[Sql] = [
        event.c.name == node.event,
        event.c.at <= row.instant,
        # What lies before the instant has been handled: the index alone answers for it.
        or_(event.c.at < row.instant, handled),
    ]
    if node.within is not None:
        found.append(event.c.at > shifted(row.instant, constant(-node.within)))
    if node.where is not None:
        about_it = compiler.for_row(replace(row, event=event.c.properties, level=row.level + 1))
        found.append(about_it.condition(node.where))
    return found

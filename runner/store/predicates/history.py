"""The past of a contact: each function is one correlated scalar subquery over its handled events, served by
``ix_event_history`` (partition, contact, name, at)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Boolean, ColumnElement, Select, and_, func, literal_column, select
from sqlalchemy.sql.selectable import NamedFromClause
from sqlalchemy.types import TypeEngine

from runner.journey.expression import tree
from runner.journey.values import MILLIONTHS, Kind
from runner.store import tables
from runner.store.composed import composed, condition, looked_up, named
from runner.store.predicates.read import read_json
from runner.store.predicates.recorded import shares_account
from runner.store.types import constant, microseconds_of, shifted

if TYPE_CHECKING:
    from runner.store.predicates.compile import Compiler

Sql = ColumnElement[Any]
BOOLEAN, _WHOLE = Boolean(), BigInteger()
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
        return _looked_up(compiler, node, event, constant(1), BOOLEAN, "EXISTS ({})")
    if isinstance(node, Aggregate):
        found = compiler.number(aggregate(compiler, node, event))
        return _looked_up(compiler, node, event, found, found.type)
    found = read_json(event.c.properties, node.path, node.type, compiler.dialect, node.inside)
    name = event.name
    latest = f"{name}.at DESC, {name}.id DESC" + (f", {name}.contact DESC" if node.by_account else "")
    return _looked_up(compiler, node, event, found, found.type, f"({{}} ORDER BY {latest} LIMIT 1)")


def _looked_up(
    compiler: Compiler,
    node: tree.History,
    event: NamedFromClause,
    column: Sql,
    type: TypeEngine[Any],
    around: str = "({})",
) -> Sql:
    """``column`` over the events that ``node`` looks at; ``around`` stands around the query."""
    row, name = compiler.row, event.name
    handled = conditions(compiler, node, event)
    if not node.by_account:
        query = f"SELECT {{0}} FROM event AS {name} WHERE {name}.partition = {{1}} AND {name}.contact = {{2}} AND {{3}}"
        return looked_up(type, around.format(query), column, row.partition, row.contact, handled)
    # From the account to its contacts to their events: SQLite keeps the order in which they stand here.
    mate = row.alias(tables.contact).name
    query = (
        f"SELECT {{0}} FROM contact AS {mate} {{join}} event AS {name} "
        f"ON {name}.partition = {mate}.partition AND {name}.contact = {mate}.id "
        f"WHERE {mate}.partition = {{1}} AND {mate}.account = {{2}} AND {{3}}"
    )
    return looked_up(type, around.format(query), column, row.partition, row.contact_table.c.account, handled)


Aggregate = tree.Count | tree.Total | tree.DaysSince | tree.HoursLeft
"""The history functions that are computed from all events that they look at."""


def aggregate(compiler: Compiler, node: Aggregate, event: Any) -> Sql:
    """What ``node`` is over the rows of ``event``: whole millionths. Over none, 0 or NULL."""
    if isinstance(node, tree.Count):
        return composed(_WHOLE, f"(count(*) * {MILLIONTHS})")
    if isinstance(node, tree.DaysSince):
        latest = microseconds_of(literal_column(f"max({event.name}.at)"))
        return composed(_WHOLE, f"(({{0}} - {{1}}) / {DAY} * {MILLIONTHS})", compiler.instant(), latest)
    if isinstance(node, tree.HoursLeft):
        assert node.within is not None
        pattern = f"coalesce(sum({node.within // HOUR} - ({{0}} - {{1}}) / {HOUR}), 0)"
        pattern = f"({pattern}{'::numeric' if compiler.postgresql else ''} * {MILLIONTHS})"
        return composed(_WHOLE, pattern, compiler.instant(), microseconds_of(event.c.at))
    found = read_json(event.c.properties, node.path, node.type, compiler.dialect)
    if compiler.postgresql:
        return compiler.typed("number", func.coalesce(func.sum(found), constant(0)), kind=Kind.NUMBER)
    # SQLite's sum() fails where it leaves 64 bits: neither of the two halves can.
    upper = found.op("/", precedence=8, return_type=BigInteger())(constant(HALF))
    return compiler.typed("total", func.sum(upper), func.sum(found % constant(HALF)), kind=Kind.NUMBER)


def whole(elapsed: Sql, unit: int) -> Sql:
    """Whole units of so many microseconds in ``elapsed``, which is not negative."""
    return elapsed.op("/", precedence=8, return_type=BigInteger())(constant(unit))


def looked_at(compiler: Compiler, node: tree.History, event: NamedFromClause, *columns: Sql) -> Select[Any]:
    """``columns`` over the events that ``node`` looks at, as a query for each row."""
    row = compiler.row
    if not node.by_account:
        its = [event.c.partition == row.partition, event.c.contact == row.contact]
        query = select(*columns).select_from(event).where(*its, conditions(compiler, node, event))
        return query.correlate_except(event)
    # From the account to its contacts to their events: SQLite keeps the order in which they stand here.
    mate = row.alias(tables.contact)
    theirs = mate.join(event, and_(event.c.partition == mate.c.partition, event.c.contact == mate.c.id))
    query = select(*columns).select_from(theirs)
    query = query.where(*shares_account(row, mate), conditions(compiler, node, event))
    return query.correlate_except(event, mate)


def conditions(compiler: Compiler, node: tree.History, event: NamedFromClause) -> Sql:
    """Which events of a contact ``node`` looks at."""
    row, name = compiler.row, event.name
    parts: list[Sql] = [row.instant]
    handled = f"NOT {name}.pending"
    if node.by_account or row.own is not None:
        parts.append(row.own if row.own is not None else row.contact)
        handled = f"{handled} AND {name}.contact = {{1}}"
    parts.append(named(node.event))
    event_name = f"{{{len(parts) - 1}}}"
    # What lies before the instant has been handled: the index alone answers for it.
    found = f"{name}.name = {event_name} AND {name}.at <= {{0}} AND ({name}.at < {{0}} OR ({handled}))"
    if node.within is not None:
        found += f" AND {name}.at > {{{len(parts)}}}"
        parts.append(shifted(row.instant, constant(-node.within)))
    if node.where is not None:
        about_it = compiler.for_row(replace(row, event=event.c.properties, level=row.level + 1))
        found += f" AND {{{len(parts)}}}"
        parts.append(about_it.condition(node.where))
    return condition(f"({found})", *parts)

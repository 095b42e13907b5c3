"""Expressions as SQL: one meaning on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, case, cast, func, literal_column, null
from sqlalchemy.dialects.postgresql import JSONB

from runner.journey.expression import Expression
from runner.journey.values import Kind
from runner.store.predicates.compile import Compiler
from runner.store.predicates.row import Row
from runner.store.predicates.turns import next_turn
from runner.store.types import constant

__all__ = [
    "Row",
    "day_microseconds",
    "instant_microseconds",
    "json_value",
    "millionths",
    "next_turn",
    "predicate",
    "text_value",
    "value",
]

_DAY = 86_400_000_000


def predicate(expression: Expression, row: Row, dialect: str) -> ColumnElement[bool]:
    """Whether the condition holds: true or false, never NULL. ``dialect`` is "sqlite" or "postgresql"."""
    return Compiler(row, dialect).condition(expression.tree)


def value(expression: Expression, row: Row, dialect: str) -> ColumnElement[Any]:
    """The value in its stored form, NULL where it is missing.

    Text; whole millionths (INTEGER on SQLite, numeric on PostgreSQL); boolean; ISO text for a date or datetime; JSON
    for a list or an object.
    """
    return Compiler(row, dialect).value(expression.tree)


def text_value(expression: Expression, row: Row, dialect: str) -> ColumnElement[str]:
    """The value as text, '' where it is missing: numbers in plain decimal notation (``12.5``), booleans as ``true`` and
    ``false``. Raises TypeError for lists and objects, which have no text."""
    kind = expression.type.kind
    found = value(expression, row, dialect)
    if kind is Kind.NUMBER:
        found = func.journeys_number_text(found, type_=Text())
    elif kind is Kind.BOOLEAN:
        found = _boolean(found, (constant("true"), constant("false")), null(), dialect)
    elif kind in (Kind.LIST, Kind.OBJECT):
        raise TypeError(f"a {kind.value} has no text: {expression.source}")
    return func.coalesce(found, literal_column("''", Text()), type_=Text())


def json_value(expression: Expression, row: Row, dialect: str) -> ColumnElement[Any]:
    """The value as JSON in its stored form, JSON null where it is missing: the text of ``json()`` on SQLite, jsonb on
    PostgreSQL."""
    kind = expression.type.kind
    found = value(expression, row, dialect)
    if dialect == "postgresql":
        if kind is Kind.NONE:
            found = cast(found, Text())
        return func.coalesce(func.to_jsonb(found), cast(constant("null"), JSONB()), type_=JSONB())
    if kind is Kind.BOOLEAN:
        found = _boolean(found, (constant("true"), constant("false")), constant("null"), dialect)
    elif kind in (Kind.LIST, Kind.OBJECT):
        found = func.coalesce(found, constant("null"))
    else:
        found = func.json_quote(found)
    return func.json(found, type_=Text())


def millionths(expression: Expression, row: Row, dialect: str) -> ColumnElement[int]:
    """The number in whole millionths as BIGINT, NULL where it is missing."""
    found = value(expression, row, dialect)
    return cast(found, BigInteger()) if dialect == "postgresql" else found


def day_microseconds(expression: Expression, row: Row, dialect: str) -> ColumnElement[int]:
    """The beginning of the date on the wall clock, in microseconds since 1970 there; NULL where it is missing."""
    return beginning_of(value(expression, row, dialect))


def beginning_of(date: ColumnElement[Any]) -> ColumnElement[int]:
    """The beginning of a date in its stored form, on the wall clock, in microseconds since 1970 there."""
    day: ColumnElement[int] = func.journeys_day_number(date, type_=BigInteger())
    return day * constant(_DAY)


def instant_microseconds(expression: Expression, row: Row, dialect: str) -> ColumnElement[int]:
    """The datetime in microseconds since 1970 UTC; NULL where it is missing."""
    return instant_of_text(value(expression, row, dialect))


def instant_of_text(instant: ColumnElement[Any]) -> ColumnElement[int]:
    """A datetime in its stored form, in microseconds since 1970 UTC."""
    microseconds: ColumnElement[int] = func.journeys_microseconds(instant, type_=BigInteger())
    return microseconds


def _boolean(
    found: ColumnElement[Any],
    names: tuple[ColumnElement[Any], ColumnElement[Any]],
    missing: ColumnElement[Any],
    dialect: str,
) -> ColumnElement[Any]:
    yes, no = names
    is_true, is_false = ("true", "false") if dialect == "postgresql" else ("1", "0")
    return case((literal_column(is_true), yes), (literal_column(is_false), no), value=found, else_=missing)

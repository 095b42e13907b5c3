"""One meaning: the reference evaluator, SQLite and PostgreSQL agree on every expression, for every contact."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from runner.journey.expression import Expression, parse_expression
from runner.journey.expression.canonical import number_text
from runner.journey.values import Kind
from runner.store.database import Database
from runner.store.predicates import predicate, value
from tests.reference.expression_world import ROW, SCOPE, expressions, read_all, situations, store
from tests.reference.expressions import Situation, evaluate

PEOPLE = situations(60, seed=1)
KINDS = (Kind.NUMBER, Kind.STRING, Kind.BOOLEAN, Kind.DATE, Kind.DATETIME)
BATCHES = st.lists(
    st.one_of(expressions(Kind.BOOLEAN), *(expressions(kind) for kind in KINDS)), min_size=25, max_size=25
)


@pytest.fixture(scope="module")
def both(postgres_url: str) -> Iterator[dict[str, Connection]]:
    """A connection to each database, with the same contacts in it."""
    with Database.scratch() as sqlite, Database.scratch(postgres_url, partitions=1) as postgresql:
        for database in (sqlite, postgresql):
            with database.begin() as connection:
                store(connection, PEOPLE)
        with sqlite.read() as one, postgresql.read() as other:
            yield {"sqlite": one, "postgresql": other}


def agree(both: dict[str, Connection], sources: list[str]) -> None:
    """Every way to read each expression gives what the reference gives."""
    parsed = [parse_expression(source, SCOPE) for source in sources]
    expected = [[evaluate(expression, person) for expression in parsed] for person in PEOPLE]
    for dialect, connection in both.items():
        readings = [_readings(expression, dialect) for expression in parsed]
        rows = read_all(connection, [column for columns in readings for column in columns])
        for person, wanted, found in zip(PEOPLE, expected, rows, strict=True):
            position = 0
            for expression, columns, stored in zip(parsed, readings, wanted, strict=True):
                got = found[position : position + len(columns)]
                position += len(columns)
                assert _same(expression, stored, got, dialect), _account(
                    expression, stored, got, dialect, person
                )


def _readings(expression: Expression, dialect: str) -> list[Any]:
    """As a value, and as a condition where it is one. ``test_ways_to_read`` looks at the others."""
    columns = [value(expression, ROW, dialect)]
    if expression.type.kind is Kind.BOOLEAN:
        columns.append(predicate(expression, ROW, dialect))
    return columns


def _same(expression: Expression, stored: Any, got: tuple[Any, ...], dialect: str) -> bool:
    found, *holds = got
    if isinstance(found, Decimal):
        found = int(found) if found == int(found) else found
    if dialect == "sqlite" and expression.type.kind is Kind.BOOLEAN and found is not None:
        found = bool(found)
    truth = [bool(condition) for condition in holds if condition is not None]
    return found == stored and type(found) is type(stored) and truth == [stored is True] * len(holds)


def _text(stored: Any) -> str:
    if stored is None:
        return ""
    if isinstance(stored, bool):
        return "true" if stored else "false"
    return number_text(stored) if isinstance(stored, int) else str(stored)


def _account(expression: Expression, stored: Any, got: Any, dialect: str, person: Situation) -> str:
    return f"{dialect}: {expression.source}\n  reference {stored!r}\n  {dialect} {got!r}\n  {person}"


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(sources=BATCHES)
def test_reference_sqlite_and_postgresql_agree(both: dict[str, Connection], sources: list[str]) -> None:
    agree(both, sources)

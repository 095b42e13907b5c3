"""One meaning: the reference evaluator, SQLite and PostgreSQL agree on every expression, for every contact."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from runner.journey.expression import Expression, parse_expression, tree
from runner.journey.values import Kind
from runner.store.database import Database
from runner.store.predicates import predicate, value
from runner.store.predicates.compile import may_be_missing
from tests.reference.expression_author import smallest, written
from tests.reference.expression_rows import ROW, read_all, store
from tests.reference.expression_world import SCOPE, situations
from tests.reference.expressions import Situation, evaluate

PEOPLE = situations(16, seed=1)
EXPRESSIONS = 20_000
AT_ONCE = 250
"""Expressions that one statement reads: PostgreSQL gives at most 1,664 columns."""
KINDS = (Kind.BOOLEAN, Kind.NUMBER, Kind.STRING, Kind.BOOLEAN, Kind.DATE, Kind.DATETIME)


@dataclass(frozen=True)
class World:
    """A connection to each database, with the same contacts in both, and which nodes have been read so far."""

    connections: dict[str, Connection]
    read: Counter[type]


@pytest.fixture(scope="module")
def world(postgres_url: str) -> Iterator[World]:
    with Database.scratch() as sqlite, Database.scratch(postgres_url, partitions=1) as postgresql:
        for database in (sqlite, postgresql):
            with database.begin() as connection:
                store(connection, PEOPLE)
        with sqlite.read() as one, postgresql.read() as other:
            # Thousands of subqueries would each be compiled before they are run once.
            other.exec_driver_sql("SET LOCAL jit = off")
            # A batch is a hundred thousand small objects, which the collector would go through again and again.
            gc.collect()
            gc.freeze()
            gc.disable()
            yield World({"sqlite": one, "postgresql": other}, Counter())
            gc.enable()
            gc.unfreeze()


def disagreements(world: World, sources: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The sources that are not read alike everywhere, each with what was read."""
    parsed = [parse_expression(source, SCOPE) for source in sources]
    world.read.update(type(node) for expression in parsed for node in tree.walk(expression.tree))
    expected = [[evaluate(expression, person) for expression in parsed] for person in PEOPLE]
    for dialect, connection in world.connections.items():
        readings = [_readings(expression, dialect) for expression in parsed]
        rows = read_all(connection, [column for columns in readings for column in columns])
        for person, wanted, found in zip(PEOPLE, expected, rows, strict=True):
            position = 0
            for expression, columns, stored in zip(parsed, readings, wanted, strict=True):
                got = found[position : position + len(columns)]
                position += len(columns)
                if not _same(expression, stored, got, dialect):
                    yield expression.source, _account(expression, stored, got, dialect, person)


def _readings(expression: Expression, dialect: str) -> list[Any]:
    """As a value, and as a condition where that is read otherwise. ``test_text_and_json`` looks at the other ways."""
    columns = [value(expression, ROW, dialect)]
    if expression.type.kind is Kind.BOOLEAN and may_be_missing(expression.tree):
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


def _account(expression: Expression, stored: Any, got: Any, dialect: str, person: Situation) -> str:
    return f"{dialect}: {expression.source}\n  reference {stored!r}\n  {dialect} {got!r}\n  {person}"


@settings(max_examples=EXPRESSIONS // AT_ONCE, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**62))
def agree(world: World, seed: int) -> None:
    chance = Random(seed)
    gc.collect()
    sources = [written(chance.getrandbits(62), KINDS[place % len(KINDS)]) for place in range(AT_ONCE)]
    for source, _ in disagreements(world, sources):
        short = smallest(source, lambda each: any(True for _ in disagreements(world, [each])))
        _, account = next(disagreements(world, [short]))
        pytest.fail(account)


def test_reference_sqlite_and_postgresql_agree(world: World) -> None:
    """No expression is left out, and every part of the language is met hundreds of times."""
    agree(world)
    assert {kind for kind in get_args(tree.Node) if world.read[kind] < 100} == set()

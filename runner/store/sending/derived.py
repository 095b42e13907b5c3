"""What is computed of the contacts to whom messages are about to leave, as of that moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from runner.journey.expression import Expression
from runner.journey.values import Kind
from runner.store.passes.program import ProgramSql
from runner.store.predicates import millionths, value
from runner.store.sending import message_statements as statements
from runner.store.sending.asked_again import leaving, row_of
from runner.store.sending.messages import Held, packed_keys
from runner.store.statement import Connection, Statement


def derived_values(
    connection: Connection,
    sql: ProgramSql,
    expressions: Mapping[str, Expression],
    held: Sequence[Held],
    now: datetime,
) -> dict[Held, dict[str, Any]]:
    """The value of each expression for the contact of each message, in its stored form: numbers in millionths."""
    names = tuple(sorted(expressions))
    statement = sql.once(("derived", names), lambda: _derived(sql, [expressions[name] for name in names]))
    found = statement.run(connection, batch=packed_keys(held), now=now)
    by_key = {tuple(one.key): one for one in held}
    return {by_key[tuple(row[:5])]: dict(zip(names, row[5:], strict=True)) for row in found}


def _derived(sql: ProgramSql, expressions: Sequence[Expression]) -> Statement:
    batch = statements.batch_of(sql.dialect)
    row = row_of(sql)
    columns = [
        (millionths if each.type.kind is Kind.NUMBER else value)(each, row, sql.dialect).label(
            f"value_{place}"
        )
        for place, each in enumerate(expressions)
    ]
    return Statement(select(*statements.KEY, *columns).select_from(leaving(batch)))

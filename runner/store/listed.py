"""Rows that a statement is given as one parameter, so that it reads the same and is compiled once however many there
are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, FromClause, SmallInteger, Text, bindparam, cast, func, select
from sqlalchemy.types import TypeEngine

from runner.store.engines import write_json

TYPES: dict[str, TypeEngine[Any]] = {
    "partition": SmallInteger(),
    "contact": BigInteger(),
    "placed_in": SmallInteger(),
    "key": Text(),
    "dedup_key": Text(),
    "channel": Text(),
    "address": Text(),
}


def listed(dialect: str, *names: str) -> FromClause:
    """The rows of the parameter ``listed``, which ``rows_text`` writes, as a table with these columns of ``TYPES``."""
    given = bindparam("listed", type_=Text())
    if dialect == "sqlite":
        each = func.json_each(given).table_valued("value")
        return select(
            *(func.json_extract(each.c.value, f"$.{name}", type_=TYPES[name]).label(name) for name in names)
        ).subquery("listed")
    return (
        func.json_to_recordset(cast(given, JSON()))
        .table_valued(*(Column(name, TYPES[name]) for name in names), name="listed")
        .render_derived(with_types=True)
    )


def rows_text(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """``rows`` for the parameter of a statement over ``listed``."""
    return write_json([dict(zip(names, row, strict=True)) for row in rows])

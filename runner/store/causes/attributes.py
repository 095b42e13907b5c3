"""Attributes that change: told before the new value is written, of those attributes alone that a journey is triggered
by."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    cast,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB

from runner.journey.catalog import IDENTIFIED, OWN_FIELDS
from runner.journey.reserved import ATTRIBUTE_CHANGED
from runner.store.causes.announce import announcement
from runner.store.passes.working import in_pass, wave
from runner.store.statement import Statement
from runner.store.tables import contact
from runner.store.types import ByCodePoint, json_object

Sql = ColumnElement[Any]


def json_of(column: Sql, name: str, dialect: str) -> Sql:
    """The member ``name`` of an object, as JSON; NULL where it is missing or null."""
    if dialect == "postgresql":
        member = column.op("->", return_type=JSONB())(literal(name, Text()))
        return func.nullif(member, literal_column("'null'::jsonb", JSONB()))
    return func.nullif(column.op("->")(literal(f'$."{name}"', Text())), literal_column("'null'"))


def attribute_json(name: str, dialect: str) -> Sql:
    """The attribute of the contact as JSON; NULL where it has none."""
    if name not in OWN_FIELDS:
        return json_of(contact.c.attributes, name, dialect)
    column = contact.c[name]
    if dialect == "postgresql":
        return func.to_jsonb(column, type_=JSONB())
    return func.nullif(func.json_quote(column), literal_column("'null'"))


def as_member(value: Sql, dialect: str) -> Sql:
    """JSON, or NULL, as the member of an object that is being made."""
    if dialect == "postgresql":
        return func.coalesce(value, literal_column("'null'::jsonb", JSONB()))
    return func.json(func.coalesce(value, literal_column("'null'")))


def changed(
    dialect: str,
    name: str,
    source: Any,
    *,
    run: Sql,
    old: Sql,
    new: Sql,
    key: Sql,
) -> Select[Any]:
    """A row of ``CAUSED`` for the change of one attribute, of a row of ``source``; none where nothing changes."""
    return select(
        source.c.partition,
        source.c.contact,
        run.label("run"),
        source.c.at,
        literal(ATTRIBUTE_CHANGED, ByCodePoint()).label("name"),
        json_object(
            literal("attribute", Text()),
            json_text_of(literal(name, Text()), dialect),
            literal("old", Text()),
            as_member(old, dialect),
            literal("new", Text()),
            as_member(new, dialect),
        ).label("properties"),
        key.label("key"),
    ).where(old.is_distinct_from(new))


def json_text_of(text: Sql, dialect: str) -> Sql:
    """A text as the member of an object that is being made."""
    return func.to_jsonb(cast(text, Text()), type_=JSONB()) if dialect == "postgresql" else text


@cache
def _identified(dialect: str, names: tuple[str, ...]) -> Statement:
    of_contact = and_(contact.c.partition == wave.c.partition, contact.c.id == wave.c.contact)
    rows = wave.join(contact, of_contact)
    each = []
    for name in names:
        new = json_of(wave.c.properties, name, dialect)
        found = changed(
            dialect,
            name,
            wave,
            run=cast(null(), BigInteger()),
            old=attribute_json(name, dialect),
            new=new,
            key=literal(f"attribute:{name}:", Text()) + cast(wave.c.event, Text()),
        )
        each.append(
            found.select_from(rows).where(
                in_pass(wave),
                wave.c.name == literal_column(f"'{IDENTIFIED}'"),
                _has(wave.c.properties, name, dialect),
                or_(wave.c.silent.is_(None), ~wave.c.silent),
            )
        )
    if len(each) == 1:
        return announcement(dialect, each[0], one_each=True)
    return announcement(dialect, select(*union_all(*each).subquery().c))


def _has(column: Sql, name: str, dialect: str) -> Sql:
    if dialect == "postgresql":
        return column.op("?")(literal(name, Text()))
    return func.json_type(column, literal(f'$."{name}"', Text())).is_not(None)


def tell_of_identified(connection: Connection, n: int, names: Sequence[str]) -> None:
    """Tell of the attributes ``names`` that the identify events of pass ``n`` are about to change."""
    if names:
        _identified(connection.dialect.name, tuple(names)).run(connection, n=n)

"""Reading stored values, guarded by type: what does not have the form of its type is missing, so that nothing that is
stored can make a statement fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Numeric,
    Text,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from runner.journey.catalog import CONTACT_FIELDS, OWN_FIELDS
from runner.journey.expression import Expression, tree
from runner.journey.values import Kind, ValueType
from runner.store.predicates.row import Row
from runner.store.types import constant, microseconds_of

DATE_SHAPE = "####-[01]#-[0-3]#"
DATETIME_SHAPE = "####-[01]#-[0-3]#T[0-2]#:[0-5]#:[0-5]#.######Z"
_GLOBS = {
    Kind.DATE: DATE_SHAPE.replace("#", "[0-9]"),
    Kind.DATETIME: DATETIME_SHAPE.replace("#", "[0-9]"),
}
_PATTERNS = {kind: "^" + glob.replace(".", "[.]") + "$" for kind, glob in _GLOBS.items()}
_JSON_TYPES = {Kind.STRING: "text", Kind.NUMBER: "integer", Kind.LIST: "array", Kind.OBJECT: "object"}
_JSONB_TYPES = {Kind.STRING: "string", Kind.NUMBER: "number", Kind.LIST: "array", Kind.OBJECT: "object"}


def sql_type(kind: Kind, dialect: str) -> TypeEngine[Any]:
    """The SQL type of a value of ``kind``."""
    if kind is Kind.NUMBER:
        return Numeric() if dialect == "postgresql" else BigInteger()
    if kind is Kind.BOOLEAN:
        return Boolean()
    if kind in (Kind.LIST, Kind.OBJECT):
        return JSONB() if dialect == "postgresql" else Text()
    return Text()


def read_name(node: tree.Name, row: Row, dialect: str) -> ColumnElement[Any]:
    """The value of ``contact.X``, ``trigger.X``, ``event.X`` or ``run.X``; NULL where it is missing."""
    first = node.path[0]
    columns = row.contact_table.c
    if node.source == "contact":
        if first == "id":
            return columns.key
        if first in OWN_FIELDS:
            return columns[first]
        if first == "tags":
            return read_json(columns.tags, (), node.type, dialect, node.inside)
        return read_json(columns.attributes, node.path, node.type, dialect, node.inside)
    if node.source == "run" and first == "entered_at":
        if row.entered_at is None:
            return null()
        return func.journeys_datetime_text(microseconds_of(row.entered_at), type_=Text())
    column = {"trigger": row.trigger, "event": row.event, "run": row.data}[node.source]
    if column is None:
        return null()
    return read_json(column, node.path, node.type, dialect, node.inside)


def reads_contact(expression: Expression) -> bool:
    """Whether it may look at the row of the contact: at a value of it, at its zone, at its account or address."""
    other = (tree.Clock, *get_args(tree.Recorded))
    return any(
        isinstance(node, other) or (isinstance(node, tree.Name) and node.source in ("contact", "account"))
        for node in expression.nodes
    )


def read_json(
    column: ColumnElement[Any],
    path: Sequence[str],
    type: ValueType,
    dialect: str,
    inside: Sequence[str] = (),
) -> ColumnElement[Any]:
    """The value of ``type`` at ``path`` of a JSON column; with ``inside``, the list of what each member has there."""
    base = ValueType(Kind.LIST) if inside else type
    read = _read_postgresql if dialect == "postgresql" else _read_sqlite
    found = read(column, path, base)
    if not inside:
        return found
    keys = [literal(key, Text()) for key in inside]
    return func.journeys_pluck(found, *keys, type_=sql_type(Kind.LIST, dialect))


def _sqlite_path(path: Sequence[str]) -> ColumnElement[str]:
    return literal("$" + "".join(f'."{key}"' for key in path), Text())


def _read_sqlite(column: ColumnElement[Any], path: Sequence[str], type: ValueType) -> ColumnElement[Any]:
    where, kind = _sqlite_path(path), type.kind
    if kind is Kind.BOOLEAN:
        branches = ((constant("true"), constant(1)), (constant("false"), constant(0)))
        return type_coerce(case(*branches, value=func.json_type(column, where)), Boolean())
    extracted = func.json_extract(column, where, type_=sql_type(kind, "sqlite"))
    if kind in _GLOBS:
        shaped = extracted.op("GLOB", return_type=Boolean())(literal(_GLOBS[kind], Text()))
        return case((shaped, extracted))
    return case((constant(_JSON_TYPES[kind]), extracted), value=func.json_type(column, where))


def _read_postgresql(column: ColumnElement[Any], path: Sequence[str], type: ValueType) -> ColumnElement[Any]:
    kind = type.kind
    member, text = _postgresql_member(column, path)
    if kind is Kind.BOOLEAN:
        return case(
            (member == cast(constant("true"), JSONB()), literal_column("true", Boolean())),
            (member == cast(constant("false"), JSONB()), literal_column("false", Boolean())),
        )
    if kind in _PATTERNS:
        shaped = text.op("~", return_type=Boolean())(literal(_PATTERNS[kind], Text()))
        return case((shaped, text))
    value: ColumnElement[Any] = text if kind is Kind.STRING else member
    if kind is Kind.NUMBER:
        value = cast(member, Numeric())
    return case((func.jsonb_typeof(member) == constant(_JSONB_TYPES[kind]), value))


def _postgresql_member(column: Any, path: Sequence[str]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """What lies at ``path``, as JSON and as text."""
    for key in path[:-1]:
        column = column.op("->", return_type=JSONB())(literal(key, Text()))
    if not path:
        return column, column
    key_of = literal(path[-1], Text())
    return column.op("->", return_type=JSONB())(key_of), column.op("->>", return_type=Text())(key_of)


def unguarded_text(node: tree.Node, row: Row) -> tuple[ColumnElement[Any], ColumnElement[Any]] | None:
    """PostgreSQL: a string that is read from JSON, as JSON, whatever it is, and as text; None for another node."""
    if not isinstance(node, tree.Name) or node.type.kind is not Kind.STRING:
        return None
    column = _json_column(node, row)
    return None if column is None else _postgresql_member(column, node.path)


def unguarded_value(node: tree.Node, row: Row) -> tuple[ColumnElement[Any], ColumnElement[Any]] | None:
    """SQLite: a number or string that is read from JSON, whatever it is, and whether it is one; None for another
    node."""
    if not isinstance(node, tree.Name) or node.type.kind not in (Kind.NUMBER, Kind.STRING):
        return None
    column, kind = _json_column(node, row), node.type.kind
    if column is None:
        return None
    where = _sqlite_path(node.path)
    extracted = func.json_extract(column, where, type_=sql_type(kind, "sqlite"))
    return extracted, func.json_type(column, where) == constant(_JSON_TYPES[kind])


def _json_column(node: tree.Name, row: Row) -> ColumnElement[Any] | None:
    """The JSON column in which a name is looked up; None where it is no member of one."""
    if node.inside:
        return None
    columns = {"trigger": row.trigger, "event": row.event, "run": row.data}
    if node.source == "contact" and node.path[0] not in CONTACT_FIELDS:
        columns["contact"] = row.contact_table.c.attributes
    return columns.get(node.source)

"""Reading stored values, guarded by type: what does not have the form of its type is missing, so that nothing that is
stored can make a statement fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from sqlalchemy import BigInteger, Boolean, ColumnElement, Numeric, Text, func, literal, null
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from runner.journey.catalog import CONTACT_FIELDS, OWN_FIELDS
from runner.journey.expression import Expression, tree
from runner.journey.values import Kind, ValueType
from runner.store.composed import composed, named
from runner.store.predicates.row import Row
from runner.store.types import microseconds_of

DATE_SHAPE = "####-[01]#-[0-3]#"
DATETIME_SHAPE = "####-[01]#-[0-3]#T[0-2]#:[0-5]#:[0-5]#.######Z"
_GLOBS = {
    Kind.DATE: DATE_SHAPE.replace("#", "[0-9]"),
    Kind.DATETIME: DATETIME_SHAPE.replace("#", "[0-9]"),
}
_PATTERNS = {kind: "^" + glob.replace(".", "[.]") + "$" for kind, glob in _GLOBS.items()}
_JSON_TYPES = {Kind.STRING: "text", Kind.NUMBER: "integer", Kind.LIST: "array", Kind.OBJECT: "object"}
_JSONB_TYPES = {Kind.STRING: "string", Kind.NUMBER: "number", Kind.LIST: "array", Kind.OBJECT: "object"}


_TYPES: dict[str, dict[Kind, TypeEngine[Any]]] = {
    "sqlite": {Kind.NUMBER: BigInteger(), Kind.BOOLEAN: Boolean()},
    "postgresql": {
        Kind.NUMBER: Numeric(),
        Kind.BOOLEAN: Boolean(),
        Kind.LIST: JSONB(),
        Kind.OBJECT: JSONB(),
    },
}
_TEXT = Text()


def sql_type(kind: Kind, dialect: str) -> TypeEngine[Any]:
    """The SQL type of a value of ``kind``."""
    return _TYPES[dialect].get(kind, _TEXT)


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
    found = read(column, path, base.kind)
    if not inside:
        return found
    keys = [literal(key, Text()) for key in inside]
    return func.journeys_pluck(found, *keys, type_=sql_type(Kind.LIST, dialect))


def _read_sqlite(column: ColumnElement[Any], path: Sequence[str], kind: Kind) -> ColumnElement[Any]:
    if kind is Kind.BOOLEAN:
        pattern = "CASE json_type({0}, {1}) WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"
    elif kind in _GLOBS:
        pattern = (
            f"CASE WHEN json_extract({{0}}, {{1}}) GLOB '{_GLOBS[kind]}' THEN json_extract({{0}}, {{1}}) END"
        )
    else:
        pattern = (
            f"CASE json_type({{0}}, {{1}}) WHEN '{_JSON_TYPES[kind]}' THEN json_extract({{0}}, {{1}}) END"
        )
    return composed(sql_type(kind, "sqlite"), pattern, column, _sqlite_path(path))


def _sqlite_path(path: Sequence[str]) -> ColumnElement[str]:
    return named("$" + "".join(f'."{key}"' for key in path))


def _read_postgresql(column: ColumnElement[Any], path: Sequence[str], kind: Kind) -> ColumnElement[Any]:
    member, text, parts = _postgresql_member(column, path)
    if kind is Kind.BOOLEAN:
        pattern = f"CASE {member} WHEN 'true'::jsonb THEN true WHEN 'false'::jsonb THEN false END"
    elif kind in _PATTERNS:
        pattern = f"CASE WHEN {text} ~ '{_PATTERNS[kind]}' THEN {text} END"
    else:
        value = text if kind is Kind.STRING else f"{member}::numeric" if kind is Kind.NUMBER else member
        pattern = f"CASE WHEN jsonb_typeof({member}) = '{_JSONB_TYPES[kind]}' THEN {value} END"
    return composed(sql_type(kind, "postgresql"), pattern, *parts)


def _postgresql_member(
    column: ColumnElement[Any], path: Sequence[str]
) -> tuple[str, str, list[ColumnElement[Any]]]:
    """What lies at ``path``, as patterns for JSON and for text, and the parts of what they are patterns in."""
    parts = [column, *map(named, path)]
    if not path:
        return "{0}", "{0}", parts
    outer = " -> ".join(f"{{{place}}}" for place in range(len(path)))
    return f"({outer} -> {{{len(path)}}})", f"({outer} ->> {{{len(path)}}})", parts


def unguarded_text(node: tree.Node, row: Row) -> tuple[str, str, list[ColumnElement[Any]]] | None:
    """PostgreSQL: a string that is read from JSON, as patterns of its text, whatever it is, and of whether it is one,
    and their parts; None for another node."""
    if not isinstance(node, tree.Name) or node.type.kind is not Kind.STRING:
        return None
    column = _json_column(node, row)
    if column is None:
        return None
    member, text, parts = _postgresql_member(column, node.path)
    return text, f"jsonb_typeof({member}) = 'string'", parts


def unguarded_value(node: tree.Node, row: Row) -> tuple[str, str, list[ColumnElement[Any]]] | None:
    """SQLite: a number or string that is read from JSON, as patterns of its value, whatever it is, and of whether it is
    one, and their parts; None for another node."""
    if not isinstance(node, tree.Name) or node.type.kind not in (Kind.NUMBER, Kind.STRING):
        return None
    column = _json_column(node, row)
    if column is None:
        return None
    fits = f"json_type({{0}}, {{1}}) = '{_JSON_TYPES[node.type.kind]}'"
    return "json_extract({0}, {1})", fits, [column, _sqlite_path(node.path)]


def _json_column(node: tree.Name, row: Row) -> ColumnElement[Any] | None:
    """The JSON column in which a name is looked up; None where it is no member of one."""
    if node.inside:
        return None
    columns = {"trigger": row.trigger, "event": row.event, "run": row.data}
    if node.source == "contact" and node.path[0] not in CONTACT_FIELDS:
        columns["contact"] = row.contact_table.c.attributes
    return columns.get(node.source)

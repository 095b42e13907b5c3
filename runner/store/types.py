"""Column types and SQL constructs that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Boolean, ColumnElement, Dialect, Text, literal_column
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import JSON, TypeDecorator, TypeEngine

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(instant: datetime) -> int:
    """Microseconds since 1970 of an aware instant. Raises ValueError for a naive one."""
    if instant.tzinfo is None:
        raise ValueError("an instant must carry its time zone")
    return (instant - EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The aware UTC instant that is ``microseconds`` after 1970."""
    return EPOCH + microseconds * _MICROSECOND


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant: ``timestamptz`` on PostgreSQL, integer microseconds since 1970 on SQLite."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        microseconds = to_microseconds(value)
        return value.astimezone(UTC) if dialect.name == "postgresql" else microseconds

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.astimezone(UTC) if isinstance(value, datetime) else from_microseconds(value)


class Json(TypeDecorator[Any]):
    """JSON: ``jsonb`` on PostgreSQL, text on SQLite. ``None`` is SQL NULL, never the JSON null."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(JSONB(none_as_null=True))
        return dialect.type_descriptor(JSON(none_as_null=True))


class ByCodePoint(TypeDecorator[str]):
    """Text compared by code point: SQLite's own order, the "C" collation on PostgreSQL."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Text(collation="C"))
        return dialect.type_descriptor(Text())


class microseconds_of(FunctionElement[int]):
    """Microseconds since 1970 of an instant column, as a 64-bit integer."""

    type = BigInteger()
    inherit_cache = True


@compiles(microseconds_of, "sqlite")
def _sqlite_microseconds_of(element: microseconds_of, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses.clauses[0], **kw)


@compiles(microseconds_of, "postgresql")
def _postgresql_microseconds_of(element: microseconds_of, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(extract(epoch FROM {compiler.process(element.clauses.clauses[0], **kw)}) * 1000000)::bigint"


class instant_of(FunctionElement[datetime]):
    """The instant that is so many microseconds after 1970: the inverse of ``microseconds_of``.

    Exact for all instants whose microseconds fit a double's 53 bits (years 1684 to 2255).
    """

    type = Instant()
    inherit_cache = True


@compiles(instant_of, "sqlite")
def _sqlite_instant_of(element: instant_of, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses.clauses[0], **kw)


@compiles(instant_of, "postgresql")
def _postgresql_instant_of(element: instant_of, compiler: SQLCompiler, **kw: Any) -> str:
    inner = compiler.process(element.clauses.clauses[0], **kw)
    return f"(timestamptz 'epoch' + ({inner}) * interval '1 microsecond')"


class shifted(FunctionElement[datetime]):
    """``shifted(instant, microseconds)``: the instant so many microseconds later (earlier where negative)."""

    type = Instant()
    inherit_cache = True


def _shift_parts(element: shifted, compiler: SQLCompiler, **kw: Any) -> tuple[str, str]:
    instant, microseconds = element.clauses.clauses
    return compiler.process(instant, **kw), compiler.process(microseconds, **kw)


@compiles(shifted, "sqlite")
def _sqlite_shifted(element: shifted, compiler: SQLCompiler, **kw: Any) -> str:
    instant, microseconds = _shift_parts(element, compiler, **kw)
    return f"({instant} + {microseconds})"


@compiles(shifted, "postgresql")
def _postgresql_shifted(element: shifted, compiler: SQLCompiler, **kw: Any) -> str:
    instant, microseconds = _shift_parts(element, compiler, **kw)
    return f"({instant} + ({microseconds}) * interval '1 microsecond')"


class earliest(FunctionElement[datetime]):
    """The earlier of two instants, of which either may be NULL; NULL where both are."""

    type = Instant()
    inherit_cache = True


@compiles(earliest, "postgresql")
def _postgresql_earliest(element: earliest, compiler: SQLCompiler, **kw: Any) -> str:
    return f"least({compiler.process(element.clauses, **kw)})"


@compiles(earliest, "sqlite")
def _sqlite_earliest(element: earliest, compiler: SQLCompiler, **kw: Any) -> str:
    one, other = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    return f"min(coalesce({one}, {other}), coalesce({other}, {one}))"


class json_text(FunctionElement[str]):
    """``json_text(column, constant(key))``: the member as text; NULL where it is missing or null."""

    type = Text()
    inherit_cache = True


@compiles(json_text, "sqlite")
def _sqlite_json_text(element: json_text, compiler: SQLCompiler, **kw: Any) -> str:
    column, key = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    return f"json_extract({column}, '$.' || {key})"


@compiles(json_text, "postgresql")
def _postgresql_json_text(element: json_text, compiler: SQLCompiler, **kw: Any) -> str:
    column, key = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    return f"({column} ->> {key})"


class json_true(FunctionElement[bool]):
    """``json_true(column, constant(key))``: whether the member is true."""

    type = Boolean()
    inherit_cache = True


@compiles(json_true, "sqlite")
def _sqlite_json_true(element: json_true, compiler: SQLCompiler, **kw: Any) -> str:
    column, key = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    return f"(coalesce(json_type({column}, '$.' || {key}), '') = 'true')"


@compiles(json_true, "postgresql")
def _postgresql_json_true(element: json_true, compiler: SQLCompiler, **kw: Any) -> str:
    column, key = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    return f"(coalesce({column} ->> {key}, '') = 'true')"


class json_has(FunctionElement[bool]):
    """``json_has(column, constant(key))``: whether the object has the member, be it null."""

    type = Boolean()
    inherit_cache = True


@compiles(json_has, "sqlite")
def _sqlite_json_has(element: json_has, compiler: SQLCompiler, **kw: Any) -> str:
    column, key = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    return f"(json_type({column}, '$.' || {key}) IS NOT NULL)"


@compiles(json_has, "postgresql")
def _postgresql_json_has(element: json_has, compiler: SQLCompiler, **kw: Any) -> str:
    column, key = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    return f"({column} ? {key})"


class json_merged(FunctionElement[Any]):
    """``json_merged(column, changes)``: the object with the members of ``changes`` set, those that are null removed."""

    type = Json()
    inherit_cache = True


@compiles(json_merged, "sqlite")
def _sqlite_json_merged(element: json_merged, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_patch({compiler.process(element.clauses, **kw)})"


@compiles(json_merged, "postgresql")
def _postgresql_json_merged(element: json_merged, compiler: SQLCompiler, **kw: Any) -> str:
    column, changes = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    return f"jsonb_strip_nulls({column} || ({changes}))"


class json_without(FunctionElement[Any]):
    """``json_without(column, constant(key), …)``: the object without those members."""

    type = Json()
    inherit_cache = True


@compiles(json_without, "sqlite")
def _sqlite_json_without(element: json_without, compiler: SQLCompiler, **kw: Any) -> str:
    column, *keys = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    paths = ", ".join(f"'$.' || {key}" for key in keys)
    return f"json_remove({column}, {paths})"


@compiles(json_without, "postgresql")
def _postgresql_json_without(element: json_without, compiler: SQLCompiler, **kw: Any) -> str:
    column, *keys = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    return f"({column} - ARRAY[{', '.join(keys)}]::text[])"


class tags_changed(FunctionElement[Any]):
    """``tags_changed(tags, added, removed)``: three JSON arrays; the sorted array of the tags that result, each once.

    Sorted by code point. A tag both added and removed is removed.
    """

    type = Json()
    inherit_cache = True


@compiles(tags_changed, "sqlite")
def _sqlite_tags_changed(element: tags_changed, compiler: SQLCompiler, **kw: Any) -> str:
    tags, added, removed = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    return (
        "(SELECT json_group_array(value) FROM (SELECT DISTINCT value FROM (SELECT value FROM json_each("
        f"{tags}) UNION SELECT value FROM json_each({added})) "
        f"WHERE value NOT IN (SELECT value FROM json_each({removed})) ORDER BY value))"
    )


@compiles(tags_changed, "postgresql")
def _postgresql_tags_changed(element: tags_changed, compiler: SQLCompiler, **kw: Any) -> str:
    tags, added, removed = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    return (
        "(SELECT coalesce(jsonb_agg(to_jsonb(tag) ORDER BY tag COLLATE \"C\"), '[]'::jsonb) FROM (SELECT "
        f"jsonb_array_elements_text({tags}) AS tag UNION SELECT jsonb_array_elements_text(({added})::jsonb)) AS found "
        f"WHERE NOT ({removed})::jsonb ? tag)"
    )


class json_member(FunctionElement[Any]):
    """``json_member(column, constant(key))``: the array or object there, as JSON; NULL where missing or null."""

    type = Json()
    inherit_cache = True


@compiles(json_member, "sqlite")
def _sqlite_json_member(element: json_member, compiler: SQLCompiler, **kw: Any) -> str:
    column, key = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    return f"json_extract({column}, '$.' || {key})"


@compiles(json_member, "postgresql")
def _postgresql_json_member(element: json_member, compiler: SQLCompiler, **kw: Any) -> str:
    column, key = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    return f"nullif({column} -> {key}, 'null'::jsonb)"


class json_object(FunctionElement[Any]):
    """``json_object(key, value, …)``: a new object; each value is JSON already."""

    type = Json()
    inherit_cache = True


@compiles(json_object, "sqlite")
def _sqlite_json_object(element: json_object, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_object({compiler.process(element.clauses, **kw)})"


@compiles(json_object, "postgresql")
def _postgresql_json_object(element: json_object, compiler: SQLCompiler, **kw: Any) -> str:
    return f"jsonb_build_object({compiler.process(element.clauses, **kw)})"


class json_list(FunctionElement[Any]):
    """``json_list(value, …)``: a new array; each value is JSON already."""

    type = Json()
    inherit_cache = True


@compiles(json_list, "sqlite")
def _sqlite_json_list(element: json_list, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_array({compiler.process(element.clauses, **kw)})"


@compiles(json_list, "postgresql")
def _postgresql_json_list(element: json_list, compiler: SQLCompiler, **kw: Any) -> str:
    return f"jsonb_build_array({compiler.process(element.clauses, **kw)})"


class json_with(FunctionElement[Any]):
    """``json_with(column, key, value)``: the object with that member, whatever it held there before."""

    type = Json()
    inherit_cache = True


@compiles(json_with, "sqlite")
def _sqlite_json_with(element: json_with, compiler: SQLCompiler, **kw: Any) -> str:
    column, key, value = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    return f"json_set({column}, '$.\"' || {key} || '\"', json({value}))"


@compiles(json_with, "postgresql")
def _postgresql_json_with(element: json_with, compiler: SQLCompiler, **kw: Any) -> str:
    column, key, value = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    return f"({column} || jsonb_build_object({key}::text, {value}))"


class json_list_of(FunctionElement[Any]):
    """``json_list_of(value, at, id)``, an aggregate: the array of JSON values in the order of the other two.

    Before 3.44 SQLite takes them as they come, so the rows must come in that order already.
    """

    type = Json()
    inherit_cache = True


@compiles(json_list_of, "sqlite")
def _sqlite_json_list_of(element: json_list_of, compiler: SQLCompiler, **kw: Any) -> str:
    value = compiler.process(element.clauses.clauses[0], **kw)
    return f"json_group_array(json({value}))"


@compiles(json_list_of, "postgresql")
def _postgresql_json_list_of(element: json_list_of, compiler: SQLCompiler, **kw: Any) -> str:
    value, at, identity = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    return f"coalesce(jsonb_agg({value} ORDER BY {at}, {identity}), '[]'::jsonb)"


class json_is_empty(FunctionElement[bool]):
    """``json_is_empty(column, key)``: whether the array there has no members."""

    type = Boolean()
    inherit_cache = True


@compiles(json_is_empty, "sqlite")
def _sqlite_json_is_empty(element: json_is_empty, compiler: SQLCompiler, **kw: Any) -> str:
    column, key = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    return f"(json_array_length({column}, '$.\"' || {key} || '\"') = 0)"


@compiles(json_is_empty, "postgresql")
def _postgresql_json_is_empty(element: json_is_empty, compiler: SQLCompiler, **kw: Any) -> str:
    column, key = (compiler.process(clause, **kw) for clause in element.clauses.clauses)
    return f"({column} -> {key}::text = '[]'::jsonb)"


def constant(value: str | int) -> ColumnElement[Any]:
    """A literal in the SQL text itself, so that partial indexes and generic plans can see it. Never for users' data."""
    if isinstance(value, int):
        return literal_column(str(value), BigInteger())
    if not value.replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"not a constant of ours: {value!r}")
    return literal_column(f"'{value}'", Text())

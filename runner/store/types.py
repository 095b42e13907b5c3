"""Column types and SQL constructs that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import BigInteger, Boolean, ColumnElement, Dialect, Text, literal_column
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import JSON, TypeDecorator, TypeEngine

Construct = TypeVar("Construct", bound=FunctionElement[Any])

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


def _written(*, sqlite: str, postgresql: str) -> Callable[[type[Construct]], type[Construct]]:
    """How a construct is written: ``{0}``, ``{1}`` stand for its arguments, ``{all}`` for all of them."""

    def having(construct: type[Construct]) -> type[Construct]:
        for dialect, pattern in (("sqlite", sqlite), ("postgresql", postgresql)):
            compiles(construct, dialect)(partial(_filled, pattern))
        return construct

    return having


def _filled(pattern: str, element: FunctionElement[Any], compiler: SQLCompiler, **kw: Any) -> str:
    parts = [compiler.process(clause, **kw) for clause in element.clauses.clauses]
    return pattern.format(*parts, all=", ".join(parts))


@_written(
    sqlite="{0}",
    postgresql="(extract(epoch FROM {0}) * 1000000)::bigint",
)
class microseconds_of(FunctionElement[int]):
    """Microseconds since 1970 of an instant column, as a 64-bit integer."""

    type = BigInteger()
    inherit_cache = True


@_written(
    sqlite="{0}",
    postgresql="(timestamptz 'epoch' + ({0}) * interval '1 microsecond')",
)
class instant_of(FunctionElement[datetime]):
    """The instant that is so many microseconds after 1970: the inverse of ``microseconds_of``.

    Exact for all instants whose microseconds fit a double's 53 bits (years 1684 to 2255).
    """

    type = Instant()
    inherit_cache = True


@_written(
    sqlite="({0} + {1})",
    postgresql="({0} + ({1}) * interval '1 microsecond')",
)
class shifted(FunctionElement[datetime]):
    """``shifted(instant, microseconds)``: the instant so many microseconds later (earlier where negative)."""

    type = Instant()
    inherit_cache = True


@_written(
    sqlite="min(coalesce({0}, {1}), coalesce({1}, {0}))",
    postgresql="least({all})",
)
class earliest(FunctionElement[datetime]):
    """The earlier of two instants, of which either may be NULL; NULL where both are."""

    type = Instant()
    inherit_cache = True


@_written(
    sqlite="json_extract({0}, '$.' || {1})",
    postgresql="({0} ->> {1})",
)
class json_text(FunctionElement[str]):
    """``json_text(column, constant(key))``: the member as text; NULL where it is missing or null."""

    type = Text()
    inherit_cache = True


@_written(
    sqlite="(coalesce(json_type({0}, '$.' || {1}), '') = 'true')",
    postgresql="(coalesce({0} ->> {1}, '') = 'true')",
)
class json_true(FunctionElement[bool]):
    """``json_true(column, constant(key))``: whether the member is true."""

    type = Boolean()
    inherit_cache = True


@_written(
    sqlite="(json_type({0}, '$.' || {1}) IS NOT NULL)",
    postgresql="({0} ? {1})",
)
class json_has(FunctionElement[bool]):
    """``json_has(column, constant(key))``: whether the object has the member, be it null."""

    type = Boolean()
    inherit_cache = True


@_written(
    sqlite="json_patch({all})",
    postgresql="jsonb_strip_nulls({0} || ({1}))",
)
class json_merged(FunctionElement[Any]):
    """``json_merged(column, changes)``: the object with the members of ``changes`` set, those that are null removed."""

    type = Json()
    inherit_cache = True


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


@_written(
    sqlite=(
        "(SELECT json_group_array(value) FROM (SELECT DISTINCT value FROM (SELECT value FROM "
        "json_each({0}) UNION SELECT value FROM json_each({1})) WHERE value NOT IN (SELECT value "
        "FROM json_each({2})) ORDER BY value))"
    ),
    postgresql=(
        "(SELECT coalesce(jsonb_agg(to_jsonb(tag) ORDER BY tag COLLATE \"C\"), '[]'::jsonb) FROM "
        "(SELECT jsonb_array_elements_text({0}) AS tag UNION SELECT "
        "jsonb_array_elements_text(({1})::jsonb)) AS found WHERE NOT ({2})::jsonb ? tag)"
    ),
)
class tags_changed(FunctionElement[Any]):
    """``tags_changed(tags, added, removed)``: three JSON arrays; the sorted array of the tags that result, each once.

    Sorted by code point. A tag both added and removed is removed.
    """

    type = Json()
    inherit_cache = True


@_written(
    sqlite="json_extract({0}, '$.' || {1})",
    postgresql="nullif({0} -> {1}, 'null'::jsonb)",
)
class json_member(FunctionElement[Any]):
    """``json_member(column, constant(key))``: the array or object there, as JSON; NULL where missing or null."""

    type = Json()
    inherit_cache = True


@_written(
    sqlite="json_object({all})",
    postgresql="jsonb_build_object({all})",
)
class json_object(FunctionElement[Any]):
    """``json_object(key, value, …)``: a new object; each value is JSON already."""

    type = Json()
    inherit_cache = True


@_written(
    sqlite="json_array({all})",
    postgresql="jsonb_build_array({all})",
)
class json_list(FunctionElement[Any]):
    """``json_list(value, …)``: a new array; each value is JSON already."""

    type = Json()
    inherit_cache = True


@_written(
    sqlite="json_set({0}, '$.\"' || {1} || '\"', json({2}))",
    postgresql="({0} || jsonb_build_object({1}::text, {2}))",
)
class json_with(FunctionElement[Any]):
    """``json_with(column, key, value)``: the object with that member, whatever it held there before."""

    type = Json()
    inherit_cache = True


@_written(
    sqlite="json_group_array(json({0}))",
    postgresql="coalesce(jsonb_agg({0} ORDER BY {1}, {2}), '[]'::jsonb)",
)
class json_list_of(FunctionElement[Any]):
    """``json_list_of(value, at, id)``, an aggregate: the array of JSON values in the order of the other two.

    Before 3.44 SQLite takes them as they come, so the rows must come in that order already.
    """

    type = Json()
    inherit_cache = True


@_written(
    sqlite="(json_array_length({0}) = 0)",
    postgresql="(jsonb_array_length({0}) = 0)",
)
class json_list_is_empty(FunctionElement[bool]):
    """``json_list_is_empty(array)``: whether the array has no members."""

    type = Boolean()
    inherit_cache = True


def constant(value: str | int) -> ColumnElement[Any]:
    """A literal in the SQL text itself, so that partial indexes and generic plans can see it. Never for users' data."""
    if isinstance(value, int):
        return literal_column(str(value), BigInteger())
    if not value.replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"not a constant of ours: {value!r}")
    return literal_column(f"'{value}'", Text())

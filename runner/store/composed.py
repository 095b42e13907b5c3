"""SQL that is written out, around what others have put together.

SQLAlchemy builds a statement from small objects, and reads each of them several times. Of an expression over people
there would be hundreds. What is written out is one object however much SQL it holds, and what it holds more than once
is compiled once. A pattern is of our own words alone: what an author wrote is a part, and a parameter.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeEngine


class composed(ColumnElement[Any]):
    """``pattern`` with ``parts`` in the place of ``{0}``, ``{1}``, …; it stands in brackets where it needs any.

    ``{join}`` is an inner join whose tables are read in the order in which they stand, ``{apart}`` stands at the end of
    a query in a FROM that is not to be folded into what stands around it.
    """

    __visit_name__ = "composed"
    inherit_cache = True
    _traverse_internals = [  # noqa: RUF012 (as SQLAlchemy has it)
        ("pattern", InternalTraversal.dp_string),
        ("parts", InternalTraversal.dp_clauseelement_tuple),
        ("type", InternalTraversal.dp_type),
    ]

    def __init__(self, type: TypeEngine[Any], pattern: str, *parts: ColumnElement[Any]) -> None:
        self.type = type
        self.pattern = pattern
        self.parts = parts

    @property
    def _from_objects(self) -> list[Any]:
        return [found for part in self.parts for found in part._from_objects]

    def self_group(self, against: Any = None) -> composed:  # noqa: ARG002
        return self

    def _negate(self) -> composed:
        return composed(_BOOLEAN, "(NOT {0})", self)


class looked_up(composed):
    """The same, a query of its own in brackets: the tables that it is about are no business of what stands around."""

    inherit_cache = True

    @property
    def _from_objects(self) -> list[Any]:
        return []


_BOOLEAN, _TEXT = Boolean(), Text()
_SQLITE = {"join": "CROSS JOIN", "apart": ""}
_POSTGRESQL = {"join": "JOIN", "apart": " OFFSET 0"}


@compiles(composed)
@compiles(looked_up)
def _written_out(element: composed, compiler: SQLCompiler, **kw: Any) -> str:
    parts = [part._compiler_dispatch(compiler, **kw) for part in element.parts]
    return element.pattern.format(
        *parts, **(_POSTGRESQL if compiler.dialect.name == "postgresql" else _SQLITE)
    )


def condition(pattern: str, *parts: ColumnElement[Any]) -> composed:
    """A condition; its pattern stands in brackets."""
    return composed(_BOOLEAN, pattern, *parts)


@lru_cache(maxsize=4_096)
def named(text: str) -> ColumnElement[str]:
    """A name that an author gave to something, as a parameter; one object for all that mention it."""
    return literal(text, _TEXT)

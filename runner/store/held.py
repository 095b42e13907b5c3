"""The partitions that a transaction holds, named by each statement that reads or writes what belongs to contacts.

On one server the name is a set and costs next to nothing. On a distributed one it is a single partition, named by
equality, and tells on which node the statement runs: see docs/scale-out.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, Boolean, ColumnElement, Connection, SmallInteger, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

HELD, FIRST, LAST = "held", "held_first", "held_last"
"""The parameters of the statements that name them."""
_HELD, _ALONE = "held partitions", "one held partition"


class held(ColumnElement[bool]):
    """``column`` is one of the partitions that the transaction holds. SQLite has one file, and need not be told."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, column: ColumnElement[int]) -> None:
        self.column = column
        self.several = bindparam(HELD, type_=ARRAY(SmallInteger))
        self.one = bindparam(HELD, type_=SmallInteger())


class held_at_work(held):
    """The same of a working table, which has rows of no others: several are named by the first and the last of them.
    Each row costs two comparisons then, and not one with each partition."""

    inherit_cache = False

    def __init__(self, column: ColumnElement[int]) -> None:
        super().__init__(column)
        self.first, self.last = (bindparam(name, type_=SmallInteger()) for name in (FIRST, LAST))


@compiles(held)
def _on_sqlite(_element: held, _compiler: SQLCompiler, **_kw: Any) -> str:
    return "1"


@compiles(held, "postgresql")
def _on_postgresql(element: held, compiler: SQLCompiler, *, alone: bool = False, **kw: Any) -> str:
    column = compiler.process(element.column, **kw)
    if alone:
        return f"{column} = {compiler.process(element.one, **kw)}"
    return f"{column} = ANY ({compiler.process(element.several, **kw)})"


@compiles(held_at_work, "postgresql")
def _of_working_table(element: held_at_work, compiler: SQLCompiler, *, alone: bool = False, **kw: Any) -> str:
    if alone:
        return _on_postgresql(element, compiler, alone=alone, **kw)
    column, first, last = (
        compiler.process(each, **kw) for each in (element.column, element.first, element.last)
    )
    return f"{column} BETWEEN {first} AND {last}"


def hold(connection: Connection, partitions: Sequence[int], *, alone: bool = False) -> None:
    """The statements of this connection name ``partitions`` from now on; ``alone``: by equality, one at a time."""
    connection.info[_HELD] = {
        HELD: partitions[0] if alone and partitions else list(partitions),
        FIRST: min(partitions, default=None),
        LAST: max(partitions, default=None),
    }
    connection.info[_ALONE] = alone


def alone(connection: Connection) -> bool:
    """Whether statements name one partition by equality."""
    return bool(connection.info.get(_ALONE, False))


def names_of_held(connection: Connection) -> Mapping[str, Any]:
    """What the parameters of the held partitions stand for; nothing where the connection holds none."""
    found: Mapping[str, Any] = connection.info.get(_HELD, {})
    return found

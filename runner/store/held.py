"""The partitions that a transaction holds, named by each statement that reads or writes what belongs to contacts.

On one server the name is a set and costs next to nothing. On a distributed one it is a single partition, named by
equality, and tells on which node the statement runs: see docs/scale-out.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, Boolean, ColumnElement, Connection, SmallInteger, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

HELD = "held"
"""The parameter of the statements that name them."""
_HELD, _ALONE = "held partitions", "one held partition"


class held(ColumnElement[bool]):
    """``column`` is one of the partitions that the transaction holds. SQLite has one file, and need not be told."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, column: ColumnElement[int]) -> None:
        self.column = column
        self.several = bindparam(HELD, type_=ARRAY(SmallInteger))
        self.one = bindparam(HELD, type_=SmallInteger())


@compiles(held)
def _on_sqlite(_element: held, _compiler: SQLCompiler, **_kw: Any) -> str:
    return "1"


@compiles(held, "postgresql")
def _on_postgresql(element: held, compiler: SQLCompiler, *, alone: bool = False, **kw: Any) -> str:
    column = compiler.process(element.column, **kw)
    if alone:
        return f"{column} = {compiler.process(element.one, **kw)}"
    return f"{column} = ANY ({compiler.process(element.several, **kw)})"


def hold(connection: Connection, partitions: Sequence[int], *, alone: bool = False) -> None:
    """The statements of this connection name ``partitions`` from now on; ``alone``: by equality, one at a time."""
    connection.info[_HELD] = list(partitions)
    connection.info[_ALONE] = alone


def alone(connection: Connection) -> bool:
    """Whether statements name one partition by equality."""
    return bool(connection.info.get(_ALONE, False))


def value_of_held(connection: Connection) -> Any:
    """What the parameter HELD stands for."""
    partitions = connection.info[_HELD]
    return partitions[0] if alone(connection) else partitions

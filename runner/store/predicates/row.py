"""Where an expression finds its values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Table
from sqlalchemy.sql.selectable import NamedFromClause


@dataclass(frozen=True, kw_only=True)
class Row:
    """SQL columns of the row that an expression is read for.

    ``contact_table`` is the contact's table or an alias of it, joined; ``zone`` is never NULL. Columns that are None
    are missing: what would be read from them is None.
    """

    partition: ColumnElement[int]
    contact: ColumnElement[int]
    """The contact's id."""
    contact_table: FromClause
    zone: ColumnElement[str]
    instant: ColumnElement[Any]
    """When the expression is read: an Instant column."""
    trigger: ColumnElement[Any] | None = None
    """JSON: the properties of the event that started the run."""
    data: ColumnElement[Any] | None = None
    """JSON: ``run.NAME``."""
    event: ColumnElement[Any] | None = None
    """JSON: the properties of the event being looked at."""
    run: ColumnElement[int] | None = None
    """The run's id."""
    entered_at: ColumnElement[Any] | None = None
    level: int = 0
    """How many look-ups deep the expression stands within another."""
    own: ColumnElement[int] | None = None
    """Where ``contact`` is a colleague: the id of the contact for whom the expression is read."""
    gathered: Callable[[Any, Any], ColumnElement[Any] | None] | None = None
    """Where the past is gathered for all rows at once (see ``gathered.py``): the value of a history function, None
    for one that is looked up row by row."""

    def alias(self, table: Table, use: str = "") -> NamedFromClause:
        """``table`` under a name that nothing around it has: one a level, and a ``use`` where a look-up needs several.

        An alias makes all its columns anew, which takes longer than all else that a look-up consists of: they are kept.
        """
        return _alias(table, self.level, use)

    def without_run(self) -> Row:
        """The same contact at the same instant, as a segment sees it."""
        return Row(
            partition=self.partition,
            contact=self.contact,
            contact_table=self.contact_table,
            zone=self.zone,
            instant=self.instant,
            level=self.level,
            own=self.own,
            gathered=self.gathered,
        )


@cache
def _alias(table: Table, level: int, use: str) -> NamedFromClause:
    return table.alias(f"{table.name}{level}{use}")

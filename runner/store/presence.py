"""Whether there is such a row, and whether a row is such, asked row by row."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, case, false, literal_column, select, true


def is_there(rows: FromClause, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether one of ``rows`` fulfils the conditions, which name columns of the statement around it.

    Asked for a value, where EXISTS would do: of an EXISTS that is no condition by itself PostgreSQL may read the whole
    index, once a statement, to answer from memory. That is quick while a table is small, and ruinous later.
    """
    one: Select[Any] = select(literal_column("1")).select_from(rows).where(*conditions)
    return one.limit(literal_column("1")).scalar_subquery().is_not(None)


def asked_of_each(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """``condition``, about when rows are due that are found by their contact. Hidden from the planners: they would
    believe that few are due, and read for each contact all those of its partition from the index of what is due."""
    return case((condition, true()), else_=false())

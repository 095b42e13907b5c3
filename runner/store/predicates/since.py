"""The events of a contact since an instant, as a query for each row."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal_column, or_

from runner.journey.expression import Expression, tree
from runner.store import tables
from runner.store.predicates.compile import Compiler
from runner.store.predicates.history import looked_at
from runner.store.predicates.row import Row


def events_since(
    row: Row,
    dialect: str,
    name: str,
    where: Expression | None,
    since: ColumnElement[Any],
    *,
    after: ColumnElement[Any] | None = None,
) -> tuple[Any, Select[Any]]:
    """The handled events ``name`` for which ``where`` holds at ``row``'s instant, from ``since`` on.

    Of those at ``since`` itself only the ones that were received after the event ``after``, where that is given and not
    NULL. Answers the event's columns, and a query for its id to be ordered and limited.
    """
    event = row.alias(tables.event, "since")
    asked = tree.Did(event=name, where=where.tree if where else None)
    found = looked_at(Compiler(row, dialect), asked, event, event.c.id).where(event.c.at >= since)
    if after is not None:
        later = event.c.id > func.coalesce(after, literal_column("0"))
        found = found.where(or_(event.c.at > since, and_(event.c.at == since, later)))
    return event, found

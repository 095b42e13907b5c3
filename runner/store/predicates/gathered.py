"""The past of everybody at once.

Where a statement reads all contacts, PostgreSQL is faster when the events that a history function looks at are grouped
by contact once and joined, than when they are looked up contact by contact. SQLite is not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

from sqlalchemy import ColumnElement, FromClause, and_, func, literal_column, select

from runner.journey.expression import tree
from runner.store import tables
from runner.store.predicates.history import Aggregate, aggregate, conditions

if TYPE_CHECKING:
    from sqlalchemy.sql.selectable import Subquery

    from runner.store.predicates.compile import Compiler

Sql = ColumnElement[Any]


class Gathered:
    """The groups that one statement needs. ``Gathered.value`` goes into its ``Row``, whose instant must be the same for
    all rows; ``joined`` adds the groups to its FROM once the condition is compiled.

    ``within`` narrows the events to the partitions that the statement reads, given the partition's column.
    """

    def __init__(self, within: Callable[[Sql], Sql] | None = None) -> None:
        self._within = within
        self._groups: dict[tree.History, Subquery] = {}

    def value(self, compiler: Compiler, node: tree.History) -> Sql | None:
        """The value of ``node`` from its group; None where it must be looked up row by row."""
        if not isinstance(node, Aggregate) or node.by_account or not _of_the_event_alone(node):
            return None
        group = self._groups.get(node)
        if group is None:
            group = self._groups[node] = self._group(compiler, node)
        found: Sql = group.c.value
        return found if isinstance(node, tree.DaysSince) else func.coalesce(found, literal_column("0"))

    def joined(self, rows: FromClause, partition: Sql, contact: Sql) -> FromClause:
        """``rows`` with every group, on the columns that name a row's contact."""
        for group in self._groups.values():
            rows = rows.outerjoin(group, and_(group.c.partition == partition, group.c.contact == contact))
        return rows

    def _group(self, compiler: Compiler, node: Aggregate) -> Subquery:
        event = tables.event.alias("gathered")
        query = (
            select(
                event.c.partition,
                event.c.contact,
                compiler.number(aggregate(compiler, node, event)).label("value"),
            )
            .where(conditions(compiler, node, event))
            .group_by(event.c.partition, event.c.contact)
        )
        return (query.where(self._within(event.c.partition)) if self._within else query).subquery()


def _of_the_event_alone(node: tree.History) -> bool:
    """Whether the condition on the events, if any, reads nothing of the contact."""
    if node.where is None:
        return True
    other = (tree.Clock, *get_args(tree.Recorded))
    return not any(
        isinstance(part, other) or (isinstance(part, tree.Name) and part.source != "event")
        for part in tree.walk(node.where)
    )

"""Reads a statement of PostgreSQL and says which of its tables are not tied to a named partition.

On Citus a statement runs on one node if each table in it is equated, by its ``partition``, with the others and with a
value. What is checked here is just that: equations are followed through joins, correlated subqueries, common table
expressions and derived tables. See docs/scale-out.md.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator

import sqlglot
from sqlglot import exp

from runner.store.passes.working import working
from runner.store.tables import metadata

CONTACT_OWNED = frozenset(
    name for name, table in metadata.tables.items() if "partition" in table.primary_key.columns
)
WORKING = frozenset(name for name, table in working.tables.items() if "partition" in table.columns)
PARTITIONED = CONTACT_OWNED | WORKING
NAMED = "a named value"


def untied_tables(statement: str) -> list[str]:
    """The partitioned tables of ``statement`` whose partition is not equated with a value, or kept between two, as they
    are written."""
    tree = sqlglot.parse_one(re.sub(r"%\((\w+)\)s", r":\1", statement), read="postgres")
    ties = _Ties()
    for block in tree.find_all(exp.Select, exp.Update, exp.Delete, exp.Insert):
        for table in _sources(block).values():
            _tie_derived(ties, table)
    for block in tree.find_all(exp.Insert):
        _tie_inserted(ties, block)
    for equation in tree.find_all(exp.EQ):
        if _is_certain(equation):
            for one, other in ((equation.left, equation.right), (equation.right, equation.left)):
                if (node := _partition(one)) is not None:
                    _tie_to(ties, node, other)
    for span in tree.find_all(exp.Between):
        if _is_certain(span) and (node := _partition(span.this)) is not None:
            _tie_to(ties, node, span.args["low"])
    return [
        f"{table.name} {table.alias}".strip()
        for table in tree.find_all(exp.Table)
        if table.name in PARTITIONED and not _is_common(table) and not ties.tied(_node(table), NAMED)
    ]


class _Ties:
    """Things that are equal to each other."""

    def __init__(self) -> None:
        self._above: dict[Hashable, Hashable] = {}

    def root(self, thing: Hashable) -> Hashable:
        while thing in self._above:
            thing = self._above[thing]
        return thing

    def tie(self, one: Hashable, other: Hashable) -> None:
        if (above := self.root(one)) != (below := self.root(other)):
            self._above[above] = below

    def tied(self, one: Hashable, other: Hashable) -> bool:
        return self.root(one) == self.root(other)


def _node(source: exp.Expression) -> Hashable:
    return id(source)


def _sources(block: exp.Expression) -> dict[str, exp.Expression]:
    """What a SELECT, UPDATE, DELETE or INSERT reads from or writes to, by the name that columns call it."""
    found: dict[str, exp.Expression] = {}
    parts: list[exp.Expression] = []
    target = block.this if isinstance(block, exp.Update | exp.Delete | exp.Insert) else None
    if target is not None:
        parts.append(target.this if isinstance(target, exp.Schema) else target)
    for clause in (block.args.get("from") or block.args.get("from_"), *(block.args.get("joins") or ())):
        if clause is not None:
            parts.append(clause.this)
            parts += [join.this for join in clause.this.args.get("joins") or ()]
    for part in parts:
        if isinstance(part, exp.Table | exp.Subquery | exp.Lateral):
            found.setdefault(part.alias_or_name, part)
    return found


def _partition(column: exp.Expression) -> Hashable | None:
    """The source whose partition ``column`` is; None for anything else."""
    if not isinstance(column, exp.Column) or column.name != "partition":
        return None
    block: exp.Expression | None = column
    while block is not None:
        if isinstance(block, exp.Select | exp.Update | exp.Delete | exp.Insert):
            sources = _sources(block)
            if column.table in sources:
                return _node(sources[column.table])
            if not column.table and len(sources) == 1:
                return _node(next(iter(sources.values())))
        block = block.parent
    return None


def _tie_to(ties: _Ties, node: Hashable, value: exp.Expression) -> None:
    value = value.unnest()
    while isinstance(value, exp.Cast):
        value = value.this
    if isinstance(value, exp.Any):
        value = value.this.unnest()
        while isinstance(value, exp.Cast):
            value = value.this
    other = _partition(value)
    if other is not None:
        ties.tie(node, other)
    elif isinstance(value, exp.Placeholder | exp.Parameter | exp.Literal):
        ties.tie(node, NAMED)


def _is_certain(equation: exp.Expression) -> bool:
    """Whether the equation holds for each row of its block: it is not one side of an OR, nor part of a value."""
    above = equation.parent
    while isinstance(above, exp.And | exp.Paren):
        above = above.parent
    return isinstance(above, exp.Where | exp.Join)


def _selects(query: exp.Expression) -> Iterator[exp.Select]:
    """The SELECTs whose rows a query gives: several behind a UNION."""
    query = query.unnest()
    if isinstance(query, exp.SetOperation):
        yield from _selects(query.this)
        yield from _selects(query.expression)
    elif isinstance(query, exp.Select):
        yield query


def _is_common(table: exp.Expression) -> bool:
    return _common(table) is not None


def _common(table: exp.Expression) -> exp.Expression | None:
    """The query of the common table expression that ``table`` names, if it names one."""
    block = table.parent
    while block is not None:
        for common in (
            block.args.get("with") or block.args.get("with_") or exp.With(expressions=[])
        ).expressions:
            if common.alias == table.name:
                return common.this  # type: ignore[no-any-return]
        block = block.parent
    return None


def _tie_derived(ties: _Ties, source: exp.Expression) -> None:
    """A derived table's partition is what its query gives under that name."""
    query = _common(source) if isinstance(source, exp.Table) else source.this
    if query is None or (isinstance(source, exp.Table) and not _is_common(source)):
        return
    for select in _selects(query):
        for column in select.expressions:
            if column.alias_or_name == "partition":
                _tie_to(ties, _node(source), column.unalias())


def _tie_inserted(ties: _Ties, insert: exp.Insert) -> None:
    """What is inserted into a partition is what the query gives at its place."""
    if not isinstance(insert.this, exp.Schema) or insert.expression is None:
        return
    names = [column.name for column in insert.this.expressions]
    if "partition" in names:
        rows = insert.expression
        for row in rows.expressions if isinstance(rows, exp.Values) else _selects(rows):
            _tie_to(ties, _node(insert.this.this), row.expressions[names.index("partition")].unalias())

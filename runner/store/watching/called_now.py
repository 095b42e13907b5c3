"""Steps by the names that they have today: what was counted under an earlier one counts under that."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, FromClause, and_, case, literal, select

from runner.store.tables import journey

StepNames = Mapping[tuple[str, str], str]
"""By journey and an earlier id of a step, the id that it has now."""
NO_NAMES: StepNames = {}
"""For whoever speaks of steps by the names that they had."""


def kept_renames(connection: Connection) -> dict[str, Mapping[str, str] | None]:
    """By journey, the renames of its steps that were ever applied; None where nobody has kept them."""
    return {row.name: row.renames for row in connection.execute(select(journey.c.name, journey.c.renames))}


def step_now(table: FromClause, names: StepNames) -> ColumnElement[str]:
    """The column ``step`` of ``table``, which has one ``journey`` as well, with today's names in it."""
    step: ColumnElement[str] = table.c.step
    if not names:
        return step
    renamed = [
        (and_(table.c.journey == literal(of), step == literal(was)), literal(now))
        for (of, was), now in sorted(names.items())
    ]
    return case(*renamed, else_=step)


def with_names(table: FromClause, names: StepNames) -> FromClause:
    """``table`` with today's names of steps; itself where nothing was renamed."""
    if not names:
        return table
    columns = [column for column in table.c if column.name != "step"]
    return select(*columns, step_now(table, names).label("step")).subquery(f"{table.description}_now")

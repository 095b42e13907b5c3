"""What revisions do to tables that are in use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alembic import op
from sqlalchemy import TextClause, text


def create_index(
    name: str,
    table: str,
    columns: Sequence[str | TextClause],
    *,
    where: str | None = None,
    unique: bool = False,
) -> None:
    """Make an index while others write to the table (PostgreSQL: CONCURRENTLY, outside of any transaction).

    ``columns`` may be expressions as well; ``where`` is the condition of a partial index. They mean the same on both
    databases. What an attempt that was cut short has left is removed first. A revision that calls this does nothing
    else: on PostgreSQL it is not undone whole.
    """
    condition = None if where is None else text(where)
    made: dict[str, Any] = {"unique": unique, "postgresql_where": condition, "sqlite_where": condition}
    in_use = op.get_bind().execute(text(f"SELECT EXISTS (SELECT 1 FROM {table})")).scalar_one()
    if op.get_context().dialect.name != "postgresql" or not in_use:
        # Where nothing is to be held up, CONCURRENTLY would only wait for all transactions of the whole database.
        op.execute(f"DROP INDEX IF EXISTS {name}")
        op.create_index(name, table, list(columns), **made)
        return
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.create_index(name, table, list(columns), **made, postgresql_concurrently=True)

"""Who has a message behind them: what a plan asks about messages that are renamed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, and_, exists, func, select

from runner.store.passes.timeline import ACTIVE
from runner.store.tables import message, run


def passed(connection: Connection, version: int, steps: Collection[str]) -> Mapping[int, int]:
    """By the node at which they stand, how many of those who are in ``version`` have a message of one of ``steps``.
    Served by ix_run_version and pk_message."""
    has = exists(
        select(message.c.run).where(
            message.c.partition == run.c.partition,
            message.c.contact == run.c.contact,
            message.c.run == run.c.id,
            message.c.step.in_(sorted(steps)),
        )
    )
    query = (
        select(run.c.node, func.count().label("people"))
        .where(and_(run.c.version == version, ACTIVE, run.c.node.is_not(None), has))
        .group_by(run.c.node)
    )
    return {row.node: row.people for row in connection.execute(query)}

"""What runs keep of what they waited for is written with the next thing that is written of them, or at once."""

from __future__ import annotations

from sqlalchemy import Connection, update

from runner.journey.graph import Node
from runner.journey.model import Again, WaitCollect, WaitEvent, WaitFor
from runner.store.passes.kept import data_with_kept, names_kept
from runner.store.passes.program import ProgramSql, came, of_run
from runner.store.passes.timeline import ACTIVE
from runner.store.passes.working import moving
from runner.store.statement import Statement
from runner.store.steps.waits.at_once import rests_at_once
from runner.store.tables import run


def write_at_once(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """Write what the runs keep that leave ``node`` in pass ``n``, where somebody may read it before they stand again.
    Those who come straight to another wait write it there."""
    ways = [
        way
        for outcome in names_kept(node.verb)
        if not _is_written_later(sql, way := sql.ways.leaving(node, outcome))
    ]
    if not ways:
        return

    def build() -> Statement:
        data = data_with_kept(sql, ways)
        return Statement(
            update(run)
            .values(data=data)
            .where(came(sql, ways), moving.c.kept.is_not(None), of_run(moving), ACTIVE)
        )

    sql.once(("keep", node.index), build).run(connection, n=n)


def _is_written_later(sql: ProgramSql, way: int) -> bool:
    target = sql.ways.target(way)
    # A condition may read it on the way; and a run that the very event ends that has woken it comes to no other step.
    if sql.may_exit or target == sql.program.end or sql.program.journey.entry.again is Again.RESTART:
        return False
    assert target is not None
    node = sql.program.nodes[target]
    return isinstance(node.verb, WaitFor | WaitEvent | WaitCollect) and rests_at_once(sql, node)

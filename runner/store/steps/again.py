"""Runs are taken up again where they stand, since what they hang on there has changed."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select

from runner.journey.catalog import CONTACT_CHANGES, MOVES_WAITS
from runner.journey.graph import Node
from runner.journey.send_rules import HOLD
from runner.store.passes.program import WAVE_RUN, ProgramSql, handles, stays
from runner.store.passes.working import PASS, in_pass, moving, once_each, wave
from runner.store.statement import Statement
from runner.store.tables import run
from runner.store.types import constant


def take_up_again(
    sql: ProgramSql, node: Node, connection: Connection, n: int, *, some_woken: bool = True
) -> int:
    """Bring the runs that stand at ``node`` to it again, since their contact has changed in pass ``n``, or has given
    something by a link: a date or a local time may have moved. Those that the event has woken go on instead, if there
    are ``some_woken``. Returns how many."""

    def build() -> Statement:
        return _again(sql, node, handles(*MOVES_WAITS), *([stays(sql)] if some_woken else []))

    return sql.once(("take up again", node.index, some_woken), build).run(connection, n=n).rowcount


def look_again(sql: ProgramSql, node: Node, connection: Connection, n: int) -> int:
    """Bring the runs that stand at the send ``node`` to it again, since something has happened to their contact in pass
    ``n``: whatever it was where they are held, a change of the contact where they wait for a local time. Returns how
    many."""

    def build() -> Statement:
        held_or_changed = or_(run.c.deferred == constant(HOLD), handles(*CONTACT_CHANGES))
        return _again(sql, node, run.c.deferred.is_not(None), held_or_changed)

    return sql.once(("look again", node.index), build).run(connection, n=n).rowcount


def _again(sql: ProgramSql, node: Node, *which: ColumnElement[bool]) -> Statement:
    """Brings runs that stand at ``node`` to it again, those ``which``, whose contact the pass handles an event of."""
    return Statement(
        once_each(insert(moving)).from_select(
            ["n", "version", "way", "partition", "contact", "run", "at"],
            select(
                PASS,
                run.c.version,
                constant(sql.ways.arriving(node.index)),
                run.c.partition,
                run.c.contact,
                run.c.id,
                wave.c.at,
            )
            .select_from(wave.join(run, and_(WAVE_RUN, sql.runs, run.c.node == constant(node.index))))
            .where(in_pass(wave), wave.c.event.is_not(None), *which),
        )
    )

"""Runs are taken up again where they stand, since what they hang on there has changed."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, insert, literal_column, select

from runner.journey.catalog import CONTACT_UPDATED, IDENTIFIED, LINK_PRESSED
from runner.journey.graph import Node
from runner.store.passes.program import WAVE_RUN, ProgramSql, stays
from runner.store.passes.working import PASS, in_pass, moving, once_each, wave
from runner.store.statement import Statement
from runner.store.tables import run
from runner.store.types import constant

_CHANGES: list[ColumnElement[str]] = [
    literal_column(f"'{name}'") for name in (IDENTIFIED, CONTACT_UPDATED, LINK_PRESSED)
]


def take_up_again(
    sql: ProgramSql, node: Node, connection: Connection, n: int, *, some_woken: bool = True
) -> int:
    """Bring the runs that stand at ``node`` to it again, since their contact has changed in pass ``n``, or has given
    something by a link: a date or a local time may have moved. Those that the event has woken go on instead, if there
    are ``some_woken``. Returns how many."""

    def build() -> Statement:
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
                .select_from(
                    wave.join(
                        run,
                        and_(
                            WAVE_RUN,
                            sql.runs,
                            run.c.node == constant(node.index),
                        ),
                    )
                )
                .where(
                    in_pass(wave),
                    wave.c.event.is_not(None),
                    wave.c.name.in_(_CHANGES),
                    *([stays(sql)] if some_woken else []),
                ),
            )
        )

    return sql.once(("take up again", node.index, some_woken), build).run(connection, n=n).rowcount

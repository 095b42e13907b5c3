"""Runs of a journey that is paused: who would go on is held at its step, with the outcome by which it leaves that.

A held run has no timer. Exits and goals see it as any other run. Once it is let go on, it is due at an instant, and
leaves its step then by the outcome that it was held with.
"""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)

from runner.journey.catalog import CONTACT_CHANGES
from runner.journey.graph import AGAIN, Node
from runner.store.passes.advance import pass_on
from runner.store.passes.kept import data_with_kept
from runner.store.passes.program import MOVING_RUN, WAVE_RUN, ProgramSql, came, handles, of_run, way_taken
from runner.store.passes.timeline import ACTIVE
from runner.store.passes.ways import LOOKED_AT
from runner.store.passes.working import in_pass, moving, wave
from runner.store.statement import Statement
from runner.store.tables import run
from runner.store.types import constant

_ROUND = bindparam("round", type_=Integer())


def _outcomes(sql: ProgramSql) -> dict[str, list[int]]:
    """By outcome, the ways by which runs leave a step at which they stand, or come to it again."""
    arrivals = {sql.ways.arriving(node.index) for node in sql.program.nodes}
    found: dict[str, list[int]] = defaultdict(list)
    for way in sql.ways:
        if way.number not in arrivals:
            found[way.steps[0].edge.outcome if way.steps else AGAIN].append(way.number)
    return found


def hold(sql: ProgramSql, connection: Connection, n: int) -> None:
    """Hold the runs of this version that would go on in pass ``n``. Those of an earlier pause whose turn to go on has
    come, and those that are only looked at, stay without a timer too."""

    def build() -> Statement:
        outcomes = _outcomes(sql)
        numbers = [number for ways in outcomes.values() for number in ways]
        ways = {
            literal(outcome, Text()): way_taken(sql).in_([constant(number) for number in found])
            for outcome, found in outcomes.items()
        }
        outcome: ColumnElement[str | None] = case(
            *((came_so, name) for name, came_so in ways.items()), else_=run.c.leaves_by
        )
        data = data_with_kept(sql, numbers)
        return Statement(
            update(run)
            .values(
                leaves_by=outcome,
                due_at=null(),
                next_at=run.c.review_at,
                **({} if data is None else {"data": data}),
            )
            .where(
                in_pass(moving),
                moving.c.version == constant(sql.version),
                or_(
                    way_taken(sql).in_([constant(number) for number in numbers]),
                    and_(moving.c.way == constant(LOOKED_AT), run.c.leaves_by.is_not(None)),
                ),
                of_run(moving),
                ACTIVE,
            )
        )

    sql.once("hold", build).run(connection, n=n)


def let_go_on(sql: ProgramSql, connection: Connection, n: int) -> int:
    """Let those held runs that are looked at in pass ``n``, and whose turn it is, leave their steps. Returns how many
    there are."""

    def turn() -> ColumnElement[bool]:
        return and_(came(sql, [LOOKED_AT]), run.c.leaves_by.is_not(None), run.c.due_at <= moving.c.at)

    def build() -> Statement:
        ways = [
            (
                and_(
                    run.c.node == constant(node.index),
                    run.c.leaves_by == literal(way.steps[0].edge.outcome, Text()),
                ),
                constant(way.number),
            )
            for node in sql.program.nodes
            if node.timer_outcome is not None
            for way in sql.ways.beginning(node.index)
        ]
        # What is left: a send, or a step to which runs come again. Its way is that of its timer.
        way = case(*ways, else_=literal(-1) - run.c.node)
        return pass_on(
            sql,
            select(moving.c.partition, moving.c.contact, moving.c.run, moving.c.at, way.label("way"))
            .select_from(moving.join(run, MOVING_RUN))
            .where(turn()),
        )

    def build_forgetting() -> Statement:
        return Statement(update(run).values(leaves_by=null()).where(turn(), of_run(moving), ACTIVE))

    found = sql.once("held go on", build).run(connection, n=n).rowcount
    if found:
        sql.once("no longer held", build_forgetting).run(connection, n=n)
    return found


def stand_anew(sql: ProgramSql, node: Node, connection: Connection, n: int, round: int) -> int:
    """Bring the runs that stand at ``node`` of a paused journey to it again, in the pass ``round``, since their contact
    has changed in pass ``n``: a date or a local time may have moved. Who was held because the time was up is not, for
    now. Returns how many."""

    def build() -> Statement:
        undecided = or_(run.c.leaves_by.is_(None), run.c.leaves_by == literal(node.timer_outcome, Text()))
        return Statement(
            insert(moving).from_select(
                ["n", "version", "way", "partition", "contact", "run", "at"],
                select(
                    _ROUND,
                    run.c.version,
                    constant(sql.ways.arriving(node.index)),
                    run.c.partition,
                    run.c.contact,
                    run.c.id,
                    wave.c.at,
                )
                .select_from(
                    wave.join(run, and_(WAVE_RUN, sql.runs, run.c.node == constant(node.index), undecided))
                )
                .where(in_pass(wave), wave.c.event.is_not(None), handles(*CONTACT_CHANGES)),
            )
        )

    def build_forgetting() -> Statement:
        return Statement(
            update(run)
            .values(leaves_by=null())
            .where(came(sql, [sql.ways.arriving(node.index)]), of_run(moving), ACTIVE)
        )

    found = sql.once(("stand anew", node.index), build).run(connection, n=n, round=round).rowcount
    if found:
        sql.once(("no longer held", node.index), build_forgetting).run(connection, n=round)
    return found

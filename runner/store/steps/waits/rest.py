"""Runs come to a step at which they stand: some pass at once, the others rest there from now on."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, cast, insert, literal, null, or_, select, update

from runner.journey.graph import AGAIN, Node
from runner.journey.model import Leave, WaitCollect, WaitUntil
from runner.store.passes.advance import RUN_KEY_AND_INSTANT, at_node, pass_on
from runner.store.passes.kept import data_with_kept
from runner.store.passes.program import MOVING_CONTACT, MOVING_RUN, ProgramSql, of_run
from runner.store.passes.reviews import turn
from runner.store.passes.timeline import ACTIVE
from runner.store.passes.working import PASS, moving, resting
from runner.store.statement import Statement
from runner.store.steps.waits.arrived import comes_for_the_first_time, resting_at, since
from runner.store.steps.waits.at_once import always_rests, rests_at_once
from runner.store.steps.waits.collect import gathered
from runner.store.steps.waits.due import due, elapsed_length, load_zones
from runner.store.steps.waits.keep import write_at_once
from runner.store.steps.waits.met import is_met_at_once, kept_of_met, met
from runner.store.tables import contact, event, run
from runner.store.types import Instant, constant, earliest, shifted


def rest(sql: ProgramSql, node: Node, connection: Connection, n: int) -> bool:
    """Those for whom there is nothing to wait for go on; the others stand at ``node`` from now on. Answers whether
    anybody goes on."""
    if rests_at_once(sql, node):
        sql.once(("rest at once", node.index), lambda: _resting_at_once(sql, node)).run(connection, n=n)
        return False
    load_zones(sql, node, connection, n)
    sql.once(("arrival", node.index), lambda: _arrival(sql, node)).run(connection, n=n)
    passed = 0
    if not always_rests(node):
        passed = (
            sql.once(("pass wait", node.index), lambda: _passing(sql, node)).run(connection, n=n).rowcount
        )
    if passed:
        write_at_once(sql, node, connection, n)
    sql.once(("rest", node.index), lambda: _resting(sql, node)).run(connection, n=n)
    return passed > 0


def _resting_at_once(sql: ProgramSql, node: Node) -> Statement:
    when = shifted(moving.c.at, constant(elapsed_length(node.verb) or 0))
    data = data_with_kept(sql, sql.ways.into(node.index))
    return Statement(
        update(run)
        .values(
            step=literal(node.step.id),
            node=constant(node.index),
            arrived_at=moving.c.at,
            due_at=when,
            next_at=when,
            leaves_by=None,
            **({"review_at": None} if sql.turning or sql.follows else {}),
            **({} if data is None else {"data": data}),
        )
        .where(at_node(sql, node), of_run(moving), ACTIVE)
    )


def _due(sql: ProgramSql, node: Node) -> ColumnElement[Any]:
    found = due(sql, node)
    if not sql.follows or node.timer_outcome != AGAIN:
        return found
    # A time that is up is up, though this version would have it last longer: it was kept from another one.
    up = and_(~comes_for_the_first_time(node), run.c.due_at <= moving.c.at)
    return case((up, run.c.due_at), else_=found)


def _arrival(sql: ProgramSql, node: Node) -> Statement:
    when = turn(sql, moving, node)
    columns = {
        "n": PASS,
        "version": constant(sql.version),
        "node": constant(node.index),
        **{column.name: column for column in RUN_KEY_AND_INSTANT},
        "since": since(node),
        "due": _due(sql, node),
        "turn": when if when is not None else cast(null(), Instant()),
    }
    rows = moving.join(run, MOVING_RUN).join(contact, MOVING_CONTACT)
    if not is_met_at_once(node):
        return Statement(
            insert(resting).from_select(
                list(columns), select(*columns.values()).select_from(rows).where(at_node(sql, node))
            )
        )
    return Statement(met(sql, node, columns, rows))


def _passing(sql: ProgramSql, node: Node) -> Statement:
    verb = node.verb
    if isinstance(verb, WaitCollect):
        return pass_on(sql, gathered(sql, node), keeping=True)
    passing: list[tuple[Any, Any]] = []
    if is_met_at_once(node):
        passing.append((resting.c.way.is_not(None), resting.c.way))
    if isinstance(verb, WaitUntil):
        if verb.if_missing is not Leave.WAIT:
            passing.append((resting.c.due.is_(None), constant(sql.ways.leaving(node, "missing"))))
        passing.append((resting.c.due < resting.c.at, constant(sql.ways.leaving(node, "past"))))
    passing.append(
        (resting.c.due <= resting.c.at, constant(sql.ways.leaving(node, node.timer_outcome or "")))
    )
    found = select(
        resting.c.partition, resting.c.contact, resting.c.run, resting.c.at, case(*passing).label("way")
    ).where(resting_at(sql, node), or_(*(when for when, _ in passing)))
    kept = kept_of_met(sql, node)
    if kept is None:
        return pass_on(sql, found)
    properties, heard = kept
    found = found.add_columns(properties.label("kept")).select_from(resting.outerjoin(event, heard))
    return pass_on(sql, found, keeping=True)


def _resting(sql: ProgramSql, node: Node) -> Statement:
    verb = node.verb
    stays = resting.c.due > resting.c.at
    if isinstance(verb, WaitUntil) and verb.if_missing is Leave.WAIT:
        stays = or_(stays, resting.c.due.is_(None))
    if is_met_at_once(node):
        stays = and_(stays, resting.c.way.is_(None))
    return Statement(
        update(run)
        .values(
            step=literal(node.step.id),
            node=constant(node.index),
            arrived_at=resting.c.since,
            due_at=resting.c.due,
            review_at=resting.c.turn,
            next_at=earliest(resting.c.due, resting.c.turn),
            leaves_by=None,
        )
        .where(resting_at(sql, node), stays, of_run(resting), ACTIVE)
    )

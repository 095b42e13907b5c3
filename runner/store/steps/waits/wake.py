"""What wakes the runs that stand at a step: an event, or a condition that has become true.

A step says by ``runner.journey.wakes`` what it waits for, whatever kind of step it is. Of its wakes that come together
the first of the list decides by which outcome a run goes on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, and_, bindparam, case, literal, or_, select

from runner.journey.graph import Node
from runner.journey.values import MILLIONTHS, NUMBER, STRING
from runner.journey.wakes import Hears, Turns, wakes_of
from runner.store.passes.advance import pass_on
from runner.store.passes.kept import names_kept
from runner.store.passes.program import (
    MOVING_CONTACT,
    MOVING_RUN,
    WAVE_CONTACT,
    WAVE_RUN,
    ProgramSql,
    came,
    stays,
)
from runner.store.passes.ways import LOOKED_AT
from runner.store.passes.working import in_pass, moving, wave
from runner.store.predicates import Row, predicate
from runner.store.predicates.read import read_json, reads_contact
from runner.store.statement import Statement
from runner.store.steps.behind import of_step
from runner.store.steps.waits.keep import write_at_once
from runner.store.tables import contact, run
from runner.store.types import Instant, constant, json_member

_EVENT_FLOOR = bindparam("event_floor", type_=Instant())


def wake(sql: ProgramSql, node: Node, connection: Connection, n: int, **floors: Any) -> int:
    """Let the runs go on that stand at ``node`` and wait for the event of pass ``n``, or for what is true after it.

    Events from before ``event_floor`` wake nobody; nor do those from before the run came there, or entered, as the step
    says. Returns how many.
    """
    woken = sql.once(("wake", node.index), lambda: _waking(sql, node)).run(connection, n=n, **floors).rowcount
    if woken:
        write_at_once(sql, node, connection, n)
    return woken


def _waking(sql: ProgramSql, node: Node) -> Statement:
    wakes, kept = wakes_of(node.verb), names_kept(node.verb)
    conditions = [one.when if isinstance(one, Turns) else one.where for one in wakes]
    rows: Any = wave.join(run, and_(WAVE_RUN, sql.runs, run.c.node == constant(node.index)))
    if any(condition is not None and reads_contact(condition) for condition in conditions):
        rows = rows.join(contact, WAVE_CONTACT)
    at: ColumnElement[Any] = wave.c.at
    if any(isinstance(one, Turns) or one.since_entry for one in wakes):
        # An event may be told late, of an instant before the run came here: the run goes on from when it did.
        at = case((wave.c.at < run.c.arrived_at, run.c.arrived_at), else_=wave.c.at)
    row = replace(sql.row(wave, with_event=True), instant=at)
    about_event = sql.row(wave, with_event=True)
    cases = [
        (
            predicate(one.when, row, sql.dialect)
            if isinstance(one, Turns)
            else _hears(sql, node, one, about_event),
            constant(sql.ways.leaving(node, one.outcome)),
        )
        for one in wakes
    ]
    (holds, way), *others = cases
    found = (
        select(
            wave.c.partition,
            wave.c.contact,
            run.c.id.label("run"),
            at.label("at"),
            (case(*cases) if others else way).label("way"),
        )
        .select_from(rows)
        .where(in_pass(wave), wave.c.event.is_not(None), _undecided(node))
    )
    hears = [one for one in wakes if isinstance(one, Hears) and one.outcome in kept]
    if not others:
        parts = [_part_kept(one, wave.c.properties).label("kept") for one in hears]
        return pass_on(sql, found.where(holds).add_columns(*parts), keeping=bool(kept))
    if not kept:
        asked = found.cte().prefix_with("MATERIALIZED")  # or each condition would be read twice
        return pass_on(sql, select(*asked.c).where(asked.c.way.is_not(None)))
    asked = found.add_columns(wave.c.properties).cte().prefix_with("MATERIALIZED")
    part = case(
        *(
            (
                asked.c.way == constant(sql.ways.leaving(node, one.outcome)),
                _part_kept(one, asked.c.properties),
            )
            for one in hears
        )
    )
    columns = [column for column in asked.c if column.name != "properties"]
    return pass_on(sql, select(*columns, part.label("kept")).where(asked.c.way.is_not(None)), keeping=True)


def _part_kept(heard: Hears, properties: Any) -> ColumnElement[Any]:
    return properties if heard.member is None else json_member(properties, constant(heard.member))


def _undecided(node: Node) -> ColumnElement[bool]:
    """Whether it is open by which outcome a run leaves the step: a pause holds those that something has woken, who have
    heard it, and those whose time is up, who may still hear something."""
    return or_(run.c.leaves_by.is_(None), run.c.leaves_by == literal(node.timer_outcome, Text()))


def _hears(sql: ProgramSql, node: Node, heard: Hears, row: Row) -> ColumnElement[bool]:
    since = run.c.entered_at if heard.since_entry else run.c.arrived_at
    conditions = [
        wave.c.name == literal(heard.event),
        wave.c.at >= _EVENT_FLOOR,
        wave.c.at >= since,
    ]
    if heard.own:
        properties = wave.c.properties
        conditions += [
            read_json(properties, ("run",), NUMBER, sql.dialect) == run.c.id * constant(MILLIONTHS),
            of_step(read_json(properties, ("step",), STRING, sql.dialect), sql, node),
        ]
    if heard.where is not None:
        conditions.append(predicate(heard.where, row, sql.dialect))
    return and_(*conditions)


def wake_turned(sql: ProgramSql, node: Node, connection: Connection, n: int, *, some_go: bool = False) -> int:
    """Let those runs go on that stand at ``node``, are looked at in pass ``n``, and for which what they wait for has
    become true by time alone. ``some_go``: some of those who are looked at go on already, whom a pause has held.
    Returns how many."""

    def build() -> Statement:
        row = sql.row(moving)
        cases = [
            (predicate(one.when, row, sql.dialect), constant(sql.ways.leaving(node, one.outcome)))
            for one in wakes_of(node.verb)
            if isinstance(one, Turns)
        ]
        found = (
            select(moving.c.partition, moving.c.contact, moving.c.run, moving.c.at, case(*cases).label("way"))
            .select_from(moving.join(run, MOVING_RUN).join(contact, MOVING_CONTACT))
            .where(
                came(sql, [LOOKED_AT]),
                run.c.node == constant(node.index),
                _undecided(node),
                *([stays(sql)] if some_go else []),
            )
            .cte()
            .prefix_with("MATERIALIZED")
        )
        return pass_on(sql, select(*found.c).where(found.c.way.is_not(None)))

    return sql.once(("wake turned", node.index, some_go), build).run(connection, n=n).rowcount

"""A digest: the events that have come while a run stood, as a list that it keeps.

They are looked up when the time has come, by one statement; until then an event that is collected costs nothing.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, case, literal, select, update

from runner.journey.graph import Node
from runner.journey.model import WaitCollect
from runner.store.passes.program import ProgramSql, of_run
from runner.store.passes.working import resting
from runner.store.predicates.since import events_since
from runner.store.statement import Statement
from runner.store.steps.waits.arrived import resting_at
from runner.store.tables import contact, run
from runner.store.types import constant, json_is_empty, json_list_of, json_with


def gather(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """Give the runs at ``node`` whose time has come the list of what they collected."""
    sql.once(("gather", node.index), lambda: _gathering(sql, node)).run(connection, n=n)


def _gathering(sql: ProgramSql, node: Node) -> Statement:
    verb = node.verb
    assert isinstance(verb, WaitCollect)
    row = sql.row(resting)
    beginning, trigger = (
        (run.c.entered_at, run.c.cause - constant(1)) if verb.since_entry else (resting.c.since, None)
    )
    happened, found = events_since(row, sql.dialect, verb.event, verb.where, beginning, after=trigger)
    newest = (
        found.with_only_columns(happened.c.at, happened.c.id, happened.c.properties)
        .order_by(happened.c.at.desc(), happened.c.id.desc())
        .limit(constant(verb.most))
        .subquery("newest")
    )
    oldest_first = (
        select(newest).order_by(newest.c.at, newest.c.id).limit(constant(verb.most)).subquery("oldest_first")
    )
    listed = select(
        json_list_of(oldest_first.c.properties, oldest_first.c.at, oldest_first.c.id)
    ).scalar_subquery()
    name = literal(verb.save_as.name, Text())
    of_contact = (contact.c.partition == resting.c.partition) & (contact.c.id == resting.c.contact)
    rows = (
        select(
            resting.c.partition,
            resting.c.contact,
            resting.c.run,
            json_with(run.c.data, name, listed).label("data"),
        )
        .select_from(resting.join(run, of_run(resting)).join(contact, of_contact))
        .where(resting_at(sql, node), resting.c.due <= resting.c.at)
        .subquery()
    )
    return Statement(update(run).values(data=rows.c.data).where(of_run(rows)))


def way_out(sql: ProgramSql, node: Node) -> ColumnElement[Any]:
    """The way of a run, joined, whose list has been made."""
    verb = node.verb
    assert isinstance(verb, WaitCollect)
    empty, full = (constant(sql.ways.leaving(node, outcome)) for outcome in ("empty", "elapsed"))
    return case((json_is_empty(run.c.data, literal(verb.save_as.name, Text())), empty), else_=full)

"""A digest: the events that have come while a run stood, as a list that it keeps.

They are looked up when the time has come, by one statement; until then an event that is collected costs nothing.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, case, select

from runner.journey.graph import Node
from runner.journey.model import WaitCollect
from runner.store.passes.program import ProgramSql, of_run
from runner.store.passes.working import resting
from runner.store.predicates.since import events_since
from runner.store.steps.waits.arrived import resting_at
from runner.store.tables import contact, run
from runner.store.types import constant, json_list_is_empty, json_list_of


def gathered(sql: ProgramSql, node: Node) -> Select[Any]:
    """The runs at ``node`` whose time has come, as they go on: partition, contact, run, at, way, and as ``kept`` the
    list of what they collected."""
    verb = node.verb
    assert isinstance(verb, WaitCollect)
    of_contact = (contact.c.partition == resting.c.partition) & (contact.c.id == resting.c.contact)
    found = (
        select(
            resting.c.partition,
            resting.c.contact,
            resting.c.run,
            resting.c.at,
            _listed(sql, verb).label("kept"),
        )
        .select_from(resting.join(run, of_run(resting)).join(contact, of_contact))
        .where(resting_at(sql, node), resting.c.due <= resting.c.at)
        .cte()
        .prefix_with("MATERIALIZED")  # or the list would be made at each mention below
    )
    empty, full = (constant(sql.ways.leaving(node, outcome)) for outcome in ("empty", "elapsed"))
    way = case((json_list_is_empty(found.c.kept), empty), else_=full)
    key = (found.c.partition, found.c.contact, found.c.run, found.c.at)
    return select(*key, way.label("way"), found.c.kept)


def _listed(sql: ProgramSql, verb: WaitCollect) -> ColumnElement[Any]:
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
    return select(
        json_list_of(oldest_first.c.properties, oldest_first.c.at, oldest_first.c.id)
    ).scalar_subquery()

"""What a run waits for may be so already when it comes: a condition that is true, an event since it entered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Insert,
    and_,
    case,
    cast,
    insert,
    null,
    select,
)

from runner.journey.graph import Node
from runner.journey.wakes import Hears, Turns, Wake, wakes_of
from runner.store.passes.advance import at_node
from runner.store.passes.kept import names_kept
from runner.store.passes.program import ProgramSql
from runner.store.passes.working import moving, resting
from runner.store.predicates import predicate
from runner.store.predicates.since import events_since
from runner.store.steps.waits.arrived import comes_for_the_first_time
from runner.store.tables import event, run
from runner.store.types import constant


def is_met_at_once(node: Node) -> bool:
    """Whether what the run waits for may be so when it comes to ``node``."""
    return any(_may_be_met(wake) for wake in wakes_of(node.verb))


def _may_be_met(wake: Wake) -> bool:
    return isinstance(wake, Turns) or wake.since_entry


def met(sql: ProgramSql, node: Node, columns: Mapping[str, ColumnElement[Any]], rows: FromClause) -> Insert:
    """Puts ``columns`` of the runs that come to ``node`` into ``resting``, and with them the way on which they pass at
    once, if they do, and the event that they have heard. The first wake of the step that is so decides."""
    row = sql.row(moving)
    asked: dict[str, ColumnElement[Any]] = {}
    wakes = [(f"wake_{place}", wake) for place, wake in enumerate(wakes_of(node.verb)) if _may_be_met(wake)]
    for label, wake in wakes:
        if isinstance(wake, Turns):
            asked[label] = predicate(wake.when, row, sql.dialect)
            continue
        happened, found = events_since(
            row, sql.dialect, wake.event, wake.where, run.c.entered_at, after=run.c.cause
        )
        first = found.order_by(happened.c.at, happened.c.id).limit(constant(1)).scalar_subquery()
        # Who is taken up again has heard since then whatever there was to hear.
        asked[label] = case((comes_for_the_first_time(node), first))
    inner = (
        select(*(column.label(name) for name, column in {**columns, **asked}.items()))
        .select_from(rows)
        .where(at_node(sql, node))
        .cte()
        .prefix_with("MATERIALIZED")  # or each column would be computed anew at each mention below
    )
    so, ways, heard = [], [], []
    for label, wake in wakes:
        answer = inner.c[label]
        so.append(answer if isinstance(wake, Turns) else answer.is_not(None))
        ways.append(constant(sql.ways.leaving(node, wake.outcome)))
        heard.append(null() if isinstance(wake, Turns) else answer)
    return insert(resting).from_select(
        [*columns, "way", "event"],
        select(
            *(inner.c[name] for name in columns),
            case(*zip(so, ways, strict=True)),
            cast(case(*zip(so, heard, strict=True)), BigInteger()),
        ),
    )


def kept_of_met(sql: ProgramSql, node: Node) -> tuple[ColumnElement[Any], ColumnElement[bool]] | None:
    """What the runs keep which pass ``node`` at once since they have heard an event of before, and how that event is
    joined to them; None where they keep nothing."""
    kept = names_kept(node.verb)
    ways = [
        constant(sql.ways.leaving(node, wake.outcome))
        for wake in wakes_of(node.verb)
        if isinstance(wake, Hears) and wake.since_entry and wake.outcome in kept
    ]
    if not ways:
        return None
    heard = and_(
        event.c.partition == resting.c.partition,
        event.c.contact == resting.c.contact,
        event.c.id == resting.c.event,
    )
    return case((resting.c.way.in_(ways), event.c.properties)), heard

"""When time alone may next turn what a run hangs on: an exit condition, or a condition that it waits for.

That instant is computed and stands on the contact's timeline beside the timers: nothing is polled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, cast, false, null, select, true, update

from runner.journey.expression import Expression
from runner.journey.graph import Node
from runner.store.passes.program import (
    MOVING_CONTACT,
    MOVING_RUN,
    WAVE_CONTACT,
    WAVE_RUN,
    ProgramSql,
    came,
    of_run,
    stays,
)
from runner.store.passes.timeline import ACTIVE
from runner.store.passes.ways import LOOKED_AT
from runner.store.passes.working import in_pass, moving, wave
from runner.store.predicates import next_turn
from runner.store.statement import Statement
from runner.store.tables import contact, run
from runner.store.types import Instant, constant, earliest


def turn(sql: ProgramSql, source: Any, node: Node | None = None) -> ColumnElement[Any] | None:
    """The next instant at which time alone may turn an exit condition of this version, or what a run at ``node`` waits
    for; None where none can."""
    waited = sql.turning.get(node.index, ()) if node is not None else ()
    return _earliest(sql, source, (*_exit_conditions(sql), *waited))


def _exit_conditions(sql: ProgramSql) -> tuple[Expression, ...]:
    return tuple(rule.when for rule in sql.program.journey.exits if rule.when is not None)


def _earliest(sql: ProgramSql, source: Any, conditions: Sequence[Expression]) -> ColumnElement[Any] | None:
    row = sql.row(source)
    result: ColumnElement[Any] | None = None
    for condition in conditions:
        # It does not hold yet: the run would have gone.
        found = next_turn(condition, row, sql.dialect, becomes=True)
        if found is not None:
            result = found if result is None else earliest(result, found)
    return result


def plan_reviews(sql: ProgramSql, connection: Connection, n: int, *, after_event: bool) -> None:
    """Compute anew when time may next turn what a run hangs on: for all runs of the contacts that had an event in pass
    ``n``, or for the runs whose review was due in it."""

    def build() -> Statement:
        if after_event:
            source: Any = wave
            rows = wave.join(contact, WAVE_CONTACT).join(run, and_(WAVE_RUN, sql.runs))
            wanted = and_(in_pass(wave), wave.c.event.is_not(None))
        else:
            source = moving
            rows = moving.join(run, MOVING_RUN).join(contact, MOVING_CONTACT)
            wanted = and_(came(sql, [LOOKED_AT]), *([stays(sql)] if sql.looked_at else []))
        turns = []
        ending = _earliest(sql, source, _exit_conditions(sql))
        if ending is not None:
            turns.append(ending)
        at_nodes = {
            constant(node): soonest
            for node, conditions in sql.turning.items()
            if (soonest := _earliest(sql, source, conditions)) is not None
        }
        if at_nodes:
            turns.append(case(at_nodes, value=run.c.node))
        # An IN of nothing could not be compiled beforehand.
        asked_at = run.c.node.in_(list(at_nodes)) if at_nodes else false()
        found = (
            select(
                run.c.partition,
                run.c.contact,
                run.c.id.label("run"),
                run.c.due_at,
                *(turn.label(f"turn_{place}") for place, turn in enumerate(turns)),
            )
            .select_from(rows)
            .where(wanted, true() if ending is not None or sql.follows else asked_at)
            .subquery()
        )
        next_turns = [found.c[f"turn_{place}"] for place in range(len(turns))]
        review: ColumnElement[Any] = cast(null(), Instant())
        if next_turns:
            review = next_turns[0] if len(next_turns) == 1 else earliest(*next_turns)
        return Statement(
            update(run)
            .values(review_at=review, next_at=earliest(found.c.due_at, review))
            .where(of_run(found), ACTIVE)
        )

    sql.once(("plan reviews", after_event), build).run(connection, n=n)

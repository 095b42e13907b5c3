"""At which waits every run comes to rest, whatever it is, and one statement does."""

from __future__ import annotations

from runner.journey.graph import AGAIN, Node
from runner.journey.model import Again
from runner.store.passes.program import ProgramSql
from runner.store.steps.waits.due import elapsed_length
from runner.store.steps.waits.met import is_met_at_once


def always_rests(node: Node) -> bool:
    """Whether nobody ever passes the wait at once: its length is elapsed time, and more than nothing."""
    elapsed = elapsed_length(node.verb)
    comes_again = node.timer_outcome == AGAIN
    return elapsed is not None and elapsed > 0 and not is_met_at_once(node) and not comes_again


def rests_at_once(sql: ProgramSql, node: Node) -> bool:
    """Whether one statement does: nobody passes, and all hangs on nothing but the instant of arrival."""
    refreshed = sql.program.journey.entry.again is Again.REFRESH
    return always_rests(node) and not sql.reads_time and not refreshed

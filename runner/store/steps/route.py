"""One statement takes runs through a stretch of decisions, up to and including a send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, select

from runner.journey.expression import Expression
from runner.journey.graph import Node
from runner.journey.model import Branch, Condition, Send
from runner.store.passes.advance import RUN_KEY_AND_INSTANT, arrivals, at_node, pass_on
from runner.store.passes.program import ProgramSql, forking
from runner.store.passes.ways import ALREADY, BLOCKED, READY, Way
from runner.store.passes.working import moving
from runner.store.predicates import predicate
from runner.store.statement import Statement
from runner.store.steps.behind import has_message
from runner.store.steps.sends import blocks, opt_in_reads, with_consent, write_messages
from runner.store.types import constant


def route(sql: ProgramSql, start: Node, connection: Connection, n: int) -> list[Node] | None:
    """Let the runs at ``start`` go through its stretch, and write their messages. Answers the sends on it; None where
    nobody was there."""
    ways = sql.ways.beginning(start.index)
    nodes = {left.node.index: left.node for way in ways for left in way.steps}
    sends = [node for node in nodes.values() if isinstance(node.verb, Send)]

    def build() -> Statement:
        asked = [test for node in nodes.values() for test, _ in _tests(node)]
        asked += [
            test for node in sends if isinstance(node.verb, Send) for test in opt_in_reads(sql, node.verb)
        ]
        rows = arrivals(sql, *asked, with_run=sql.follows and bool(sends))
        for node in sends[:1]:
            assert isinstance(node.verb, Send)
            rows = with_consent(sql, node.verb, rows)
        forks = forking(sql, start)
        first = [constant(ways[0].number)] if forks else []
        found = select(*RUN_KEY_AND_INSTANT, *first, _way(sql, ways, 0)).select_from(rows)
        return pass_on(sql, found.where(at_node(sql, start)), forking=forks)

    if not sql.once(("route", start.index), build).run(connection, n=n).rowcount:
        return None
    write_messages(sql, start, sends, connection, n)
    return sends


def _way(sql: ProgramSql, ways: Sequence[Way], depth: int) -> ColumnElement[Any]:
    """Which of ``ways`` a row goes, all of which are the same in their first ``depth`` steps."""
    if len(ways) == 1 and len(ways[0].steps) == depth:
        return constant(ways[0].number)
    by_step: dict[tuple[str, str | None], list[Way]] = {}
    for way in ways:
        left = way.steps[depth]
        by_step.setdefault((left.edge.outcome, left.detail), []).append(way)
    following = {key: _way(sql, found, depth + 1) for key, found in by_step.items()}
    node = ways[0].steps[depth].node
    row = sql.row(moving)
    cases = [(predicate(test, row, sql.dialect), following[outcome, None]) for test, outcome in _tests(node)]
    otherwise = (node.edges[-1].outcome, None)
    if isinstance(node.verb, Send):
        blocked = blocks(sql, node.verb)
        cases = [(blocked[reason], following[BLOCKED, reason]) for reason in blocked]
        if sql.follows:
            cases.insert(0, (has_message(sql, node), following[READY, ALREADY]))
        otherwise = (READY, None)
    return case(*cases, else_=following[otherwise]) if cases else following[otherwise]


def _tests(node: Node) -> list[tuple[Expression, str]]:
    """The tests of a decision, each with the outcome if it is the first that holds."""
    match node.verb:
        case Condition(test=test):
            return [(test, "true")]
        case Branch(cases=cases):
            return [(found.when, found.name) for found in cases if found.when is not None]
    return []

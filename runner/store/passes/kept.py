"""What runs keep of what they waited for, as ``run.NAME``.

It goes with them, in ``moving``, to whoever writes their row next: so a run that comes from one wait to another is
written once and not twice.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, case, literal

from runner.journey.model import Verb, WaitCollect
from runner.journey.wakes import Hears, wakes_of
from runner.store.passes.program import ProgramSql
from runner.store.passes.working import moving
from runner.store.tables import run
from runner.store.types import constant, json_with


def names_kept(verb: Verb) -> Mapping[str, str]:
    """The NAME under which runs keep what they waited for at a step, by the outcome by which they leave it."""
    if isinstance(verb, WaitCollect):
        return dict.fromkeys(("empty", "elapsed"), verb.save_as.name)
    return {
        wake.outcome: wake.save_as.name
        for wake in wakes_of(verb)
        if isinstance(wake, Hears) and wake.save_as is not None
    }


def data_with_kept(sql: ProgramSql, ways: Container[int]) -> ColumnElement[Any] | None:
    """The data of a run of ``moving``, joined, with what it brings along by one of ``ways``; None where nobody brings
    anything by those."""
    brought = [
        (sql.ways.leaving(node, outcome), name)
        for node in sql.program.nodes
        for outcome, name in names_kept(node.verb).items()
    ]
    cases = [
        (
            and_(moving.c.way == constant(way), moving.c.kept.is_not(None)),
            json_with(run.c.data, literal(name, Text()), moving.c.kept),
        )
        for way, name in brought
        if way in ways
    ]
    return case(*cases, else_=run.c.data) if cases else None

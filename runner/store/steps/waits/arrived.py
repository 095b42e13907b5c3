"""Runs that have come to a step at which they may stand."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, case

from runner.journey.graph import Node
from runner.store.passes.program import ProgramSql
from runner.store.passes.working import in_pass, moving, resting
from runner.store.tables import run
from runner.store.types import constant


def comes_for_the_first_time(node: Node) -> ColumnElement[bool]:
    """Whether a run that comes to ``node`` has not stood there before."""
    return run.c.node.is_distinct_from(constant(node.index))


def since(node: Node) -> ColumnElement[Any]:
    """Since when a run stands at the step. One that is taken up again there (its date or zone has changed) has stood
    there since it first arrived."""
    return case((comes_for_the_first_time(node), moving.c.at), else_=run.c.arrived_at)


def resting_at(sql: ProgramSql, node: Node) -> ColumnElement[bool]:
    """The rows of ``resting`` of the runs that have come to ``node`` in the pass."""
    return and_(
        in_pass(resting),
        resting.c.version == constant(sql.version),
        resting.c.node == constant(node.index),
    )

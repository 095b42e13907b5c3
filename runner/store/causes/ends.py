"""The ends of runs: told of those journeys alone whose end starts another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    select,
)

from runner.journey.reserved import JOURNEY_ENDED
from runner.journey.values import MILLIONTHS
from runner.store.causes.announce import announcement
from runner.store.causes.attributes import json_text_of
from runner.store.held import held
from runner.store.passes.program import ProgramSql, came, of_run
from runner.store.passes.working import leaving, moving
from runner.store.statement import Statement
from runner.store.tables import RunStatus, run
from runner.store.types import ByCodePoint, constant, json_object

COMPLETED = "completed"
"""The outcome of a run that came to the end of its journey; that of any other is its reason."""


def _ended(dialect: str, rows: Any) -> Select[Any]:
    """The rows of ``CAUSED`` for the runs that ``rows`` (leaving or moving) name, joined with them."""
    outcome: ColumnElement[Any] = func.coalesce(run.c.reason, literal_column(f"'{COMPLETED}'"), type_=Text())
    return select(
        run.c.partition,
        run.c.contact,
        run.c.id.label("run"),
        rows.c.at,
        literal(JOURNEY_ENDED, ByCodePoint()).label("name"),
        json_object(
            literal("journey", Text()),
            json_text_of(run.c.journey, dialect),
            literal("outcome", Text()),
            json_text_of(outcome, dialect),
            literal("run", Text()),
            run.c.id * constant(MILLIONTHS),
        ).label("properties"),
        (literal_column("'ended:'") + cast(run.c.id, Text())).label("key"),
    ).select_from(rows.join(run, of_run(rows)))


@cache
def _by_rule(dialect: str, journeys: tuple[str, ...]) -> Statement:
    found = _ended(dialect, leaving).where(
        leaving.c.stage == bindparam("stage", type_=Integer()),
        held(leaving.c.partition),
        run.c.status == constant(RunStatus.EXITED.value),
        run.c.ended_at == leaving.c.at,
        run.c.journey.in_([literal(name, ByCodePoint()) for name in journeys]),
    )
    return announcement(dialect, found)


def tell_of_exits(connection: Connection, stage: int, journeys: Sequence[str]) -> None:
    """Tell of the runs of ``journeys`` that a stage of ``leaving`` has ended."""
    if journeys:
        _by_rule(connection.dialect.name, tuple(journeys)).run(connection, stage=stage)


def tell_of_ends(sql: ProgramSql, connection: Connection, n: int) -> None:
    """Tell of the runs of this version that have come to the end of the program in pass ``n``."""

    def build() -> Statement:
        return announcement(
            sql.dialect,
            _ended(sql.dialect, moving).where(
                came(sql, sql.ways.into(sql.program.end)), run.c.ended_at == moving.c.at
            ),
        )

    sql.once("tell of ends", build).run(connection, n=n)

"""Runs that policy keeps waiting at their sends, when what keeps them there is another than before."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, null, or_, select, update

from runner.journey.duration import Duration
from runner.journey.send_rules import RATE
from runner.store.held import held
from runner.store.passes.timeline import ACTIVE
from runner.store.statement import Statement
from runner.store.steps.rate import give_back
from runner.store.tables import run
from runner.store.types import Instant, constant, earliest, microseconds_of, shifted

_NOW = bindparam("now", type_=Instant())
_WAITS = and_(run.c.deferred.is_not(None), run.c.due_at > _NOW, run.c.leaves_by.is_(None), ACTIVE)
"""Of the others the time is up, or a pause holds them: they are asked again anyway."""


class Kept(NamedTuple):
    """Why runs stand at a send: at this node of this version, for this reason."""

    version: int
    node: int
    reason: str


def kept_waiting(connection: Connection, versions: Collection[int], now: datetime) -> list[Kept]:
    """Where policy keeps people of ``versions`` waiting beyond ``now``, and why. Served by ix_run_version."""
    query = (
        select(run.c.version, run.c.node, run.c.deferred)
        .where(run.c.version.in_([constant(each) for each in sorted(versions)]), _WAITS)
        .distinct()
        .order_by(run.c.version, run.c.node, run.c.deferred)
    )
    return [Kept(*row) for row in Statement(query).run(connection, now=now)]


def ask_at_once(connection: Connection, of: Iterable[Kept], now: datetime) -> int:
    """Have the runs ``of`` asked again at ``now``, whatever they wait for. Those that have been given a place have it
    no more. Answers how many there are. The caller holds all partitions."""
    at: dict[int, list[ColumnElement[bool]]] = {}
    for one in of:
        here = and_(run.c.node == constant(one.node), run.c.deferred == constant(one.reason))
        at.setdefault(one.version, []).append(here)
    found = 0
    for version, places in at.items():
        asked = (
            update(run)
            .values(
                due_at=_NOW,
                next_at=earliest(_NOW, run.c.review_at),
                deferred=case((run.c.deferred == constant(RATE), null()), else_=run.c.deferred),
            )
            .where(run.c.version == constant(version), or_(*places), _WAITS, held(run.c.partition))
        )
        found += Statement(asked).run(connection, now=now).rowcount
    return found


def give_back_places(
    connection: Connection, of: Kept, journey: str, step: str, valid_for: Duration, now: datetime
) -> None:
    """Give the places back that the runs ``of`` wait for, of the send that they know as ``step``: others may have them.
    Who waits until ``valid_for`` is over has none. The caller holds all partitions."""
    given = (
        select(microseconds_of(run.c.due_at).label("at"), func.count().label("places"))
        .where(
            run.c.version == constant(of.version),
            run.c.node == constant(of.node),
            run.c.deferred == constant(of.reason),
            run.c.due_at < shifted(run.c.arrived_at, constant(valid_for.elapsed)),
            _WAITS,
        )
        .group_by(run.c.due_at)
    )
    places = {row.at: row.places for row in Statement(given).run(connection, now=now)}
    give_back(connection, journey, step, places)

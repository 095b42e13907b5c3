"""Schedules: how far each has come in each partition.

A row of ``firing`` is one schedule in one partition, and in one zone where the schedule goes by each contact's own
clock. It says when it fires next; the partition's lock makes that happen once. What fires alike in several partitions
is one thing to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Integer,
    Text,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    true,
    update,
)

from runner.store.held import held
from runner.store.insert import insert_new
from runner.store.local_time.wall_clock import Firing
from runner.store.statement import Statement
from runner.store.tables import firing, shard
from runner.store.types import Instant, constant, from_microseconds, microseconds_of

WHOLE = ""
"""The zone of the row that stands for a whole partition: of a schedule with one zone; else of the schedule itself."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """A schedule that is due, in all ``partitions`` in which it is so at the same instant; on SQLite in one of them.

    ``nominal`` is None where it is only to be looked at, as of ``next_at``: it is new. ``reached`` is the last contact
    of the first partition for whom it has fired this time; 0 where it has fired for none in any of them.
    """

    partitions: tuple[int, ...]
    cause: str
    zone: str
    next_at: datetime
    nominal: str | None
    reached: int

    @property
    def named(self) -> Mapping[str, Any]:
        """The parameters of ``its_rows``."""
        return {
            "partition": self.partitions[0],
            "cause": self.cause,
            "zone": self.zone,
            "due_at": self.next_at,
            "its_nominal": self.nominal,
            "begun": self.reached > 0,
        }


def its_rows(dialect: str) -> tuple[ColumnElement[bool], ...]:
    """The rows of ``firing`` that a ``Due`` stands for."""
    here = held(firing.c.partition)
    return (
        here if dialect == "postgresql" else firing.c.partition == bindparam("partition", type_=Integer()),
        firing.c.cause == bindparam("cause", type_=Text()),
        firing.c.zone == bindparam("zone", type_=Text()),
        firing.c.next_at == bindparam("due_at", type_=Instant()),
        firing.c.nominal.is_not_distinct_from(bindparam("its_nominal", type_=Text())),
        (firing.c.reached > constant(0)) == bindparam("begun", type_=Boolean()),
    )


# How far they have come ----------------------------------------------------------------------------------------------


def begin_schedule(connection: Connection, cause: str, since: datetime) -> None:
    """Have the ticks begin with a schedule: it fires from ``since`` on. One that is known goes on as it is."""
    connection.execute(
        insert_new(connection, firing).from_select(
            ["partition", "cause", "zone", "since", "next_at", "reached"],
            select(
                shard.c.partition,
                bindparam("its_cause", cause, Text()),
                literal_column(f"'{WHOLE}'"),
                bindparam("its_since", since, Instant()),
                bindparam("its_since", since, Instant()),
                literal_column("0"),
            ).where(true()),
        )
    )


def known_schedules(connection: Connection) -> frozenset[str]:
    """The causes of all schedules that were begun."""
    return frozenset(connection.execute(select(firing.c.cause).distinct()).scalars())


def forget_schedule(connection: Connection, cause: str) -> None:
    """Forget how far a schedule has come, in all partitions."""
    connection.execute(delete(firing).where(firing.c.cause == cause))


def next_firings(connection: Connection) -> datetime | None:
    """When the first of all schedules fires, or is looked at."""
    found: datetime | None = connection.execute(select(func.min(firing.c.next_at))).scalar()
    return found


_DUE = Statement(
    select(
        firing.c.partition,
        firing.c.cause,
        firing.c.zone,
        microseconds_of(firing.c.next_at),
        firing.c.nominal,
        firing.c.reached,
    )
    .where(held(firing.c.partition), firing.c.next_at <= bindparam("now", type_=Instant()))
    .order_by(firing.c.next_at, firing.c.cause, firing.c.zone, firing.c.partition)
)


def due_schedules(connection: Connection, now: datetime) -> tuple[Due, ...]:
    """The schedules that are due at ``now`` in the partitions that are held, in order (ix_firing_next)."""
    alike: dict[tuple[Any, ...], Due] = {}
    apart = connection.dialect.name == "sqlite"
    for partition, cause, zone, next_at, nominal, reached in _DUE.run(connection, now=now):
        key = (cause, zone, next_at, nominal, reached > 0, partition if apart else None)
        if key in alike:
            alike[key] = replace(alike[key], partitions=(*alike[key].partitions, partition))
        else:
            alike[key] = Due(
                partitions=(partition,),
                cause=cause,
                zone=zone,
                next_at=from_microseconds(next_at),
                nominal=nominal,
                reached=reached,
            )
    return tuple(alike.values())


def _next(dialect: str) -> Statement:
    return Statement(
        update(firing)
        .values(
            next_at=bindparam("next_at", type_=Instant()),
            nominal=bindparam("nominal", type_=Text()),
            reached=constant(0),
        )
        .where(*its_rows(dialect))
    )


_NEXT = {dialect: _next(dialect) for dialect in ("sqlite", "postgresql")}


def plan(connection: Connection, due: Due, upcoming: Firing | None) -> None:
    """Write down when a schedule fires next; None is never again."""
    _NEXT[connection.dialect.name].run(
        connection,
        **due.named,
        next_at=upcoming.at if upcoming else None,
        nominal=upcoming.nominal if upcoming else None,
    )

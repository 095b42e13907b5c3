"""Pools: values of which each is given out once. They are imported here; steps draw them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import case, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from runner.store.statement import Connection
from runner.store.steps.draws import has_value, take_back
from runner.store.tables import pool_value

_AT_ONCE = 1_000


@dataclass(frozen=True, kw_only=True)
class PoolStatus:
    """How many values a pool has: ``free`` ones, and ``drawn`` ones, those on their way to the contact included."""

    name: str
    free: int
    drawn: int


def import_values(connection: Connection, pool: str, values: Iterable[str]) -> int:
    """Add ``values`` behind those that the pool has; one that it has, drawn or not, changes nothing. Returns how many
    were new."""
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(pool_value)
    found = select(func.count(), func.coalesce(func.max(pool_value.c.position), 0)).where(
        pool_value.c.pool == pool
    )
    before, last = connection.execute(found).one()
    rest = iter(values)
    while part := list(islice(rest, _AT_ONCE)):
        rows = [
            {"pool": pool, "value": value, "position": last + place}
            for place, value in enumerate(part, start=1)
        ]
        last += len(part)
        connection.execute(insert.values(rows).on_conflict_do_nothing())
    return int(connection.execute(found).one()[0]) - int(before)


def pool_status(connection: Connection) -> list[PoolStatus]:
    """Every pool that has values, in order of name; what came back since it was drawn counts as free. Served by
    pk_pool_value."""
    names = list(connection.execute(select(pool_value.c.pool).distinct()).scalars())
    for name in names:
        take_back(connection, name)
    is_free = pool_value.c.partition.is_(None)
    counts = select(
        pool_value.c.pool,
        func.sum(case((is_free, 1), else_=0)),
        func.sum(case((is_free, 0), else_=1)),
    )
    rows = connection.execute(counts.group_by(pool_value.c.pool).order_by(pool_value.c.pool))
    return [PoolStatus(name=name, free=int(free), drawn=int(drawn)) for name, free, drawn in rows]


def empty_pools(connection: Connection, pools: Iterable[str]) -> tuple[str, ...]:
    """Those of ``pools`` that have no value left for whoever draws next, in order of name. Changes nothing."""
    return tuple(sorted(pool for pool in pools if not has_value(connection, pool)))


def replace_values(connection: Connection, pools: Mapping[str, Sequence[str]]) -> None:
    """Give every pool the values of ``pools``, and nobody any of them: for scratch databases."""
    connection.execute(delete(pool_value))
    for name, values in pools.items():
        import_values(connection, name, values)

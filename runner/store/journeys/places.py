"""The places that sends with a ``rate`` have given, where the sends are called otherwise from now on."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, and_, delete, exists, literal, select

from runner.store.insert import upsert
from runner.store.tables import rate_use
from runner.store.types import ByCodePoint


def has_places(connection: Connection, journey: str, steps: Collection[str]) -> bool:
    """Whether one of ``steps`` of the journey has given places. Served by pk_rate_use."""
    of_them = and_(rate_use.c.journey == journey, rate_use.c.step.in_(sorted(steps)))
    return bool(connection.execute(select(exists(select(rate_use.c.used).where(of_them)))).scalar())


def take_over_places(connection: Connection, journey: str, renamed: Mapping[str, str]) -> None:
    """Have the places that a step has given under each former id count for the step to which ``renamed`` leads. No
    places are given meanwhile: the caller holds all partitions."""
    for was, step in sorted(renamed.items()):
        former = and_(rate_use.c.journey == journey, rate_use.c.step == was)
        rows = select(rate_use.c.journey, literal(step, ByCodePoint()), rate_use.c.at, rate_use.c.used).where(
            former
        )
        given = upsert(connection, rate_use)
        connection.execute(
            given.from_select(["journey", "step", "at", "used"], rows).on_conflict_do_update(
                index_elements=["journey", "step", "at"],
                set_={"used": rate_use.c.used + given.excluded.used},
            )
        )
        connection.execute(delete(rate_use).where(former))

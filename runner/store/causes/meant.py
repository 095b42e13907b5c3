"""What the events of a pass are about, so that only the journeys are asked that they may concern."""

from __future__ import annotations

from sqlalchemy import Connection, func, literal_column, select

from runner.journey.catalog import IDENTIFIED
from runner.journey.reserved import TIMED
from runner.store.passes.working import in_pass, wave
from runner.store.statement import Statement
from runner.store.types import constant, json_text

_CAUSES = Statement(
    select(json_text(wave.c.properties, constant("cause")))
    .where(in_pass(wave), wave.c.name.in_([literal_column(f"'{name}'") for name in sorted(TIMED)]))
    .distinct()
)


def causes_of_pass(connection: Connection, n: int) -> frozenset[str]:
    """The causes of what time has caused in pass ``n``: of schedules that fire, of dates that are reached."""
    return frozenset(_CAUSES.run(connection, n=n).scalars())


def _traits(dialect: str) -> Statement:
    keys = (
        func.jsonb_object_keys(wave.c.properties).table_valued("key").render_derived()
        if dialect == "postgresql"
        else func.json_each(wave.c.properties).table_valued("key")
    )
    return Statement(
        select(keys.c.key)
        .select_from(wave.join(keys, literal_column("1") == literal_column("1")))
        .where(in_pass(wave), wave.c.name == literal_column(f"'{IDENTIFIED}'"))
        .distinct()
    )


_TRAITS = {dialect: _traits(dialect) for dialect in ("sqlite", "postgresql")}


def traits_of_pass(connection: Connection, n: int) -> frozenset[str]:
    """The names of the traits that the identifies of pass ``n`` speak of."""
    return frozenset(_TRAITS[connection.dialect.name].run(connection, n=n).scalars())

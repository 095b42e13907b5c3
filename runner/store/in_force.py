"""Which version of which journey is in force, without their files: cheap enough to be asked at every tick."""

from __future__ import annotations

from sqlalchemy import Connection, select

from runner.store.tables import journey

InForce = tuple[tuple[str, int, str], ...]


def in_force(connection: Connection) -> InForce:
    """Journey, version and state of each journey, by name. It differs after every ``apply``, pause and resume that
    changed something."""
    rows = connection.execute(
        select(journey.c.name, journey.c.version, journey.c.state).order_by(journey.c.name)
    )
    return tuple((row.name, row.version, row.state) for row in rows)

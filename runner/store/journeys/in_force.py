"""Which version of which journey is in force, without their files: cheap enough to be asked at every tick."""

from __future__ import annotations

from sqlalchemy import Connection, select

from runner.store.statement import Statement
from runner.store.tables import journey

InForce = tuple[tuple[str, int, str], ...]

_IN_FORCE = Statement(select(journey.c.name, journey.c.version, journey.c.state).order_by(journey.c.name))


def in_force(connection: Connection) -> InForce:
    """Journey, version and state of each journey, by name. It differs after every ``apply``, pause and resume that
    changed something."""
    return tuple((name, version, state) for name, version, state in _IN_FORCE.run(connection))

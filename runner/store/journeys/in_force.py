"""Which version of which journey is in force, without their files: cheap enough to be asked at every tick."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from runner.store.statement import Statement
from runner.store.tables import journey

InForce = tuple[tuple[str, int, str, datetime | None], ...]

_IN_FORCE = Statement(
    select(journey.c.name, journey.c.version, journey.c.state, journey.c.resumed_at).order_by(journey.c.name)
)


def in_force(connection: Connection) -> InForce:
    """Name, version and state of each journey, and when it was last resumed, by name. It differs after every ``apply``,
    pause and resume that changed something, also where the next one has undone it since."""
    return tuple((name, version, state, since) for name, version, state, since in _IN_FORCE.run(connection))

"""Where an appointment stands, and which event is its own.

``due_at`` is what is to come, ``told_at`` the instant of an event that waits to be handled; both together are where the
appointment stands. While a pass handles the event at once, it still stands as what is to come.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, cast, func, literal_column

from runner.store.tables import appointment
from runner.store.types import Instant, microseconds_of

PREFIX = "appointment:"
"""How the keys of their events begin."""


def standing(of: Any) -> ColumnElement[datetime]:
    """When the appointment ``of`` is: as it is to come, or as its event waits to be handled."""
    at: ColumnElement[datetime] = func.coalesce(of.c.told_at, of.c.due_at, type_=Instant())
    return at


STANDS = standing(appointment)


def key_of(of: Any) -> ColumnElement[str]:
    """The key of the event that waits for the appointment ``of``, or that it will become."""
    key: ColumnElement[str] = (
        literal_column(f"'{PREFIX}'")
        + of.c.kind
        + literal_column("':'")
        + of.c.name
        + literal_column("':'")
        + cast(microseconds_of(standing(of)), Text())
    )
    return key


def stands_for(of: Any, told: Any) -> ColumnElement[bool]:
    """Whether ``told`` (partition, contact and key of an event) is the event of the appointment ``of``."""
    return and_(of.c.partition == told.c.partition, of.c.contact == told.c.contact, key_of(of) == told.c.key)

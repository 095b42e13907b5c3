"""What is to come: the instants at which something is due next, and what waits already."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ColumnElement, Connection, func, select

from runner.store.causes.appointments import Kind
from runner.store.tables import (
    MessageStatus,
    RunStatus,
    appointing,
    appointment,
    broadcast,
    event,
    firing,
    message,
    run,
)
from runner.store.types import constant


def pending_count(connection: Connection) -> int:
    """How many events have not been handled. Served by ``ix_event_pending``."""
    return connection.execute(select(func.count()).select_from(event).where(event.c.pending)).scalar_one()


def something_ready(connection: Connection, now: datetime) -> bool:
    """Whether a message is to be handed over at ``now``. Served by ``ix_message_ready``."""
    ready = (
        select(message.c.run)
        .where(message.c.status == constant(MessageStatus.READY.value), message.c.available_at <= now)
        .limit(1)
    )
    return connection.execute(ready).first() is not None


def next_due(connection: Connection) -> datetime | None:
    """The earliest instant at which a run is due; None while no run waits for time. Served by
    ``ix_run_due``.
    """
    return _earliest(connection, run.c.next_at, run.c.status == RunStatus.ACTIVE)


def next_pending(connection: Connection) -> datetime | None:
    """The instant of the earliest event that has not been handled. Served by ``ix_event_pending``."""
    return _earliest(connection, event.c.at, event.c.pending)


def next_timed(connection: Connection) -> datetime | None:
    """The earliest instant at which a schedule fires, an appointment comes due, or one of them has to be looked at, or
    of a broadcast that somebody has yet to hear. Served by ``ix_firing_next``, ``ix_appointment_due`` and
    ``ix_broadcast_open``."""
    found = (
        _earliest(connection, broadcast.c.at, broadcast.c.open),
        _earliest(connection, firing.c.next_at, firing.c.next_at.is_not(None)),
        _earliest(connection, appointment.c.due_at, appointment.c.due_at.is_not(None)),
        _earliest(connection, appointing.c.since, appointing.c.reached.is_not(None)),
    )
    return min((instant for instant in found if instant is not None), default=None)


def next_starts(connection: Connection) -> dict[str, datetime]:
    """By the name of each journey that a schedule or the dates of contacts start: when the next of them comes. A
    schedule whose first firing the ticks have yet to find is left out. Cheap beside counting everybody: it reads the
    dates of all contacts that are to come."""
    planned = (firing.c.next_at.is_not(None), firing.c.nominal.is_not(None))
    dated = (appointment.c.due_at.is_not(None), appointment.c.kind == constant(Kind.DATE.value))
    found: dict[str, datetime] = {}
    for cause, instant, among in (
        (firing.c.cause, firing.c.next_at, planned),
        (appointment.c.name, appointment.c.due_at, dated),
    ):
        earliest = func.min(instant, type_=instant.type)
        for of, at in connection.execute(select(cause, earliest).where(*among).group_by(cause)):
            journey = of.partition(" ")[0]  # causes begin with it
            found[journey] = min(at, found.get(journey, at))
    return found


def _earliest(
    connection: Connection, instant: Column[datetime], among: ColumnElement[bool]
) -> datetime | None:
    return connection.execute(select(func.min(instant, type_=instant.type)).where(among)).scalar_one()

"""Telling other processes that there is work, with LISTEN and NOTIFY of PostgreSQL, and hearing of it.

What is told is told inside the transaction that makes the work, so nobody hears of it before it is there, and nobody
hears of what was rolled back. It is never more than a hint: whoever misses one finds the work at its next look.
SQLite has no such thing; its processes look every so often.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, Integer, Text, bindparam, exists, func, literal_column, select

from runner.problem import JourneysError
from runner.store.database import Database, Deployment
from runner.store.statement import Statement
from runner.store.tables import MessageStatus, message
from runner.store.types import Instant, constant

HEAR_SECONDS = 0.25
"""How long a listener waits at a time before it looks whether it is to stop."""
ALIVE_SECONDS = 30.0
"""How often a listener gives a sign of life: the server notes when a session has last asked something."""


class Work(StrEnum):
    DUE = "due"  # events came in: a tick has something to handle
    READY = "ready"  # messages may be handed over


_now = bindparam("now", type_=Instant())
_READY = (message.c.status == constant(MessageStatus.READY.value), message.c.available_at <= _now)
_TELL = select(func.pg_notify(bindparam("channel", type_=Text()), bindparam("work", type_=Text())))
_TELL_READY = Statement(_TELL.where(exists(select(literal_column("1")).select_from(message).where(*_READY))))
_COUNT_READY = Statement(
    select(func.count()).select_from(
        select(literal_column("1").label("one"))
        .select_from(message)
        .where(*_READY)
        .order_by(message.c.available_at)  # a scan of the index, which marks what is dead in it
        .limit(bindparam("most", type_=Integer()))
        .subquery()
    )
)


def channel_of(deployment: Deployment) -> str:
    """The channel of a deployment: one server may hold several."""
    return f"journeys_{deployment.key[:32]}"


def listening(deployment: Deployment) -> str:
    """The statement by which a runner listens, and by which it is known among the sessions of the server. Those of
    software that gives no further sign of life say it without the remark."""
    return f'LISTEN "{channel_of(deployment)}" /* and gives signs of life */'


def tell_ready(connection: Connection, deployment: Deployment, now: datetime) -> None:
    """Wake those who deliver, once this transaction has committed, if a message can be handed over at ``now``."""
    if connection.dialect.name == "postgresql":
        _TELL_READY.run(connection, channel=channel_of(deployment), work=Work.READY.value, now=now)


def ready_messages(connection: Connection, now: datetime, most: int) -> int:
    """How many messages can be handed over at ``now``, counted up to ``most`` (ix_message_ready)."""
    count: int = _COUNT_READY.run(connection, now=now, most=most).scalar_one()
    return count


def listen(database: Database, stopping: Callable[[], bool]) -> Iterator[Work]:
    """What is told on a connection of its own, as it is told, until ``stopping``.

    Each kind of work comes once as soon as it listens: something may have been told before. Raises JourneysError when
    the connection is lost or cannot be had, or where the server, or a pooler before it, refuses LISTEN.
    """
    import psycopg
    from sqlalchemy.exc import DBAPIError

    try:
        pooled = database.engine.raw_connection()
        connection = pooled.driver_connection
        assert isinstance(connection, psycopg.Connection)
        pooled.detach()  # from the pool, which would lend it to others
        try:
            connection.rollback()
            connection.autocommit = True
            statement = listening(database.deployment).encode()
            connection.execute(statement)
            alive_at = time.monotonic()
            yield from Work
            while not stopping():
                if time.monotonic() - alive_at >= ALIVE_SECONDS:
                    connection.execute(statement)
                    alive_at = time.monotonic()
                for note in connection.notifies(timeout=HEAR_SECONDS, stop_after=1):
                    if note.payload in set(Work):
                        yield Work(note.payload)
        finally:
            connection.close()
    except (psycopg.Error, DBAPIError) as error:
        raise JourneysError(f"nothing is heard from the database: {str(error).strip()}") from error

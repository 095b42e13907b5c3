"""The messages of some contacts, as their keys and those who took them over call them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import and_, select

from runner.store.deployment import Deployment
from runner.store.listed import listed, rows_text
from runner.store.partition import partition_of
from runner.store.people.places import lies_in
from runner.store.sending.messages import MessageKey
from runner.store.statement import Connection, Statement
from runner.store.tables import MessageKind, contact, message
from runner.store.types import constant, from_microseconds, microseconds_of


@dataclass(frozen=True, kw_only=True, slots=True)
class SentTo:
    """A message to the contact ``contact_key``. ``made_in`` is the partition in which the contact was made, None where
    it lies there; ``provider_id`` is what the other side calls the message, where it said so."""

    contact_key: str
    made_in: int | None
    key: MessageKey
    journey: str
    let_go_at: datetime
    provider_id: str | None


def messages_to(connection: Connection, deployment: Deployment, keys: Iterable[str]) -> Iterator[SentTo]:
    """All messages to the contacts of ``keys``, wherever these lie (uq_contact_partition_key, pk_message)."""
    homes = sorted((partition_of(key, deployment.partitions), key) for key in set(keys))
    statement = _to(connection.dialect.name)
    for row in statement.run(connection, listed=rows_text(("partition", "key"), homes)):
        yield SentTo(
            contact_key=row[0],
            made_in=row[1],
            key=MessageKey(*row[2:7]),
            journey=row[7],
            let_go_at=from_microseconds(row[8]),
            provider_id=row[9],
        )


@cache
def _to(dialect: str) -> Statement:
    wanted = listed(dialect, "partition", "key")
    place = lies_in(wanted.c.partition, wanted.c.key)
    return Statement(
        select(
            contact.c.key,
            contact.c.made_in,
            message.c.partition,
            message.c.contact,
            message.c.run,
            message.c.step,
            message.c.visit,
            message.c.journey,
            microseconds_of(message.c.let_go_at),
            message.c.provider_id,
        )
        .select_from(
            wanted.join(contact, and_(contact.c.partition == place, contact.c.key == wanted.c.key)).join(
                message, and_(message.c.partition == contact.c.partition, message.c.contact == contact.c.id)
            )
        )
        .where(message.c.kind == constant(MessageKind.MESSAGE.value))
    )

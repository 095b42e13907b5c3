"""Contacts on whom a statement fails: who has something due, a batch of just these, and setting one aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, literal, select, union, update

from runner.store.held import hold
from runner.store.passes.working import OF_EVENT, wave
from runner.store.people.contacts import Identity
from runner.store.tables import RunStatus, event, run, shard
from runner.store.types import constant

_ACTIVE = run.c.status == constant(RunStatus.ACTIVE.value)


def contacts_with_work(
    connection: Connection, partitions: Sequence[int], now: datetime, limit: int
) -> tuple[Identity, ...]:
    """Up to ``limit`` contacts of ``partitions`` with an event or a timer that is due at ``now`` (ix_event_pending,
    ix_run_due)."""
    found = union(
        select(event.c.partition, event.c.contact).where(
            event.c.partition.in_(partitions), event.c.pending, event.c.at <= now
        ),
        select(run.c.partition, run.c.contact).where(
            run.c.partition.in_(partitions), _ACTIVE, run.c.next_at.is_not(None), run.c.next_at <= now
        ),
    ).subquery()
    rows = connection.execute(
        select(found.c.partition, found.c.contact).order_by(found.c.partition, found.c.contact).limit(limit)
    )
    return tuple((row.partition, row.contact) for row in rows)


def hold_free(connection: Connection, wanted: Sequence[int], *, alone: bool = False) -> tuple[int, ...]:
    """Hold those of the partitions that nobody else holds, until the transaction ends. ``alone`` as in ``hold``."""
    partitions = tuple(
        connection.execute(
            select(shard.c.partition)
            .where(shard.c.partition.in_(wanted))
            .order_by(shard.c.partition)
            .with_for_update(skip_locked=True)
        ).scalars()
    )
    hold(connection, partitions, alone=alone)
    return partitions


def begin_with(connection: Connection, contacts: Sequence[Identity]) -> int:
    """Put those of ``contacts`` into pass 0 whose partitions nobody else holds; they are held until the transaction
    ends. Answers how many there are."""
    held = hold_free(connection, sorted({partition for partition, _ in contacts}))
    rows = [
        {"n": 0, "partition": partition, "contact": contact}
        for partition, contact in contacts
        if partition in held
    ]
    if rows:
        connection.execute(insert(wave), rows)
    return len(rows)


@dataclass(frozen=True, kw_only=True)
class GivenUp:
    """An event that counts as handled, and was not."""

    id: int
    name: str
    at: datetime


def set_aside(
    connection: Connection, contact: Identity, now: datetime, reason: str
) -> tuple[int, GivenUp | None]:
    """Give up on the contact's next instant: its active runs are set aside with ``reason``, and its earliest event that
    waits counts as handled. Answers how many runs those were, and the event."""
    partition, number = contact
    connection.execute(
        select(shard.c.partition).where(shard.c.partition == partition).with_for_update()
    ).all()
    runs = connection.execute(
        update(run)
        .values(
            status=RunStatus.SET_ASIDE.value,
            reason=reason,
            ended_at=now,
            # Where it stood, and until when, stays: it may be resumed.
            step=None,
            review_at=None,
            next_at=None,
        )
        .where(run.c.partition == partition, run.c.contact == number, _ACTIVE)
    ).rowcount
    of_contact = (event.c.partition == partition, event.c.contact == number)
    first = connection.execute(
        select(event.c.id, event.c.name, event.c.at)
        .where(*of_contact, event.c.pending, event.c.at <= now)
        .order_by(event.c.at, event.c.id)
        .limit(1)
    ).first()
    if first is None:
        return runs, None
    connection.execute(update(event).values(pending=False).where(*of_contact, event.c.id == first.id))
    return runs, GivenUp(id=first.id, name=first.name, at=first.at)


def take_given_up(connection: Connection, contact: Identity, given_up: GivenUp) -> None:
    """Put the contact, whose partition is held, into pass 1 with an event that was given up."""
    partition, number = contact
    hold(connection, (partition,))
    rows = select(
        literal(1),
        event.c.partition,
        event.c.contact,
        event.c.at,
        literal(0),
        event.c.id,
        *(event.c[name] for name in OF_EVENT),
    ).where(event.c.partition == partition, event.c.contact == number, event.c.id == given_up.id)
    columns = ["n", "partition", "contact", "at", "late", "event", *OF_EVENT]
    connection.execute(insert(wave).from_select(columns, rows))

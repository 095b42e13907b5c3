"""The delivery side of the outbox: who holds a message, and what became of it.

A message changes its status only by a guarded transition: the update names the status and the attempt that the caller
holds, and answers which messages it still found so. Every other one is "no longer ours", and nothing was changed.
The statements themselves are in ``message_statements.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, exists, select

from runner.store.people.arrival import Arrival
from runner.store.sending import message_statements as statements
from runner.store.tables import MESSAGE_TRANSITIONS, ConsentState, MessageStatus, message
from runner.store.types import to_microseconds

NOBODY_TO_ASK = "?"
"""Stands for the id that the other side gives, while a message is handed over by a channel that cannot be asked."""


class MessageKey(NamedTuple):
    """What identifies a message."""

    partition: int
    contact: int
    run: int
    step: str
    visit: int


class Held(NamedTuple):
    """A message as somebody holds it: ``attempts`` counts the claims, so it tells one holder from the next."""

    key: MessageKey
    attempts: int


class Taken(NamedTuple):
    """A message of a journey that was taken by whoever is to hand it over."""

    held: Held
    journey: str


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A message that was claimed, with all that rendering and a second look at consent need.

    ``attributes``, ``trigger`` and ``data`` hold values in their stored form. ``consent`` is the state for the
    message's topic and channel, None where nothing was ever said, since ``consent_since``. ``suppressed`` is why
    nothing may be sent to the contact's address, None where something may. ``template`` is the cell that was chosen.
    ``kind`` tells what is handed over; ``payload`` what that is where it is no message to the contact, and of a message
    the values that its run had when it was let go, where a later step may have changed ``data``. ``made_in`` is the
    partition in which the contact was made, None where it lies there.
    """

    held: Held
    journey: str
    version: int
    channel: str
    topic: str
    let_go_at: datetime
    expires_at: datetime
    contact_key: str
    made_in: int | None
    email: str | None
    phone: str | None
    timezone: str | None
    locale: str | None
    account: str | None
    account_attributes: Mapping[str, Any] | None
    attributes: Mapping[str, Any]
    tags: Sequence[str]
    consent: ConsentState | None
    consent_since: datetime | None
    suppressed: str | None
    template: str | None
    kind: str
    payload: Mapping[str, Any] | None
    trigger: Mapping[str, Any]
    data: Mapping[str, Any]
    entered_at: datetime


@dataclass(frozen=True, kw_only=True)
class CutShort:
    """A message that was being handed over when its lease ran out. ``askable``: by a channel that can be asked."""

    held: Held
    journey: str
    channel: str
    contact_key: str
    made_in: int | None
    let_go_at: datetime
    askable: bool


@dataclass(frozen=True, kw_only=True)
class Change:
    """One transition: what ``held`` is to become. ``available_at`` belongs to ready, ``lease_until`` to sending,
    ``sent_at`` and ``provider_id`` to sent; of what is sending, ``provider_id`` may say NOBODY_TO_ASK."""

    held: Held
    to: MessageStatus
    reason: str | None = None
    available_at: datetime | None = None
    lease_until: datetime | None = None
    sent_at: datetime | None = None
    provider_id: str | None = None
    told: Arrival | None = None
    """What the run is told of it, as an event; it is stored with the transition, or not at all."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """Transitions of messages that have ``status``, as the database takes them. ``rows``: one for each of
    ``changes``."""

    status: MessageStatus
    changes: Sequence[Change]
    rows: Sequence[tuple[Any, ...]]


def written(status: MessageStatus, changes: Iterable[Change]) -> Written:
    """Write ``changes`` of messages that have ``status`` in the form that the database takes: before a transaction,
    which holds up others. Raises ValueError for a transition that is not in MESSAGE_TRANSITIONS."""
    changes = list(changes)
    _check(status, changes)
    return Written(status=status, changes=changes, rows=[_change_values(item, status) for item in changes])


def claim(connection: Connection, *, now: datetime, lease_until: datetime, limit: int) -> list[Claimed]:
    """``take`` messages, and answer their ``details``."""
    taken = take(connection, now=now, lease_until=lease_until, limit=limit)
    return details(connection, [one.held for one in taken])


def take(connection: Connection, *, now: datetime, lease_until: datetime, limit: int) -> list[Taken]:
    """Take up to ``limit`` messages that are ready at ``now``, the longest waiting first.

    Each counts one attempt more and is nobody else's until ``lease_until``. Messages that another transaction holds are
    passed over, never waited for.
    """
    rows = statements.claim().run(connection, now=now, until=lease_until, most=limit)
    return [Taken(_held(row), row.journey) for row in rows]


def details(connection: Connection, held: Sequence[Held]) -> list[Claimed]:
    """What is known of messages that were taken, in the order in which they were let go, at one instant by contact
    key. Those that somebody else has taken since are left out: their lease ran out before this was asked."""
    if not held:
        return []
    query = statements.details(connection.dialect.name)
    return [_claimed(row, query.names[6:]) for row in query.run(connection, batch=packed_keys(held))]


def change(connection: Connection, status: MessageStatus, changes: Iterable[Change]) -> frozenset[MessageKey]:
    """Change messages that have ``status`` and are still held as ``Change.held`` says; answers those that were.

    A message that is missing from the answer is no longer the caller's: its run ended, or its lease ran out and
    somebody else took it. Claimed messages that the engine is just then cancelling count as no longer ours
    instead of being waited for. Raises ValueError for a transition that is not in MESSAGE_TRANSITIONS.
    """
    return _change(connection, written(status, changes))


def _change(connection: Connection, batch: Written) -> frozenset[MessageKey]:
    if not batch.rows:
        return frozenset()
    if connection.dialect.name == "sqlite":
        statement = statements.change_one(batch.status)
        found = statement.each(connection, statements.GIVEN_CHANGE, batch.rows)
        return frozenset(item.held.key for item, ours in zip(batch.changes, found, strict=True) if ours)
    return frozenset(key for key, _ in _changed(connection, batch.status, batch.rows))


def record(connection: Connection, results: Written) -> frozenset[MessageKey]:
    """Write what became of messages that were handed over; answers which of them were still ours.

    A result that comes after the lease ran out, when somebody took the message for unknown, is the truth all the same;
    where it is to be handed over again and was not claimed since, a known end spares it that.
    """
    done = _change(connection, results)
    late = [
        one for one in results.changes if one.held.key not in done and one.to is not MessageStatus.UNKNOWN
    ]
    done |= change(connection, MessageStatus.UNKNOWN, late)
    ends = [one for one in late if one.held.key not in done and one.to is not MessageStatus.READY]
    return done | change(connection, MessageStatus.READY, ends)


def record_and_begin(
    connection: Connection, results: Written, begins: Written
) -> tuple[frozenset[MessageKey], frozenset[MessageKey]]:
    """``record`` what became of some messages, and ``change`` claimed ones as ``begins`` says, to ``sending``; answers
    which of either were still ours. Where the database is a server, it is asked once for both."""
    if connection.dialect.name == "sqlite" or not results.rows:
        recorded = record(connection, results)
        return recorded, _change(connection, begins)
    rows = _changed(connection, MessageStatus.CLAIMED, [*results.rows, *begins.rows])
    begun = frozenset(key for key, status in rows if status == MessageStatus.SENDING)
    recorded = frozenset(key for key, status in rows if status != MessageStatus.SENDING)
    # A result waits for whoever looks at its message just then; what is to be begun was passed over.
    left = [item for item in results.changes if item.held.key not in recorded]
    return recorded | record(connection, written(MessageStatus.SENDING, left)), begun


def renew(connection: Connection, held: Sequence[Held], *, until: datetime) -> None:
    """Hold messages until then that are still being handed over by that attempt."""
    statement = statements.renew(connection.dialect.name)
    statement.run(connection, batch=packed_keys(held), most=len(held), until=until)


def release_lapsed(connection: Connection, *, lapsed_by: datetime, now: datetime, limit: int) -> int:
    """Give back claimed messages whose lease ran out by ``lapsed_by``: ready again at ``now``, since nothing of them
    was handed over. Answers how many."""
    rows = statements.release_lapsed().run(connection, lapsed=lapsed_by, now=now, most=limit)
    return len(rows.all())


def cut_short(connection: Connection, *, lapsed_by: datetime, limit: int) -> list[CutShort]:
    """Messages whose lease ran out by ``lapsed_by`` while they were being handed over."""
    return [
        CutShort(
            held=_held(row),
            journey=row.journey,
            channel=row.channel,
            contact_key=row.contact_key,
            made_in=row.made_in,
            let_go_at=row.let_go_at,
            askable=row.provider_id != NOBODY_TO_ASK,
        )
        for row in connection.execute(statements.cut_short(lapsed_by, limit))
    ]


def surely_unsent(connection: Connection, held: Sequence[Held]) -> frozenset[MessageKey]:
    """Those of the messages that nobody is about to hand over, and that cannot have arrived before. They stay so until
    the transaction ends."""
    statement = statements.surely_unsent(connection.dialect.name)
    return frozenset(MessageKey(*row) for row in statement.run(connection, batch=packed_keys(held)))


def ever_claimed(connection: Connection) -> bool:
    """Whether a message of this database was ever about to be handed over."""
    return bool(connection.execute(select(exists().where(message.c.attempts > 0))).scalar())


def _claimed(row: Sequence[Any], rest: Sequence[str]) -> Claimed:
    """The message of a row that begins with who holds it; ``rest`` names what follows."""
    said = dict(zip(rest, row[6:], strict=True))
    if said["consent"]:
        said["consent"] = ConsentState(said["consent"])
    said["held"] = Held(MessageKey(*row[:5]), row[5])
    claimed = Claimed.__new__(Claimed)
    claimed.__dict__.update(said)  # a frozen class sets each of its many fields by a call
    return claimed


def _held(row: Any) -> Held:
    return Held(MessageKey(*row[:5]), row.attempts)


def packed_keys(held: Iterable[Held]) -> str:
    """Messages as statements take them in ``batch``."""
    return _packed(map(_held_row, held))


def _packed(rows: Iterable[Mapping[str, Any]]) -> str:
    return json.dumps(list(rows), ensure_ascii=False)


def _held_row(held: Held) -> dict[str, Any]:
    return {**held.key._asdict(), "attempts": held.attempts}


def _changed(
    connection: Connection, status: MessageStatus, rows: Sequence[tuple[Any, ...]]
) -> list[tuple[MessageKey, str]]:
    """Run the statement that changes messages of ``status`` with ``rows``; the messages that it changed, and what they
    have become."""
    statement = statements.change(connection.dialect.name, status)
    batch = _packed(dict(zip(statements.CHANGE, row, strict=True)) for row in rows)
    changed = statement.run(connection, batch=batch, most=len(rows))
    return [(MessageKey(*row[:5]), row[5]) for row in changed]


def _check(status: MessageStatus, changes: Iterable[Change]) -> None:
    for wanted in {item.to for item in changes} - MESSAGE_TRANSITIONS[status]:
        raise ValueError(f"a message that is {status} never becomes {wanted}")


def _change_values(item: Change, was: MessageStatus) -> tuple[Any, ...]:
    """What ``statements.CHANGE`` names."""
    return (
        *item.held.key,
        item.held.attempts,
        was.value,
        item.to.value,
        _storable(item.reason),
        *(
            None if at is None else to_microseconds(at)
            for at in (item.available_at, item.lease_until, item.sent_at)
        ),
        _storable(item.provider_id),
    )


def _storable(text: str | None) -> str | None:
    """Text from outside as every database takes it: without NUL and lone surrogates."""
    if text is None or (text.isascii() and "\0" not in text):
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()

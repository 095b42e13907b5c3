"""The delivery side of the outbox: who holds a message, and what became of it.

A message changes its status only by a guarded transition: the update names the status and the attempt that the caller
holds, and answers which messages it still found so. Every other one is "no longer ours", and nothing was changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Select,
    SmallInteger,
    String,
    Text,
    and_,
    bindparam,
    cast,
    column,
    exists,
    func,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from runner.journey.catalog import EVERY_CHANNEL
from runner.store.tables import (
    MESSAGE_TRANSITIONS,
    ConsentState,
    MessageStatus,
    consent,
    contact,
    message,
    run,
)
from runner.store.types import ByCodePoint, constant, instant_of, to_microseconds


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


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A message that was claimed, with all that rendering and a second look at consent need.

    ``attributes``, ``trigger`` and ``data`` hold values in their stored form. ``consent`` is the state for the
    message's topic and channel, None where nothing was ever said.
    """

    held: Held
    journey: str
    version: int
    channel: str
    topic: str
    let_go_at: datetime
    expires_at: datetime
    contact_key: str
    email: str | None
    phone: str | None
    timezone: str | None
    locale: str | None
    attributes: Mapping[str, Any]
    tags: Sequence[str]
    consent: ConsentState | None
    trigger: Mapping[str, Any]
    data: Mapping[str, Any]
    entered_at: datetime


@dataclass(frozen=True, kw_only=True)
class CutShort:
    """A message that was being handed over when its lease ran out."""

    held: Held
    journey: str
    channel: str
    contact_key: str
    let_go_at: datetime


@dataclass(frozen=True, kw_only=True)
class Change:
    """One transition: what ``held`` is to become. ``available_at`` belongs to ready, ``lease_until`` to sending,
    ``sent_at`` and ``provider_id`` to sent."""

    held: Held
    to: MessageStatus
    reason: str | None = None
    available_at: datetime | None = None
    lease_until: datetime | None = None
    sent_at: datetime | None = None
    provider_id: str | None = None


def claim(connection: Connection, *, now: datetime, lease_until: datetime, limit: int) -> list[Claimed]:
    """Take up to ``limit`` messages that are ready at ``now``, the longest waiting first (served by ix_message_ready).

    Each counts one attempt more and is nobody else's until ``lease_until``. Messages that another transaction holds are
    passed over, never waited for.
    """
    picked = (
        select(*_KEY)
        .where(message.c.status == constant(MessageStatus.READY.value), message.c.available_at <= now)
        .order_by(message.c.available_at, *_KEY)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("picked")
    )
    rows = connection.execute(
        update(message)
        .values(
            status=constant(MessageStatus.CLAIMED.value),
            attempts=message.c.attempts + 1,
            lease_until=lease_until,
            available_at=null(),
        )
        .where(_same(message, picked), message.c.status == constant(MessageStatus.READY.value))
        .returning(*_KEY, message.c.attempts)
    )
    held = [_held(row) for row in rows]
    return _details(connection, held) if held else []


def change(connection: Connection, status: MessageStatus, changes: Iterable[Change]) -> frozenset[MessageKey]:
    """Change messages that have ``status`` and are still held as ``Change.held`` says; answers those that were.

    A message that is missing from the answer is no longer the caller's: its run ended, or its lease ran out and
    somebody else took it. Claimed messages that the engine is just then cancelling count as no longer ours
    instead of being waited for. Raises ValueError for a transition that is not in MESSAGE_TRANSITIONS.
    """
    changes = list(changes)
    if not changes:
        return frozenset()
    for wanted in {item.to for item in changes} - MESSAGE_TRANSITIONS[status]:
        raise ValueError(f"a message that is {status} never becomes {wanted}")
    dialect = connection.dialect.name
    batch = _batch(dialect, _CHANGE)
    found = (
        select(*_KEY, *(batch.c[name] for name in ("status", "reason", *_INSTANTS, "provider_id")))
        .select_from(batch.join(message, _same(message, batch)))
        .where(message.c.attempts == batch.c.attempts, message.c.status == constant(status.value))
    )
    if status is MessageStatus.CLAIMED:
        found = found.with_for_update(of=message, skip_locked=True)
    ours = found.cte("ours")
    rows = connection.execute(
        update(message)
        .values(
            status=ours.c.status,
            reason=ours.c.reason,
            **{name: instant_of(ours.c[name]) for name in _INSTANTS},
            provider_id=ours.c.provider_id,
        )
        .where(_same(message, ours), message.c.status == constant(status.value))
        .returning(*_KEY),
        {"batch": _packed(map(_change_row, changes))},
    )
    return frozenset(MessageKey(*row) for row in rows)


def record(connection: Connection, results: Sequence[Change]) -> frozenset[MessageKey]:
    """Write what became of messages that were handed over; answers which of them were still ours.

    A result that comes after the lease ran out, when somebody took the message for unknown, is the truth all the same.
    """
    done = change(connection, MessageStatus.SENDING, results)
    late = [one for one in results if one.held.key not in done and one.to is not MessageStatus.UNKNOWN]
    return done | change(connection, MessageStatus.UNKNOWN, late)


def release_lapsed(connection: Connection, *, now: datetime, limit: int) -> int:
    """Give back claimed messages whose lease ran out; nothing of them was handed over. Answers how many
    (served by ix_message_held)."""
    picked = _lapsed(MessageStatus.CLAIMED, now, limit).with_for_update(skip_locked=True).cte("picked")
    return connection.execute(
        update(message)
        .values(status=constant(MessageStatus.READY.value), lease_until=null(), available_at=now)
        .where(_same(message, picked), message.c.status == constant(MessageStatus.CLAIMED.value))
    ).rowcount


def cut_short(connection: Connection, *, now: datetime, limit: int) -> list[CutShort]:
    """Messages whose lease ran out while they were being handed over (served by ix_message_held)."""
    picked = _lapsed(MessageStatus.SENDING, now, limit).subquery("picked")
    rows = connection.execute(
        select(
            *_KEY,
            message.c.attempts,
            message.c.journey,
            message.c.channel,
            message.c.let_go_at,
            contact.c.key.label("contact_key"),
        )
        .select_from(picked.join(message, _same(message, picked)).join(contact, _OF_CONTACT))
        .order_by(message.c.let_go_at, *_KEY)
    )
    return [
        CutShort(
            held=_held(row),
            journey=row.journey,
            channel=row.channel,
            contact_key=row.contact_key,
            let_go_at=row.let_go_at,
        )
        for row in rows
    ]


def ever_claimed(connection: Connection) -> bool:
    """Whether a message of this database was ever about to be handed over."""
    return bool(connection.execute(select(exists().where(message.c.attempts > 0))).scalar())


# The parts ---------------------------------------------------------------------------------------------------------

_KEY = (message.c.partition, message.c.contact, message.c.run, message.c.step, message.c.visit)
_OF_CONTACT = and_(contact.c.partition == message.c.partition, contact.c.id == message.c.contact)
_OF_RUN = and_(
    run.c.partition == message.c.partition, run.c.contact == message.c.contact, run.c.id == message.c.run
)
_INSTANTS = ("available_at", "lease_until", "sent_at")

_HELD: Mapping[str, TypeEngine[Any]] = {
    "partition": SmallInteger(),
    "contact": BigInteger(),
    "run": BigInteger(),
    "step": ByCodePoint(),
    "visit": SmallInteger(),
    "attempts": Integer(),
}
_CHANGE: Mapping[str, TypeEngine[Any]] = {
    **_HELD,
    "status": ByCodePoint(),
    "reason": ByCodePoint(),
    **dict.fromkeys(_INSTANTS, BigInteger()),
    "provider_id": ByCodePoint(),
}


def _same(one: FromClause, other: FromClause) -> ColumnElement[bool]:
    return and_(*(one.c[name] == other.c[name] for name in MessageKey._fields))


def _details(connection: Connection, held: Sequence[Held]) -> list[Claimed]:
    """The claimed messages with their contacts and runs, the first let go first; at one instant by contact key."""
    batch = _batch(connection.dialect.name, _HELD)
    own, every = consent.alias("own"), consent.alias("every")

    def of(state: FromClause, channel: ColumnElement[str]) -> ColumnElement[bool]:
        return and_(
            state.c.partition == message.c.partition,
            state.c.contact == message.c.contact,
            state.c.topic == message.c.topic,
            state.c.channel == channel,
        )

    rows = connection.execute(
        select(
            *_KEY,
            message.c.attempts,
            message.c.journey,
            message.c.version,
            message.c.channel,
            message.c.topic,
            message.c.let_go_at,
            message.c.expires_at,
            contact.c.key.label("contact_key"),
            contact.c.email,
            contact.c.phone,
            contact.c.timezone,
            contact.c.locale,
            contact.c.attributes,
            contact.c.tags,
            func.coalesce(own.c.state, every.c.state).label("consent"),
            run.c.trigger,
            run.c.data,
            run.c.entered_at,
        )
        .select_from(
            batch.join(message, _same(message, batch))
            .join(contact, _OF_CONTACT)
            .join(run, _OF_RUN)
            .outerjoin(own, of(own, message.c.channel))
            .outerjoin(every, of(every, literal(EVERY_CHANNEL, String())))
        )
        .order_by(message.c.let_go_at, contact.c.key, *_KEY),
        {"batch": _packed(map(_held_row, held))},
    )
    return [_claimed(row) for row in rows]


def _claimed(row: Any) -> Claimed:
    same = (
        "journey",
        "version",
        "channel",
        "topic",
        "let_go_at",
        "expires_at",
        "contact_key",
        "email",
        "phone",
    )
    more = ("timezone", "locale", "attributes", "tags", "trigger", "data", "entered_at")
    return Claimed(
        held=_held(row),
        consent=ConsentState(row.consent) if row.consent else None,
        **{name: getattr(row, name) for name in (*same, *more)},
    )


def _held(row: Any) -> Held:
    return Held(MessageKey(row.partition, row.contact, row.run, row.step, row.visit), row.attempts)


def _lapsed(status: MessageStatus, now: datetime, limit: int) -> Select[Any]:
    return (
        select(*_KEY)
        .where(message.c.lease_until <= now, message.c.status == constant(status.value))
        .order_by(message.c.lease_until)
        .limit(limit)
    )


def _batch(dialect: str, columns: Mapping[str, TypeEngine[Any]]) -> FromClause:
    """The rows of the parameter ``batch``, a JSON array of objects, as something to join: one parameter and one plan,
    however many rows."""
    parameter = bindparam("batch", type_=Text())
    if dialect == "postgresql":
        typed = [column(name, type_) for name, type_ in columns.items()]
        rows = func.jsonb_to_recordset(cast(parameter, JSONB)).table_valued(*typed, name="batch")
        return rows.render_derived(with_types=True)
    each = func.json_each(parameter).table_valued(column("value", String()), name="each")
    return select(
        *(
            func.json_extract(each.c.value, f"$.{name}", type_=type_).label(name)
            for name, type_ in columns.items()
        )
    ).subquery("batch")


def _packed(rows: Iterable[Mapping[str, Any]]) -> str:
    return json.dumps(list(rows), ensure_ascii=False)


def _held_row(held: Held) -> dict[str, Any]:
    return {**held.key._asdict(), "attempts": held.attempts}


def _change_row(item: Change) -> dict[str, Any]:
    instants = {name: getattr(item, name) for name in _INSTANTS}
    return {
        **_held_row(item.held),
        "status": item.to.value,
        "reason": _storable(item.reason),
        **{name: None if at is None else to_microseconds(at) for name, at in instants.items()},
        "provider_id": _storable(item.provider_id),
    }


def _storable(text: str | None) -> str | None:
    """Text from outside as every database takes it: without NUL and lone surrogates."""
    return None if text is None else text.replace("\0", "").encode("utf-8", "replace").decode()

"""The statements by which messages are claimed and change hands, built once and compiled once a database.

A batch of messages is one parameter, ``batch``: a JSON array of objects. So a statement and its plan are the same
however many messages it names, and the batch leads every join.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Dialect,
    FromClause,
    Integer,
    Select,
    SmallInteger,
    String,
    Text,
    and_,
    bindparam,
    case,
    cast,
    column,
    func,
    literal,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from runner.journey.catalog import ADDRESS_OF, EVERY_CHANNEL
from runner.store.statement import Statement
from runner.store.tables import MessageStatus, account, consent, contact, message, run, suppression
from runner.store.types import ByCodePoint, Instant, Json, constant, from_microseconds, instant_of

KEY = (message.c.partition, message.c.contact, message.c.run, message.c.step, message.c.visit)
INSTANTS = ("available_at", "lease_until", "sent_at")
POSSIBLE_DUPLICATE = "possible_duplicate"
"""The reason of a message that is handed over again although it may have arrived. It stays with the message until
that is sent, so that such messages can be counted."""

GIVEN = "given_"
"""What the parameters of ``change_one`` begin with: the bare names are those of the columns."""

_NOW = bindparam("now", type_=Instant())
_MOST = bindparam("most", type_=Integer())
_OF_CONTACT = and_(contact.c.partition == message.c.partition, contact.c.id == message.c.contact)
_OF_RUN = and_(
    run.c.partition == message.c.partition, run.c.contact == message.c.contact, run.c.id == message.c.run
)

_address = case(
    *((message.c.channel == constant(channel), contact.c[field]) for channel, field in ADDRESS_OF.items())
)
"""The contact's address for the message's channel."""
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
    "was": ByCodePoint(),
    "status": ByCodePoint(),
    "reason": ByCodePoint(),
    **dict.fromkeys(INSTANTS, BigInteger()),
    "provider_id": ByCodePoint(),
}
CHANGE = tuple(_CHANGE)
"""What a row of the batch of ``change`` says, in this order."""
GIVEN_CHANGE = tuple(GIVEN + name for name in CHANGE)
"""The same as parameters of ``change_one``."""


class Decoded:
    """A query compiled once, whose rows come as lists of Python values. ``names``: those of its columns."""

    def __init__(self, query: Select[Any]) -> None:
        self._statement = Statement(query)
        self._types = [column.type for column in query.selected_columns]
        self._decoders: Sequence[tuple[int, Callable[[Any], Any]]] | None = None
        self.names = tuple(str(column.key) for column in query.selected_columns)

    def run(self, connection: Connection, **parameters: Any) -> Iterator[list[Any]]:
        """Execute with ``parameters``."""
        decoders = self._decoders = self._decoders or _decoders(self._types, connection.dialect)
        for row in self._statement.run(connection, **parameters):
            values = list(row)
            for place, decode in decoders:
                if values[place] is not None:
                    values[place] = decode(values[place])
            yield values


def _decoders(
    types: Sequence[TypeEngine[Any]], dialect: Dialect
) -> Sequence[tuple[int, Callable[[Any], Any]]]:
    """How the columns whose values do not come as they are wanted are decoded, by place."""
    shortcuts = _SHORTCUTS if dialect.name == "sqlite" else {}
    decoders = [
        (place, shortcuts.get(type(type_)) or type_.dialect_impl(dialect).result_processor(dialect, None))
        for place, type_ in enumerate(types)
    ]
    return [(place, decode) for place, decode in decoders if decode is not None]


_SHORTCUTS: Mapping[type, Callable[[Any], Any]] = {
    Instant: from_microseconds,
    Json: json.JSONDecoder().decode,
}
"""What SQLAlchemy does for SQLite with three calls more each: a message has ten such values."""


@lru_cache
def claim() -> Statement:
    """Claim up to ``most`` messages that are ready at ``now``, until ``until`` (served by ix_message_ready)."""
    picked = (
        select(*KEY)
        .where(message.c.status == constant(MessageStatus.READY.value), message.c.available_at <= _NOW)
        .order_by(message.c.available_at, *KEY)
        .limit(_MOST)
        .with_for_update(skip_locked=True)
        .cte("picked")
    )
    return Statement(
        update(message)
        .values(
            status=constant(MessageStatus.CLAIMED.value),
            attempts=message.c.attempts + literal_column("1"),
            lease_until=bindparam("until", type_=Instant()),
            available_at=null(),
        )
        .where(_same(message, picked), message.c.status == constant(MessageStatus.READY.value))
        .returning(*KEY, message.c.attempts, message.c.journey)
    )


@lru_cache
def details(dialect: str) -> Decoded:
    """The messages of ``batch`` that are held by that attempt, with their contacts, runs and consents; who holds them
    comes first."""
    batch = _batch(dialect, _HELD)
    own, every = consent.alias("own"), consent.alias("every")

    def of(state: FromClause, channel: ColumnElement[str]) -> ColumnElement[bool]:
        return and_(
            state.c.partition == message.c.partition,
            state.c.contact == message.c.contact,
            state.c.topic == message.c.topic,
            state.c.channel == channel,
        )

    return Decoded(
        select(
            *KEY,
            message.c.attempts,
            message.c.journey,
            message.c.version,
            message.c.channel,
            message.c.topic,
            message.c.let_go_at,
            message.c.expires_at,
            contact.c.key.label("contact_key"),
            contact.c.made_in,
            contact.c.email,
            contact.c.phone,
            contact.c.timezone,
            contact.c.locale,
            contact.c.account,
            account.c.attributes.label("account_attributes"),
            contact.c.attributes,
            contact.c.tags,
            func.coalesce(own.c.state, every.c.state).label("consent"),
            case((own.c.state.is_not(None), own.c.since), else_=every.c.since).label("consent_since"),
            suppression.c.reason.label("suppressed"),
            message.c.template,
            message.c.kind,
            message.c.payload,
            run.c.trigger,
            run.c.data,
            run.c.entered_at,
        )
        .select_from(
            batch.join(message, _held_as(batch))
            .join(contact, _OF_CONTACT)
            .join(run, _OF_RUN)
            .outerjoin(
                account, and_(account.c.partition == contact.c.partition, account.c.key == contact.c.account)
            )
            .outerjoin(own, of(own, message.c.channel))
            .outerjoin(every, of(every, literal(EVERY_CHANNEL, String())))
            .outerjoin(
                suppression,
                and_(
                    suppression.c.partition == message.c.partition,
                    suppression.c.contact == message.c.contact,
                    suppression.c.channel == message.c.channel,
                    suppression.c.address == _address,
                ),
            )
        )
        .order_by(message.c.let_go_at, contact.c.key, *KEY)
    )


@lru_cache
def change(dialect: str, status: MessageStatus) -> Statement:
    """Give the messages of ``batch`` that have ``status``, and are held by that attempt, what the batch says; answers
    their keys and what they have become.

    The status stands in each row of the batch, as ``was``: of a constant PostgreSQL knows that few or no messages have
    it, reads all that do, and looks for each in the batch. So other messages of another status may be in the batch too.
    """
    batch = wanted = _batch(dialect, _CHANGE, few=True)
    held = and_(_held_as(batch), message.c.status == batch.c.was)
    if dialect == "postgresql" and status is MessageStatus.CLAIMED:
        # Only a SELECT can pass over what somebody else has locked.
        found = (
            select(*KEY, *(batch.c[name] for name in ("was", "status", "reason", *INSTANTS, "provider_id")))
            .select_from(batch.join(message, held))
            .with_for_update(of=message, skip_locked=True)
        )
        wanted = found.cte("ours")
        held = and_(_same(message, wanted), message.c.status == wanted.c.was)
    return Statement(
        update(message)
        .values(**_changed({each.key: each for each in wanted.c}))
        .where(held)
        .returning(*KEY, message.c.status)
    )


@lru_cache
def change_one(status: MessageStatus) -> Statement:
    """The same of one message, told by parameters: what SQLite does in a fraction of the time."""
    wanted = {name: bindparam(GIVEN + name, type_=type_) for name, type_ in _CHANGE.items()}
    held = and_(*(message.c[name] == wanted[name] for name in _HELD))
    return Statement(
        update(message).values(**_changed(wanted)).where(held, message.c.status == constant(status.value))
    )


def _changed(wanted: Mapping[str, ColumnElement[Any]]) -> dict[str, Any]:
    """What a message takes over of ``wanted``."""
    return {
        "status": wanted["status"],
        "reason": case((_remains_a_duplicate(wanted), message.c.reason), else_=wanted["reason"]),
        **{name: instant_of(wanted[name]) for name in INSTANTS},
        "provider_id": wanted["provider_id"],
    }


def _remains_a_duplicate(wanted: Mapping[str, ColumnElement[Any]]) -> ColumnElement[bool]:
    on_its_way = (MessageStatus.READY, MessageStatus.SENDING, MessageStatus.SENT)
    return and_(
        message.c.reason == constant(POSSIBLE_DUPLICATE),
        wanted["status"].in_([constant(status.value) for status in on_its_way]),
    )


@lru_cache
def renew(dialect: str) -> Statement:
    """Let the messages of ``batch`` that are being handed over by that attempt be held until ``until``. Whoever writes
    what became of one just then is not waited for."""
    batch = _batch(dialect, _HELD, few=True)
    being_sent = message.c.status == constant(MessageStatus.SENDING.value)
    ours = (
        select(*KEY)
        .select_from(batch.join(message, and_(_held_as(batch), being_sent)))
        .with_for_update(of=message, skip_locked=True)
        .cte("ours")
    )
    return Statement(
        update(message)
        .values(lease_until=bindparam("until", type_=Instant()))
        .where(_same(message, ours), being_sent)
    )


@lru_cache
def release_lapsed() -> Statement:
    """Make up to ``most`` claimed messages ready, at ``now``, whose lease ran out by ``lapsed`` (ix_message_held)."""
    by = bindparam("lapsed", type_=Instant())
    lapsed = _lapsed(MessageStatus.CLAIMED, by, _MOST).with_for_update(skip_locked=True).cte("lapsed")
    return Statement(
        update(message)
        .values(status=constant(MessageStatus.READY.value), lease_until=null(), available_at=_NOW)
        .where(_same(message, lapsed), message.c.status == constant(MessageStatus.CLAIMED.value))
        .returning(message.c.step)
    )


def cut_short(lapsed_by: datetime, limit: int) -> Select[Any]:
    """Up to ``limit`` messages whose lease ran out by then while they were sent (served by ix_message_held)."""
    lapsed = _lapsed(MessageStatus.SENDING, lapsed_by, limit).subquery("lapsed")
    return (
        select(
            *KEY,
            message.c.attempts,
            message.c.journey,
            message.c.channel,
            message.c.let_go_at,
            message.c.provider_id,
            contact.c.key.label("contact_key"),
            contact.c.made_in,
        )
        .select_from(lapsed.join(message, _same(message, lapsed)).join(contact, _OF_CONTACT))
        .order_by(message.c.let_go_at, *KEY)
    )


def _lapsed(status: MessageStatus, instant: Any, limit: Any) -> Select[Any]:
    return (
        select(*KEY)
        .where(message.c.lease_until <= instant, message.c.status == constant(status.value))
        .order_by(message.c.lease_until)
        .limit(limit)
    )


@lru_cache
def surely_unsent(dialect: str) -> Statement:
    """The messages of ``batch`` that are not on their way, and have never been in doubt; what somebody else holds just
    then is passed over."""
    batch = _batch(dialect, _HELD)
    stay = (MessageStatus.READY, MessageStatus.BLOCKED, MessageStatus.CANCELLED)
    return Statement(
        select(*KEY)
        .select_from(batch.join(message, _same(message, batch)))
        .where(
            message.c.status.in_([constant(status.value) for status in stay]),
            func.coalesce(message.c.reason, literal_column("''")) != constant(POSSIBLE_DUPLICATE),
        )
        .with_for_update(of=message, skip_locked=True)
    )


def batch_of(dialect: str) -> FromClause:
    """Messages as the parameter ``batch`` names them, by key and attempt."""
    return _batch(dialect, _HELD)


def _held_as(batch: FromClause) -> ColumnElement[bool]:
    """The messages of ``batch`` that are still held by its attempts."""
    return and_(_same(message, batch), message.c.attempts == batch.c.attempts)


def _same(one: FromClause, other: FromClause) -> ColumnElement[bool]:
    return and_(*(one.c[each.name] == other.c[each.name] for each in KEY))


def _batch(dialect: str, columns: Mapping[str, TypeEngine[Any]], *, few: bool = False) -> FromClause:
    """The rows of the parameter ``batch`` as something to join. ``few``: told to PostgreSQL, which takes any batch for
    a hundred rows and would rather read ten thousand messages than look for a hundred."""
    parameter = bindparam("batch", type_=Text())
    if dialect == "postgresql":
        typed = [column(name, type_) for name, type_ in columns.items()]
        rows = func.jsonb_to_recordset(cast(parameter, JSONB)).table_valued(*typed, name="batch")
        derived = rows.render_derived(with_types=True)
        # A limit that no batch reaches, and that the planner does not know: it expects a tenth.
        return select(derived).limit(bindparam("most", type_=Integer())).subquery("few") if few else derived
    each = func.json_each(parameter).table_valued(column("value", String()), name="each")
    paths = {name: literal_column(f"'$.{name}'", Text()) for name in columns}
    return select(
        *(
            func.json_extract(each.c.value, paths[name], type_=type_).label(name)
            for name, type_ in columns.items()
        )
    ).subquery("batch")

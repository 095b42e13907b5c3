"""What bounces, complaints and unsubscribes change: addresses to which nothing is sent, and consents.

A hard bounce and a complaint suppress the address. Whoever complains, or unsubscribes, withdraws their consent to the
topic of that message by that channel, and receipts still come; where nobody knows what they unsubscribed from, all but
receipts is kept from that address. Where nobody knows the channel either, it is so for each of the contact's addresses:
who has said no in the dark has said no. Feedback that names a message, by its id or by the step of a run or journey,
which the contact was not sent is another contact's, or another tool's, and changes nothing. What is written here is the
contact's, and policy sees it at once; ``sending/suppressed_addresses.py`` makes it hold for everybody with that
address.

What is imported as history is heeded as it is stored: nobody who has said no is written to because they said so
elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Text,
    and_,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects import postgresql, sqlite

from runner.journey.catalog import (
    ADDRESS_OF,
    CONSENT_WITHDRAWN,
    MESSAGE_BOUNCED,
    MESSAGE_COMPLAINED,
    MESSAGE_UNSUBSCRIBED,
)
from runner.journey.longest import LONGEST_KEY
from runner.journey.values import MILLIONTHS
from runner.store.causes.announce import announcement
from runner.store.causes.attributes import json_text_of
from runner.store.held import hold
from runner.store.listed import listed, rows_text
from runner.store.passes.working import OF_EVENT, PASS, create_working_tables, in_pass, wave
from runner.store.people.contacts import ConsentChange
from runner.store.statement import Statement
from runner.store.tables import (
    ConsentState,
    MessageKind,
    SuppressionReason,
    contact,
    event,
    message,
    suppression,
)
from runner.store.types import (
    ByCodePoint,
    constant,
    from_microseconds,
    json_object,
    json_text,
    json_true,
    microseconds_of,
)

FEEDBACK = frozenset({MESSAGE_BOUNCED, MESSAGE_COMPLAINED, MESSAGE_UNSUBSCRIBED})


def heed_feedback(connection: Connection, n: int) -> None:
    """Suppress what the events of pass ``n`` say is not to be written to, and withdraw what they withdraw."""
    dialect = connection.dialect.name
    _suppress(dialect).run(connection, n=n)
    _withdraw(dialect).run(connection, n=n)


def heed_history(connection: Connection, told: Sequence[tuple[int, int, str]]) -> list[ConsentChange]:
    """Suppress what feedback says that was stored as history, and tell nobody. ``told`` are its partitions, contacts
    and keys; the caller holds these partitions, in a transaction that is no tick's. Answers the consents that it
    withdraws, which the caller records."""
    # No pass meets the same contact twice.
    of_contact: defaultdict[tuple[int, int], list[tuple[int, int, str]]] = defaultdict(list)
    for one in told:
        of_contact[one[:2]].append(one)
    if not told:
        return []
    create_working_tables(connection)
    hold(connection, sorted({partition for partition, _ in of_contact}))
    dialect = connection.dialect.name
    withdrawn: list[ConsentChange] = []
    for nth in range(max(map(len, of_contact.values()))):
        rows = [each[nth] for each in of_contact.values() if nth < len(each)]
        text = rows_text(("partition", "contact", "dedup_key"), rows)
        _history(dialect).run(connection, n=_HISTORY, listed=text)
        _suppress(dialect).run(connection, n=_HISTORY)
        withdrawn += [
            ConsentChange(
                contact=(partition, number),
                topic=topic,
                channel=channel,
                state=ConsentState.WITHDRAWN,
                at=from_microseconds(at),
                source=source,
                wording=None,
            )
            for partition, number, at, topic, channel, source in _WITHDRAWN.run(connection, n=_HISTORY)
        ]
        _OVER.run(connection, n=_HISTORY)
    return withdrawn


_HISTORY = -1_000_000
"""The pass of feedback that is history, away from those of ticks."""
_OVER = Statement(delete(wave).where(wave.c.n == PASS))


@cache
def _history(dialect: str) -> Statement:
    its = listed(dialect, "partition", "contact", "dedup_key")
    its_key = [event.c[name] == its.c[name] for name in ("partition", "contact", "dedup_key")]
    columns = [
        PASS,
        event.c.partition,
        event.c.contact,
        event.c.at,
        event.c.id,
        *(event.c[name] for name in OF_EVENT),
    ]
    return Statement(
        insert(wave).from_select(
            ["n", "partition", "contact", "at", "event", *OF_EVENT],
            select(*columns).select_from(its.join(event, and_(*its_key))).where(~event.c.pending),
        )
    )


def _told(name: str) -> ColumnElement[Any]:
    return json_text(wave.c.properties, constant(name))


def _said(name: str) -> ColumnElement[bool]:
    return func.coalesce(_told(name), literal_column("''")) != literal_column("''")


def _number(name: str) -> ColumnElement[int]:
    whole = cast(_told(name), BigInteger())
    return whole.op("/", precedence=8, return_type=BigInteger())(constant(MILLIONTHS))


_is = {name: wave.c.name == literal_column(f"'{name}'") for name in FEEDBACK}
_newest = message.alias("newest")
_unknown = union_all(
    *(select(literal_column(f"'{channel}'", Text()).label("channel")) for channel in sorted(ADDRESS_OF))
).subquery("unknown")
"""Every channel that it may have been, where nobody knows."""
_known_channel = func.coalesce(_told("channel"), message.c.channel)
_channel = func.coalesce(_known_channel, _unknown.c.channel)
_address = func.coalesce(
    _told("address"),
    case(
        *(
            (_channel == literal_column(f"'{channel}'"), contact.c[field])
            for channel, field in ADDRESS_OF.items()
        ),
        else_=cast(null(), Text()),
    ),
)
_soft = json_true(wave.c.properties, constant("soft"))
_names_a_message = or_(_said("message"), and_(_said("step"), or_(_said("run"), _said("journey"))))
_of_own_message = or_(
    ~_names_a_message,
    and_(message.c.step.is_not(None), or_(~_said("message"), _told("run").is_not(None))),
)
"""Whether the event names no message, or one that the contact was sent: the import says ``run`` and ``step`` of what it
finds by its id, so one that still has an id alone is nobody's."""


def _of_newest(column: ColumnElement[int]) -> ColumnElement[int]:
    """Of the contact's newest message at the step of the journey that the event names; NULL where there is none."""
    return (
        select(column)
        .where(
            _newest.c.partition == wave.c.partition,
            _newest.c.contact == wave.c.contact,
            _newest.c.journey == _told("journey"),
            _newest.c.step == _told("step"),
            _newest.c.kind == constant(MessageKind.MESSAGE.value),
        )
        .order_by(_newest.c.let_go_at.desc(), _newest.c.run.desc(), _newest.c.visit.desc())
        .limit(1)
        .correlate(wave)
        .scalar_subquery()
    )


def _rows() -> FromClause:
    """The events of a pass with their contacts, and the messages of which they tell, where these are known: by run,
    or else by journey."""
    visit = func.coalesce(_number("visit"), literal_column("1"))
    of_message = and_(
        message.c.partition == wave.c.partition,
        message.c.contact == wave.c.contact,
        message.c.kind == constant(MessageKind.MESSAGE.value),
        message.c.run == func.coalesce(_number("run"), _of_newest(_newest.c.run)),
        message.c.step == _told("step"),
        message.c.visit == case((_told("run").is_(None), _of_newest(_newest.c.visit)), else_=visit),
    )
    of_contact = and_(contact.c.partition == wave.c.partition, contact.c.id == wave.c.contact)
    return wave.join(contact, of_contact).outerjoin(message, of_message)


@cache
def _suppress(dialect: str) -> Statement:
    reason = case(
        (_is[MESSAGE_BOUNCED], constant(SuppressionReason.BOUNCED.value)),
        (_is[MESSAGE_COMPLAINED], constant(SuppressionReason.COMPLAINED.value)),
        else_=constant(SuppressionReason.UNSUBSCRIBED.value),
    )
    found: Select[Any] = (
        select(wave.c.partition, wave.c.contact, _channel, _address, reason, wave.c.at)
        .select_from(_rows().outerjoin(_unknown, _known_channel.is_(None)))
        .where(
            in_pass(wave),
            _of_own_message,
            or_(
                and_(_is[MESSAGE_BOUNCED], ~_soft),
                _is[MESSAGE_COMPLAINED],
                and_(_is[MESSAGE_UNSUBSCRIBED], message.c.topic.is_(None)),
            ),
            _channel.is_not(None),
            # One that is too long for an index is from before addresses had a bound: no mail goes there.
            func.length(_address) <= constant(LONGEST_KEY),
        )
    )
    into = (postgresql if dialect == "postgresql" else sqlite).insert(suppression)
    into = into.from_select(["partition", "contact", "channel", "address", "reason", "since"], found)
    return Statement(
        into.on_conflict_do_update(
            index_elements=["partition", "contact", "channel", "address"],
            set_={"reason": into.excluded.reason, "since": into.excluded.since, "noted": null()},
            # What keeps receipts too is not replaced by what lets them pass.
            where=suppression.c.reason == constant(SuppressionReason.UNSUBSCRIBED.value),
        )
    )


_withdrawal: dict[str, ColumnElement[Any]] = {
    "topic": message.c.topic,
    "channel": message.c.channel,
    "source": case((_is[MESSAGE_COMPLAINED], constant("complained")), else_=constant("unsubscribed")),
}
_withdraws = and_(
    in_pass(wave),
    _of_own_message,
    or_(_is[MESSAGE_COMPLAINED], _is[MESSAGE_UNSUBSCRIBED]),
    message.c.topic.is_not(None),
)
_WITHDRAWN = Statement(
    select(wave.c.partition, wave.c.contact, microseconds_of(wave.c.at), *_withdrawal.values())
    .select_from(_rows())
    .where(_withdraws)
)


@cache
def _withdraw(dialect: str) -> Statement:
    parts = [
        part
        for key, text in _withdrawal.items()
        for part in (literal(key, Text()), json_text_of(text, dialect))
    ]
    return announcement(
        dialect,
        select(
            wave.c.partition,
            wave.c.contact,
            cast(null(), BigInteger()).label("run"),
            wave.c.at,
            literal(CONSENT_WITHDRAWN, ByCodePoint()).label("name"),
            json_object(*parts).label("properties"),
            (literal("event:", Text()) + cast(wave.c.event, Text()) + literal(":withdrawn", Text())).label(
                "key"
            ),
        )
        .select_from(_rows())
        .where(_withdraws),
    )

"""Addresses to which nothing is sent, whoever has them.

What bounces and complaints suppress is written for the contact of whom it was told (``causes/feedback.py``), in the
midst of a tick. Here it is noted for the address itself, under the hash by which it is counted: it outlives the
contact, and tells nobody who that was. Whoever asks reads what is still to be noted as well: all of it where that is
little, as what has just been told is. Of very much, as of all that was told before there were notes, the rest is looked
up by how it is spelled, and noted by and by, so that no message waits for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from string import ascii_lowercase, ascii_uppercase
from typing import Any, NamedTuple

from sqlalchemy import (
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    func,
    literal_column,
    null,
    select,
    true,
    tuple_,
    union_all,
    update,
)

from runner.journey.catalog import ADDRESS_OF
from runner.store.database import Database, Deployment
from runner.store.insert import upsert
from runner.store.listed import listed, rows_text
from runner.store.partition import partition_of
from runner.store.people.contacts import Contact
from runner.store.sending.address_places import counted_form, hashed_address
from runner.store.statement import Connection, Statement
from runner.store.tables import SuppressionReason, suppressed_address, suppression
from runner.store.types import constant, from_microseconds, microseconds_of

MOST = 1_000
"""How many are noted in one transaction, and are read by whoever asks while they are still to be noted."""

_CAPITALS = str.maketrans(ascii_uppercase, ascii_lowercase)
_WEAK = SuppressionReason.UNSUBSCRIBED
"""What lets receipts pass; the others do not."""


class Address(NamedTuple):
    """As it is written; ``channel`` is one that goes by an address."""

    channel: str
    address: str


class Suppressed(NamedTuple):
    """Why nothing is sent to an address, and since when."""

    reason: SuppressionReason
    since: datetime

    def or_stronger(self, other: Suppressed | None) -> Suppressed:
        """What holds of the two: what keeps receipts too before what lets them pass, then the older one."""
        if other is None:
            return self
        return min(self, other, key=lambda one: (one.reason is _WEAK, one.since))


@dataclass(frozen=True, kw_only=True)
class Found:
    """``by_address``: of the addresses asked about, those to which nothing is sent. ``to_note``: whether suppressions
    are not noted yet, of whatever address."""

    by_address: Mapping[Address, Suppressed]
    to_note: bool


def suppressed_among(connection: Connection, deployment: Deployment, addresses: Collection[Address]) -> Found:
    """To which of ``addresses`` nothing is sent. One look-up for all of them: pk_suppressed_address and
    ix_suppression_to_note.

    Where more than ``MOST`` are to be noted, the rest takes two more, by ix_suppression_spelled, which capital letters
    do not matter to: one that is spelled otherwise in another way is overlooked until it is noted.
    """
    asked = {one: _hash_of(deployment, *one) for one in addresses}
    keys = sorted((partition_of(each, deployment.partitions), each) for each in set(asked.values()))
    dialect = connection.dialect.name
    hashes = rows_text(("partition", "address"), keys)
    rows: Sequence[Any] = _asking(dialect).run(connection, listed=hashes, most=MOST).all()
    to_note = sum(row.channel is not None for row in rows)
    if to_note == MOST:
        spelled = sorted({each for one in asked for each in (_lower(one.address), counted_form(*one))})
        of_them = rows_text(("address",), ([each] for each in spelled))
        rows = [*rows, *_spelled(dialect).run(connection, listed=of_them)]
        # What another process has noted between these two is found by a third.
        rows = [*rows, *_asking(dialect).run(connection, listed=hashes, most=MOST)]
    found: dict[str, Suppressed] = {}
    for channel, address, reason, since in rows:
        said = Suppressed(SuppressionReason(reason), from_microseconds(since))
        of = address if channel is None else _hashed(deployment, channel, address)
        if of is not None:
            found[of] = said.or_stronger(found.get(of))
    return Found(
        by_address={one: found[each] for one, each in asked.items() if each in found}, to_note=to_note > 0
    )


@dataclass(frozen=True, kw_only=True)
class KeptFrom:
    """An address of a contact to which nothing is sent by ``channel``. ``own``: it was told of this contact; else of
    others alone who have that address."""

    channel: str
    address: str
    reason: SuppressionReason
    since: datetime
    own: bool


def kept_from(connection: Connection, deployment: Deployment, contact: Contact) -> tuple[KeptFrom, ...]:
    """To which of the contact's present addresses nothing is sent, by channel."""
    addresses = {channel: getattr(contact, field) for channel, field in sorted(ADDRESS_OF.items())}
    asked = {channel: Address(channel, address) for channel, address in addresses.items() if address}
    own = {
        _hashed(deployment, row.channel, row.address)
        for row in connection.execute(
            select(suppression.c.channel, suppression.c.address).where(
                tuple_(suppression.c.partition, suppression.c.contact) == contact.identity
            )
        )
    }
    found = suppressed_among(connection, deployment, asked.values()).by_address
    return tuple(
        KeptFrom(**one._asdict(), own=_hash_of(deployment, *one) in own, **found[one]._asdict())
        for one in asked.values()
        if one in found
    )


def note_suppressions(database: Database) -> int:
    """Note what is suppressed for the addresses themselves, up to ``MOST`` in a transaction. Answers how many
    suppressions were noted; what another process notes just then is left to it."""
    with database.begin() as connection:
        rows = _to_note().run(connection, most=MOST).all()
        _note(connection, database.deployment, rows)
    return len(rows)


def _note(connection: Connection, deployment: Deployment, rows: Sequence[Any]) -> None:
    by_address: dict[tuple[int, str], Suppressed] = {}
    for _, _, channel, address, reason, since in rows:
        if hashed := _hashed(deployment, channel, address):
            said = Suppressed(SuppressionReason(reason), from_microseconds(since))
            key = (partition_of(hashed, deployment.partitions), hashed)
            by_address[key] = said.or_stronger(by_address.get(key))
    if by_address:
        into = upsert(connection, suppressed_address)
        connection.execute(
            into.on_conflict_do_update(
                index_elements=["partition", "address"],
                set_={"reason": into.excluded.reason, "since": into.excluded.since},
                where=and_(
                    suppressed_address.c.reason == constant(_WEAK.value),
                    into.excluded.reason != constant(_WEAK.value),
                ),
            ),
            # Everybody writes in the same order: so nobody waits for each other.
            [
                {"partition": partition, "address": address, **said._asdict()}
                for (partition, address), said in sorted(by_address.items())
            ],
        )
    if rows:
        keys = rows_text(("partition", "contact", "channel", "address"), (row[:4] for row in rows))
        _marking(connection.dialect.name).run(connection, listed=keys)


def _hashed(deployment: Deployment, channel: str, address: str) -> str | None:
    """None for a channel that goes by no address: what is suppressed there reaches nobody else."""
    return _hash_of(deployment, channel, address) if channel in ADDRESS_OF else None


def _lower(text: str) -> str:
    """As the databases do it: of the letters of ASCII."""
    return text.translate(_CAPITALS)


def _hash_of(deployment: Deployment, channel: str, address: str) -> str:
    return hashed_address(deployment, channel, counted_form(channel, address))


@cache
def _asking(dialect: str) -> Statement:
    asked = listed(dialect, "partition", "address")
    noted = select(
        cast(null(), Text()).label("channel"),
        suppressed_address.c.address,
        suppressed_address.c.reason,
        microseconds_of(suppressed_address.c.since).label("since"),
    ).select_from(
        asked.join(
            suppressed_address,
            and_(
                suppressed_address.c.partition == asked.c.partition,
                suppressed_address.c.address == asked.c.address,
            ),
        )
    )
    first = (
        _told()
        .order_by(suppression.c.partition, suppression.c.contact)
        .limit(bindparam("most", type_=Integer()))
        .subquery("first")
    )
    return Statement(union_all(noted, select(first)))


@cache
def _spelled(dialect: str) -> Statement:
    asked = listed(dialect, "address")
    spelled = _told().where(func.lower(suppression.c.address) == asked.c.address)
    if dialect == "sqlite":
        return Statement(spelled.select_from(asked.join(suppression, true())))
    # PostgreSQL would rather read all and hash it: it cannot tell how few are spelled alike.
    each = spelled.offset(0).correlate(asked).lateral("each")
    return Statement(select(each).select_from(asked.join(each, true())))


def _told() -> Select[Any]:
    """What is not noted yet."""
    return select(
        suppression.c.channel,
        suppression.c.address,
        suppression.c.reason,
        microseconds_of(suppression.c.since).label("since"),
    ).where(suppression.c.noted.is_(None))


@cache
def _to_note() -> Statement:
    return Statement(
        select(
            suppression.c.partition,
            suppression.c.contact,
            suppression.c.channel,
            suppression.c.address,
            suppression.c.reason,
            microseconds_of(suppression.c.since),
        )
        .where(suppression.c.noted.is_(None))
        .order_by(suppression.c.partition, suppression.c.contact)
        .limit(bindparam("most", type_=Integer()))
        .with_for_update(skip_locked=True)
    )


@cache
def _marking(dialect: str) -> Statement:
    keys = listed(dialect, "partition", "contact", "channel", "address")
    return Statement(
        update(suppression)
        .values(noted=literal_column("true"))
        .where(*(suppression.c[key.name] == key for key in keys.c))
    )

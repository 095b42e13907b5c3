"""Addresses to which nothing is sent, whoever has them.

What bounces and complaints suppress is written for the contact of whom it was told (``causes/feedback.py``), in the
midst of a tick. Here it is noted for the address itself, under the hash by which it is counted: it outlives the
contact, and tells nobody who that was. Whoever asks reads what is still to be noted as well, so that nothing is
overlooked: neither what has just been told, nor what was told before there were notes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    Integer,
    Text,
    and_,
    bindparam,
    cast,
    literal_column,
    null,
    select,
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
"""How many are noted in one transaction."""

_WEAK = SuppressionReason.UNSUBSCRIBED
"""What lets receipts pass; the others do not."""


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
    """``by_address``: of the addresses asked about, those to which nothing is sent. ``to_note``: how many suppressions
    are not noted yet, of whatever address."""

    by_address: Mapping[str, Suppressed]
    to_note: int


def suppressed_among(connection: Connection, deployment: Deployment, addresses: Collection[str]) -> Found:
    """To which of ``addresses``, hashed, nothing is sent. One look-up for all of them: pk_suppressed_address and
    ix_suppression_to_note."""
    keys = sorted((partition_of(address, deployment.partitions), address) for address in addresses)
    rows = _asking(connection.dialect.name).run(connection, listed=rows_text(("partition", "address"), keys))
    found: dict[str, Suppressed] = {}
    to_note = 0
    for channel, address, reason, since in rows:
        said = Suppressed(SuppressionReason(reason), from_microseconds(since))
        of = address
        if channel is not None:
            to_note += 1
            of = _hashed(deployment, channel, address)
        if of in addresses:
            found[of] = said.or_stronger(found.get(of))
    return Found(by_address=found, to_note=to_note)


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
    hashed = {
        channel: _hash_of(deployment, channel, address) for channel, address in addresses.items() if address
    }
    own = {
        _hashed(deployment, row.channel, row.address)
        for row in connection.execute(
            select(suppression.c.channel, suppression.c.address).where(
                tuple_(suppression.c.partition, suppression.c.contact) == contact.identity
            )
        )
    }
    found = suppressed_among(connection, deployment, frozenset(hashed.values())).by_address
    return tuple(
        KeptFrom(channel=channel, address=addresses[channel], own=each in own, **found[each]._asdict())
        for channel, each in hashed.items()
        if each in found
    )


def note_suppressions(database: Database) -> int:
    """Note what is suppressed for the addresses themselves, some a transaction. Answers how many suppressions were
    noted; what another process notes just then is left to it."""
    noted = 0
    while True:
        with database.begin() as connection:
            rows = _to_note().run(connection, most=MOST).all()
            _note(connection, database.deployment, rows)
        noted += len(rows)
        if len(rows) < MOST:
            return noted


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
    still_to_note = select(
        suppression.c.channel,
        suppression.c.address,
        suppression.c.reason,
        microseconds_of(suppression.c.since),
    ).where(suppression.c.noted.is_(None))
    return Statement(union_all(noted, still_to_note))


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

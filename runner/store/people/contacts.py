"""Contacts, and what they consented to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    Table,
    and_,
    bindparam,
    func,
    insert,
    literal,
    select,
    tuple_,
    update,
)

from runner.journey.catalog import EVERY_CHANNEL, OWN_FIELDS
from runner.store.database import Deployment
from runner.store.insert import upsert
from runner.store.listed import listed, rows_text
from runner.store.partition import partition_of
from runner.store.people.places import belongs_in, hold_still, lies_in
from runner.store.tables import ConsentState, consent, consent_log, contact
from runner.store.types import EPOCH

_CHUNK = 10_000
"""Contacts whose consents are worked in together."""

Identity = tuple[int, int]
"""Partition and id of a contact."""


@dataclass(frozen=True, kw_only=True)
class ConsentChange:
    """A consent given or withdrawn, and its proof. ``channel`` is ``*`` for every channel."""

    contact: Identity
    topic: str
    channel: str
    state: ConsentState
    at: datetime
    source: str | None
    wording: str | None


@dataclass(frozen=True, kw_only=True)
class Contact:
    """A contact as it is stored; ``attributes`` hold stored forms."""

    identity: Identity
    key: str
    email: str | None
    phone: str | None
    timezone: str | None
    locale: str | None
    attributes: Mapping[str, Any]
    tags: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Consent:
    """What is in force for one topic and channel."""

    topic: str
    channel: str
    state: ConsentState
    since: datetime


def find_contact(connection: Connection, deployment: Deployment, key: str) -> Contact | None:
    """The contact whose key is ``key`` (``uq_contact_partition_key``)."""
    place = lies_in(literal(partition_of(key, deployment.partitions)), literal(key))
    row = connection.execute(
        select(contact).where(contact.c.partition == place, contact.c.key == key)
    ).first()
    if row is None:
        return None
    return Contact(
        identity=(row.partition, row.id),
        key=row.key,
        email=row.email,
        phone=row.phone,
        timezone=row.timezone,
        locale=row.locale,
        attributes=row.attributes,
        tags=tuple(row.tags),
        created_at=row.created_at,
    )


MOST_COMPARED = 5_000
"""Keys that are held against one that nobody has."""


def keys_like(connection: Connection, key: str) -> tuple[str, ...]:
    """Up to ``MOST_COMPARED`` keys about as long as ``key``: one may have been meant. May read all contacts."""
    about = func.length(contact.c.key).between(len(key) - 1, len(key) + 1)
    return tuple(connection.execute(select(contact.c.key).where(about).limit(MOST_COMPARED)).scalars())


def consents_of(connection: Connection, identity: Identity) -> tuple[Consent, ...]:
    """What a contact consented to and withdrew, by topic and channel (primary key)."""
    rows = connection.execute(
        select(consent)
        .where(tuple_(consent.c.partition, consent.c.contact) == identity)
        .order_by(consent.c.topic, consent.c.channel)
    )
    return tuple(
        Consent(topic=row.topic, channel=row.channel, state=ConsentState(row.state), since=row.since)
        for row in rows
    )


def apply_traits(connection: Connection, traits: Sequence[tuple[Identity, Mapping[str, Any]]]) -> None:
    """Write fitted traits to their contacts, in order; None clears. The caller holds the contacts'
    partitions."""
    if not traits:
        return
    merged: dict[Identity, dict[str, Any]] = defaultdict(dict)
    for identity, properties in traits:
        merged[identity].update(properties)
    written: dict[str, Any] = {name: bindparam(f"new_{name}") for name in (*OWN_FIELDS, "attributes", "tags")}
    statement = (
        update(contact)
        .where(contact.c.partition == bindparam("its_partition"), contact.c.id == bindparam("its_id"))
        .values(**written, belongs_in=belongs_in(written["account"]))
    )
    rows = connection.execute(*_of_listed(connection, contact, "id", sorted(merged))).all()
    if rows:
        connection.execute(statement, [_with_traits(row, merged[row.partition, row.id]) for row in rows])


def _of_listed(
    connection: Connection, table: Table, contact_column: str, identities: Sequence[Identity]
) -> tuple[Select[Any], dict[str, str]]:
    """The rows of ``table`` that belong to these contacts, as a query and its parameter: one look-up each by the
    primary key. SQLite would read the whole table for ``(partition, contact) IN (…)``."""
    given = listed(connection.dialect.name, "partition", "contact")
    belongs = and_(table.c.partition == given.c.partition, table.c[contact_column] == given.c.contact)
    text = rows_text(("partition", "contact"), identities)
    return select(table).select_from(given.join(table, belongs)), {"listed": text}


def _with_traits(row: Any, traits: Mapping[str, Any]) -> dict[str, Any]:
    own = {f"new_{name}": traits.get(name, getattr(row, name)) for name in OWN_FIELDS}
    others = {name: value for name, value in traits.items() if name not in (*OWN_FIELDS, "tags")}
    attributes = {name: value for name, value in {**row.attributes, **others}.items() if value is not None}
    return {
        "its_partition": row.partition,
        "its_id": row.id,
        "new_attributes": attributes,
        "new_tags": (traits["tags"] or []) if "tags" in traits else row.tags,
        **own,
    }


def grant_consent(
    connection: Connection,
    deployment: Deployment,
    contacts: Iterable[str] | None,
    *,
    topic: str,
    channel: str = EVERY_CHANNEL,
    state: ConsentState = ConsentState.GIVEN,
    at: datetime,
    source: str | None,
    wording: str | None = None,
) -> int:
    """Record one consent for the contacts with these keys, or for all; answers for how many. Unknown keys
    are left out."""
    keys = None if contacts is None else set(contacts)
    homes = {partition_of(key, deployment.partitions) for key in keys or ()}
    hold_still(connection, deployment, range(deployment.partitions) if keys is None else homes)
    found = _identities(connection, deployment, keys)
    for start in range(0, len(found), _CHUNK):
        changes = [
            ConsentChange(
                contact=identity,
                topic=topic,
                channel=channel,
                state=state,
                at=at,
                source=source,
                wording=wording,
            )
            for identity in found[start : start + _CHUNK]
        ]
        apply_consents(connection, changes)
    return len(found)


def _identities(
    connection: Connection, deployment: Deployment, contacts: Iterable[str] | None
) -> list[Identity]:
    columns = select(contact.c.partition, contact.c.id).order_by(contact.c.partition, contact.c.id)
    if contacts is None:
        return [tuple(row) for row in connection.execute(columns)]
    given = listed(connection.dialect.name, "partition", "key")
    place = lies_in(given.c.partition, given.c.key)
    named = and_(contact.c.partition == place, contact.c.key == given.c.key)
    wanted = sorted((partition_of(key, deployment.partitions), key) for key in set(contacts))
    text = rows_text(("partition", "key"), wanted)
    query = columns.select_from(given.join(contact, named))
    return [tuple(row) for row in connection.execute(query, {"listed": text})]


@dataclass
class _Topic:
    """The consents of one contact to one topic while changes are worked in: channel → state and since
    when."""

    channels: dict[str, tuple[ConsentState, datetime]] = field(default_factory=dict)

    def take(self, change: ConsentChange) -> None:
        """Work in a change, unless something later is known already: a withdrawal is never undone by an older
        consent that arrives after it."""
        entire = self.channels.get(EVERY_CHANNEL, (change.state, EPOCH))
        if change.channel != EVERY_CHANNEL:
            known = self.channels.get(change.channel, entire)
            if max(known[1], entire[1]) <= change.at:
                self.channels[change.channel] = (change.state, change.at)
            return
        for channel, (_, since) in self.channels.items():
            if since <= change.at:
                self.channels[channel] = (change.state, change.at)
        self.channels.setdefault(EVERY_CHANNEL, (change.state, change.at))


def apply_consents(connection: Connection, changes: Sequence[ConsentChange]) -> None:
    """Record consents and their proofs, in order. The caller holds the contacts' partitions."""
    if not changes:
        return
    identities = sorted({change.contact for change in changes})
    topics: dict[tuple[Identity, str], _Topic] = defaultdict(_Topic)
    last_proof: dict[Identity, int] = defaultdict(int)
    for row in connection.execute(*_of_listed(connection, consent, "contact", identities)):
        topic = topics[(row.partition, row.contact), row.topic]
        topic.channels[row.channel] = (ConsentState(row.state), row.since)
    proofs, parameter = _of_listed(connection, consent_log, "contact", identities)
    of_contact = (consent_log.c.partition, consent_log.c.contact)
    last = proofs.with_only_columns(*of_contact, func.max(consent_log.c.id).label("last")).group_by(
        *of_contact
    )
    for row in connection.execute(last, parameter):
        last_proof[row.partition, row.contact] = row.last
    proof_rows = []
    for change in changes:
        topics[change.contact, change.topic].take(change)
        last_proof[change.contact] += 1
        proof_rows.append(_proof(change, last_proof[change.contact]))
    connection.execute(insert(consent_log), proof_rows)
    written = upsert(connection, consent)
    connection.execute(
        written.on_conflict_do_update(
            index_elements=["partition", "contact", "topic", "channel"],
            set_={"state": written.excluded.state, "since": written.excluded.since},
        ),
        [
            {
                "partition": identity[0],
                "contact": identity[1],
                "topic": name,
                "channel": channel,
                "state": state.value,
                "since": since,
            }
            for (identity, name), topic in topics.items()
            for channel, (state, since) in topic.channels.items()
        ],
    )


def _proof(change: ConsentChange, number: int) -> dict[str, Any]:
    return {
        "partition": change.contact[0],
        "contact": change.contact[1],
        "id": number,
        "topic": change.topic,
        "channel": change.channel,
        "state": change.state.value,
        "at": change.at,
        "source": change.source,
        "wording": change.wording,
    }

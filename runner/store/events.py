"""Storing what arrives: a batch of events at a time, each once, their contacts made where they are new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    and_,
    delete,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.schema import CreateTable

from runner.journey.catalog import CONSENT_GRANTED, CONSENT_WITHDRAWN, EVERY_CHANNEL, IDENTIFIED
from runner.store.contacts import ConsentChange, Identity, apply_consents, apply_traits, partition_of
from runner.store.database import Deployment, write_json
from runner.store.insert import insert_new
from runner.store.tables import (
    ConsentState,
    contact,
    contact_id_sequence,
    event,
    event_id_sequence,
    run,
    shard,
)
from runner.store.types import ByCodePoint, Instant, Json, to_microseconds
from runner.store.zones import ensure_zones

_CONSENT_STATES = {CONSENT_GRANTED: ConsentState.GIVEN, CONSENT_WITHDRAWN: ConsentState.WITHDRAWN}


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """One event of one contact, its values fitted. An identify has the name ``IDENTIFIED`` and traits for
    properties.

    ``contact`` is the contact's key. ``dedup_key`` says what is the same event again.
    """

    contact: str
    name: str
    at: datetime
    properties: Mapping[str, Any]
    undeclared: Mapping[str, Any]
    dedup_key: str


@dataclass(frozen=True, kw_only=True)
class Stored:
    """How many events were new, how many were there already, and how many contacts were made."""

    new: int
    duplicate: int
    contacts_new: int

    def __add__(self, other: Stored) -> Stored:
        return Stored(
            new=self.new + other.new,
            duplicate=self.duplicate + other.duplicate,
            contacts_new=self.contacts_new + other.contacts_new,
        )


NOTHING_STORED = Stored(new=0, duplicate=0, contacts_new=0)

incoming = Table(
    "incoming",
    MetaData(),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("partition", SmallInteger, nullable=False),
    Column("key", ByCodePoint, nullable=False),
    Column("name", ByCodePoint, nullable=False),
    Column("at", Instant, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("properties", Json, nullable=False),
    Column("undeclared", Json),
    Column("dedup_key", ByCodePoint, nullable=False),
    Column("pending", Boolean, nullable=False),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)
"""The batch being stored, in order of arrival. One a session."""

_COLUMNS = ", ".join(column.name for column in incoming.columns)
_ITS_CONTACT = and_(contact.c.partition == incoming.c.partition, contact.c.key == incoming.c.key)


def store_events(
    connection: Connection,
    deployment: Deployment,
    batch: Sequence[Arrival],
    *,
    pending: bool,
    received_at: datetime | None = None,
) -> Stored:
    """Store ``batch`` in its order; what is there already changes nothing.

    ``pending`` events take their turn in the engine. The others are history: consents are recorded and
    traits applied at once, but for the traits of a contact who stands in a journey or has events that are
    still to be handled; those take their turn as well. An event later than ``received_at`` counts as of
    then; where that is None, each was received when it happened, as in a recording.
    """
    if not batch:
        return NOTHING_STORED
    at_once = () if pending else tuple(a for a in batch if a.name == IDENTIFIED or a.name in _CONSENT_STATES)
    partitions = {key: partition_of(key, deployment.partitions) for key in {a.contact for a in batch}}
    if at_once:
        _lock_shards(connection, {partitions[arrival.contact] for arrival in at_once})
    _stage(connection, batch, partitions, received_at, pending)
    contacts_new = _make_contacts(connection)
    zones = {arrival.properties.get("timezone") for arrival in batch if arrival.name == IDENTIFIED}
    ensure_zones(connection, (zone for zone in zones if zone))
    if at_once:
        _leave_to_engine(connection)
        new = _insert_and_apply(connection, batch)
    else:
        new = connection.execute(_insert_events(connection)).rowcount
    return Stored(new=new, duplicate=len(batch) - new, contacts_new=contacts_new)


def _lock_shards(connection: Connection, partitions: set[int]) -> None:
    """Keep the engine out of the partitions whose contacts are changed here."""
    connection.execute(
        select(shard.c.partition)
        .where(shard.c.partition.in_(sorted(partitions)))
        .order_by(shard.c.partition)
        .with_for_update()
    ).all()


def _stage(
    connection: Connection,
    batch: Sequence[Arrival],
    partitions: Mapping[str, int],
    received_at: datetime | None,
    pending: bool,
) -> None:
    connection.execute(CreateTable(incoming, if_not_exists=True))
    connection.execute(delete(incoming))
    on_sqlite = connection.dialect.name == "sqlite"
    instant: Any = to_microseconds if on_sqlite else _unchanged
    rows = [
        (
            place,
            partitions[arrival.contact],
            arrival.contact,
            arrival.name,
            instant(min(arrival.at, received_at or arrival.at)),
            instant(received_at or arrival.at),
            write_json(arrival.properties),
            write_json(arrival.undeclared) if arrival.undeclared else None,
            arrival.dedup_key,
            pending,
        )
        for place, arrival in enumerate(batch)
    ]
    if on_sqlite:
        marks = ", ".join("?" * len(incoming.columns))
        connection.exec_driver_sql(f"INSERT INTO incoming ({_COLUMNS}) VALUES ({marks})", rows)
        return
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY incoming ({_COLUMNS}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _unchanged(instant: datetime) -> datetime:
    return instant


def _make_contacts(connection: Connection) -> int:
    """Make the contacts of the batch that do not exist, numbered in order of arrival. Answers how many were
    made."""
    first = (
        select(
            incoming.c.partition,
            incoming.c.key,
            func.min(incoming.c.place).label("place"),
            func.min(incoming.c.received_at, type_=Instant()).label("created_at"),
        )
        .where(~exists(select(contact.c.id).where(_ITS_CONTACT)))
        .group_by(incoming.c.partition, incoming.c.key)
        .order_by(literal_column("place"))
        .subquery()
    )
    if connection.dialect.name == "postgresql":
        number: ColumnElement[int] = contact_id_sequence.next_value()
    else:
        last = (
            select(func.max(contact.c.id)).where(contact.c.partition == first.c.partition).scalar_subquery()
        )
        place = func.row_number().over(partition_by=first.c.partition, order_by=first.c.place)
        number = func.coalesce(last, 0) + place
    numbered = select(first.c.partition, number.label("id"), first.c.key, first.c.created_at).subquery()
    # Every session inserts in the order of the keys, so that no two wait for each other.
    made = select(
        numbered,
        literal({}, Json()).label("attributes"),
        literal([], Json()).label("tags"),
        numbered.c.created_at,
    ).order_by(numbered.c.partition, numbered.c.key)
    names = ["partition", "id", "key", "attributes", "tags", "created_at"]
    return connection.execute(insert_new(connection, contact).from_select(names, made)).rowcount


def _insert_events(connection: Connection) -> Any:
    """The INSERT of the staged batch, one row an event that is not there yet, ids rising in order of
    arrival."""
    staged = (
        select(
            contact.c.partition,
            contact.c.id.label("contact"),
            *(c for c in incoming.columns if c.name not in ("partition", "key")),
        )
        .select_from(incoming)
        .join(contact, _ITS_CONTACT)
        .order_by(incoming.c.place)
        .subquery()
    )
    if connection.dialect.name == "postgresql":
        number: ColumnElement[int] = event_id_sequence.next_value()
    else:
        last = (
            select(func.max(event.c.id))
            .where(event.c.partition == staged.c.partition, event.c.contact == staged.c.contact)
            .scalar_subquery()
        )
        place = func.row_number().over(
            partition_by=[staged.c.partition, staged.c.contact], order_by=staged.c.place
        )
        number = func.coalesce(last, 0) + place
    numbered = select(staged, number.label("id")).subquery()
    names = [column.name for column in event.columns]
    rows = select(*(numbered.c[name] for name in names)).order_by(
        numbered.c.partition, numbered.c.contact, numbered.c.dedup_key
    )
    return insert_new(connection, event).from_select(names, rows)


def _leave_to_engine(connection: Connection) -> None:
    """Have the identifies of contacts in motion wait for their turn: those with an active run
    (``uq_run_active``) or an event to be handled (``ix_event_timeline``)."""
    stands = select(run.c.id).where(
        run.c.partition == contact.c.partition,
        run.c.contact == contact.c.id,
        run.c.status == literal_column("'active'"),
    )
    to_handle = select(event.c.id).where(
        event.c.partition == contact.c.partition, event.c.contact == contact.c.id, event.c.pending
    )
    in_motion = exists(select(contact.c.id).where(_ITS_CONTACT, or_(exists(stands), exists(to_handle))))
    connection.execute(
        update(incoming).values(pending=true()).where(incoming.c.name == IDENTIFIED, in_motion)
    )


def _insert_and_apply(connection: Connection, batch: Sequence[Arrival]) -> int:
    """Insert the staged history, and apply what of it was new. Answers how many events were."""
    inserted = connection.execute(
        _insert_events(connection).returning(event.c.partition, event.c.contact, event.c.dedup_key)
    ).all()
    new = {tuple(row) for row in inserted}
    found = connection.execute(
        select(incoming.c.place, incoming.c.at, contact.c.partition, contact.c.id)
        .select_from(incoming)
        .join(contact, _ITS_CONTACT)
        .where(incoming.c.name.in_([IDENTIFIED, *_CONSENT_STATES]), ~incoming.c.pending)
        .order_by(incoming.c.at, incoming.c.place)
    ).all()
    traits: list[tuple[tuple[int, int], Mapping[str, Any]]] = []
    consents: list[ConsentChange] = []
    for place, at, partition, contact_id in found:
        arrival = batch[place]
        identity = (partition, contact_id, arrival.dedup_key)
        if identity not in new:
            continue
        new.discard(identity)
        if arrival.name == IDENTIFIED:
            traits.append(((partition, contact_id), arrival.properties))
        elif arrival.properties.get("topic"):
            consents.append(_consent((partition, contact_id), arrival, at))
    apply_traits(connection, traits)
    apply_consents(connection, consents)
    return len(inserted)


def _consent(identity: Identity, arrival: Arrival, at: datetime) -> ConsentChange:
    return ConsentChange(
        contact=identity,
        topic=arrival.properties["topic"],
        channel=arrival.properties.get("channel") or EVERY_CHANNEL,
        state=_CONSENT_STATES[arrival.name],
        at=at,
        source=arrival.properties.get("source"),
        wording=arrival.properties.get("wording"),
    )

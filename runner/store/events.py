"""Storing what arrives: a batch of events at a time, each once, their contacts made where they are new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Connection,
    FromClause,
    MetaData,
    SmallInteger,
    Table,
    Text,
    and_,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy import Sequence as NumberSequence
from sqlalchemy.schema import CreateTable

from runner.journey.catalog import CONSENT_GRANTED, CONSENT_WITHDRAWN, EVERY_CHANNEL, IDENTIFIED
from runner.store.contacts import ConsentChange, Identity, apply_consents, apply_traits, chunks, partition_of
from runner.store.database import Deployment, write_json
from runner.store.insert import insert_new
from runner.store.tables import (
    ConsentState,
    RunStatus,
    contact,
    contact_id_sequence,
    event,
    event_id_sequence,
    run,
    shard,
)
from runner.store.types import constant, to_microseconds
from runner.store.zones import ensure_zones

T = TypeVar("T")
_CONSENT_STATES = {CONSENT_GRANTED: ConsentState.GIVEN, CONSENT_WITHDRAWN: ConsentState.WITHDRAWN}


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """One event of one contact, its values fitted. An identify has the name ``IDENTIFIED`` and traits for
    properties.

    ``contact`` is the contact's key. ``dedup_key`` says what is the same event again. ``rejected`` names
    the values that did not fit; it is for the importer's report and is not stored.
    """

    contact: str
    name: str
    at: datetime
    properties: Mapping[str, Any]
    undeclared: Mapping[str, Any]
    dedup_key: str
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Stored:
    """How many events were new, how many were there already, and how many contacts were made."""

    new: int = 0
    duplicate: int = 0
    contacts_new: int = 0

    def __add__(self, other: Stored) -> Stored:
        return Stored(
            new=self.new + other.new,
            duplicate=self.duplicate + other.duplicate,
            contacts_new=self.contacts_new + other.contacts_new,
        )


Key = tuple[int, str]
"""Partition and key of a contact."""


def store_events(
    connection: Connection,
    deployment: Deployment,
    batch: Sequence[Arrival],
    *,
    pending: bool,
    received_at: datetime | None = None,
) -> Stored:
    """Store ``batch`` in its order; what is there already changes nothing.

    ``pending`` events take their turn in the engine. The others are history: consents are recorded and traits
    applied at once, but for the traits of a contact who stands in a journey or has events that are still to
    be handled; those take their turn as well. An event later than ``received_at`` counts as of then; where
    that is None, each was received when it happened, as in a recording.
    """
    if not batch:
        return Stored()
    places = {key: partition_of(key, deployment.partitions) for key in {arrival.contact for arrival in batch}}
    at_once = () if pending else tuple(arrival for arrival in batch if _changes_contact(arrival))
    if at_once:
        _lock_shards(connection, {places[arrival.contact] for arrival in at_once})
    first_received: dict[str, datetime] = {}
    for arrival in batch:
        first_received.setdefault(arrival.contact, received_at or arrival.at)
    keys = [(places[key], key) for key in first_received]
    identities, contacts_new = _identities(connection, keys, first_received)
    zones = {arrival.properties.get("timezone") for arrival in batch if arrival.name == IDENTIFIED}
    ensure_zones(connection, (zone for zone in zones if zone))
    in_motion: set[Identity] = set()
    fresh: list[tuple[Identity, Arrival]] = []
    if at_once:
        of = [(identities[arrival.contact], arrival) for arrival in at_once]
        in_motion = _in_motion(
            connection, {identity for identity, arrival in of if arrival.name == IDENTIFIED}
        )
        fresh = _not_there_yet(connection, of)
    numbers = _event_numbers(connection, [identities[arrival.contact] for arrival in batch])
    rows = [
        (
            *identities[arrival.contact],
            number,
            arrival.name,
            min(arrival.at, received_at or arrival.at),
            received_at or arrival.at,
            write_json(arrival.properties),
            write_json(arrival.undeclared) if arrival.undeclared else None,
            arrival.dedup_key,
            pending or (arrival.name == IDENTIFIED and identities[arrival.contact] in in_motion),
        )
        for number, arrival in zip(numbers, batch, strict=True)
    ]
    new = _insert(connection, rows)
    _apply(connection, fresh, in_motion, received_at)
    return Stored(new=new, duplicate=len(batch) - new, contacts_new=contacts_new)


def _changes_contact(arrival: Arrival) -> bool:
    return arrival.name == IDENTIFIED or arrival.name in _CONSENT_STATES


def _lock_shards(connection: Connection, partitions: set[int]) -> None:
    """Keep everybody else out of the partitions whose contacts are changed here."""
    connection.execute(
        select(shard.c.partition)
        .where(shard.c.partition.in_(sorted(partitions)))
        .order_by(shard.c.partition)
        .with_for_update()
    ).all()


# Contacts -------------------------------------------------------------------------------------------


def _identities(
    connection: Connection, keys: Sequence[Key], received: Mapping[str, datetime]
) -> tuple[dict[str, Identity], int]:
    """The contacts of ``keys``, made where they are new, numbered in that order. Answers how many were
    made."""
    found = _find(connection, keys)
    missing = [key for key in keys if key[1] not in found]
    if not missing:
        return found, 0
    numbered = zip(
        missing, _contact_numbers(connection, [partition for partition, _ in missing]), strict=True
    )
    rows: list[dict[str, Any]] = [
        {
            "partition": partition,
            "id": number,
            "key": key,
            "attributes": {},
            "tags": [],
            "created_at": received[key],
        }
        for (partition, key), number in numbered
    ]
    # Every session inserts in the order of the keys, so that no two wait for each other. One that came second
    # finds the contact of the first.
    rows.sort(key=lambda row: (row["partition"], row["key"]))
    connection.execute(insert_new(connection, contact), rows)
    made = _find(connection, missing)
    ours = sum(made[row["key"]] == (row["partition"], row["id"]) for row in rows)
    return {**found, **made}, ours


def _find(connection: Connection, keys: Sequence[Key]) -> dict[str, Identity]:
    wanted = _listed(connection, keys)
    rows = connection.execute(
        select(contact.c.key, contact.c.partition, contact.c.id)
        .select_from(wanted)
        .join(contact, and_(contact.c.partition == wanted.c.partition, contact.c.key == wanted.c.key))
    )
    return {key: (partition, number) for key, partition, number in rows}


def _listed(connection: Connection, keys: Sequence[Key]) -> FromClause:
    """``keys`` as a table with columns ``partition`` and ``key``, sent as one parameter or two."""
    if connection.dialect.name == "sqlite":
        each = func.json_each(literal(write_json(keys), Text())).table_valued("value")
        return select(
            func.json_extract(each.c.value, "$[0]", type_=SmallInteger()).label("partition"),
            func.json_extract(each.c.value, "$[1]", type_=Text()).label("key"),
        ).subquery()
    return (
        func.unnest(
            literal([partition for partition, _ in keys], ARRAY(SmallInteger)),
            literal([key for _, key in keys], ARRAY(Text)),
        )
        .table_valued(Column("partition", SmallInteger), Column("key", Text), name="listed")
        .render_derived()
    )


def _contact_numbers(connection: Connection, partitions: Sequence[int]) -> list[int]:
    """Numbers for new contacts in these partitions."""
    if connection.dialect.name == "postgresql":
        return _from_sequence(connection, contact_id_sequence, len(partitions))
    last = {
        partition: connection.execute(
            select(func.coalesce(func.max(contact.c.id), 0)).where(contact.c.partition == partition)
        ).scalar_one()
        for partition in set(partitions)
    }
    return _counted_on(last, partitions)


# Events ---------------------------------------------------------------------------------------------


def _event_numbers(connection: Connection, identities: Sequence[Identity]) -> list[int]:
    """Numbers for the events of a batch, rising within each contact."""
    if connection.dialect.name == "postgresql":
        return _from_sequence(connection, event_id_sequence, len(identities))
    # One writer at a time: what is read here holds until the commit.
    each = func.json_each(literal(write_json(sorted(set(identities))), Text())).table_valued("value")
    partition = func.json_extract(each.c.value, "$[0]", type_=SmallInteger())
    contact_id = func.json_extract(each.c.value, "$[1]", type_=BigInteger())
    last = (
        select(func.coalesce(func.max(event.c.id), 0))
        .where(event.c.partition == partition, event.c.contact == contact_id)
        .scalar_subquery()
    )
    rows = connection.execute(select(partition, contact_id, last).select_from(each))
    return _counted_on({(row[0], row[1]): row[2] for row in rows}, identities)


def _from_sequence(connection: Connection, sequence: NumberSequence, count: int) -> list[int]:
    numbers = select(sequence.next_value()).select_from(func.generate_series(1, count))
    return list(connection.execute(numbers).scalars())


def _counted_on(last: dict[T, int], items: Sequence[T]) -> list[int]:
    """For each item the number after the last one given to it."""
    numbers = []
    for item in items:
        last[item] += 1
        numbers.append(last[item])
    return numbers


incoming = Table(
    "incoming",
    MetaData(),
    *(Column(column.name, column.type, primary_key=column.primary_key) for column in event.columns),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)
"""PostgreSQL: the batch being stored, as COPY cannot leave out what is there already. One a session."""

_COLUMNS = ", ".join(column.name for column in event.columns)
_MARKS = ", ".join("?" * len(event.columns))


def _insert(connection: Connection, rows: list[tuple[Any, ...]]) -> int:
    """Insert rows of ``event``, in the order of its columns, that are not there yet; answer how many those
    were."""
    # In the order of the unique key: two sessions that store the same events do not wait for each other in
    # turn, and an index is written where it was written just before.
    rows.sort(key=lambda row: (row[0], row[1], row[8]))
    if connection.dialect.name == "sqlite":
        return connection.exec_driver_sql(
            f"INSERT INTO event ({_COLUMNS}) VALUES ({_MARKS}) ON CONFLICT DO NOTHING",
            [(*row[:4], to_microseconds(row[4]), to_microseconds(row[5]), *row[6:]) for row in rows],
        ).rowcount
    connection.execute(CreateTable(incoming, if_not_exists=True))
    connection.exec_driver_sql("TRUNCATE incoming")
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor:
        with cursor.copy(f"COPY incoming ({_COLUMNS}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(
            f"INSERT INTO event ({_COLUMNS}) SELECT {_COLUMNS} FROM incoming ON CONFLICT DO NOTHING"
        )
        return int(cursor.rowcount)


# What history changes -------------------------------------------------------------------------------


def _in_motion(connection: Connection, identities: set[Identity]) -> set[Identity]:
    """Those of the contacts with an active run (``uq_run_active``) or an event to handle
    (``ix_event_timeline``)."""
    stands = select(run.c.id).where(
        run.c.partition == contact.c.partition,
        run.c.contact == contact.c.id,
        run.c.status == constant(RunStatus.ACTIVE.value),
    )
    to_handle = select(event.c.id).where(
        event.c.partition == contact.c.partition, event.c.contact == contact.c.id, event.c.pending
    )
    found: set[Identity] = set()
    for chunk in chunks(sorted(identities)):
        rows = connection.execute(
            select(contact.c.partition, contact.c.id).where(
                tuple_(contact.c.partition, contact.c.id).in_(chunk), or_(exists(stands), exists(to_handle))
            )
        )
        found.update((partition, number) for partition, number in rows)
    return found


def _not_there_yet(
    connection: Connection, arrivals: Sequence[tuple[Identity, Arrival]]
) -> list[tuple[Identity, Arrival]]:
    """The arrivals that are not stored yet, each once (``uq_event_partition_contact_dedup_key``)."""
    keys = {(*identity, arrival.dedup_key): (identity, arrival) for identity, arrival in reversed(arrivals)}
    its_key = tuple_(event.c.partition, event.c.contact, event.c.dedup_key)
    for chunk in chunks(list(keys)):
        for row in connection.execute(
            select(event.c.partition, event.c.contact, event.c.dedup_key).where(its_key.in_(chunk))
        ):
            del keys[row.partition, row.contact, row.dedup_key]
    return list(reversed(keys.values()))


def _apply(
    connection: Connection,
    fresh: Sequence[tuple[Identity, Arrival]],
    in_motion: set[Identity],
    received_at: datetime | None,
) -> None:
    """Do at once what new history does to contacts, in order of time, then of arrival."""
    ordered = sorted(fresh, key=lambda item: min(item[1].at, received_at or item[1].at))
    apply_traits(
        connection,
        [
            (identity, arrival.properties)
            for identity, arrival in ordered
            if arrival.name == IDENTIFIED and identity not in in_motion
        ],
    )
    apply_consents(
        connection,
        [
            ConsentChange(
                contact=identity,
                topic=arrival.properties["topic"],
                channel=arrival.properties.get("channel") or EVERY_CHANNEL,
                state=_CONSENT_STATES[arrival.name],
                at=min(arrival.at, received_at or arrival.at),
                source=arrival.properties.get("source"),
                wording=arrival.properties.get("wording"),
            )
            for identity, arrival in ordered
            if arrival.name in _CONSENT_STATES and arrival.properties.get("topic")
        ],
    )

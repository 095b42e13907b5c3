"""Storing what arrives: a batch of events at a time, each once, their contacts made where they are new."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection

from runner.journey.catalog import ACCOUNT_IDENTIFIED, IDENTIFIED
from runner.store.causes.broadcasts import Sent, store_broadcasts
from runner.store.causes.history import history_came
from runner.store.database import Deployment
from runner.store.engines import write_json
from runner.store.listed import rows_text
from runner.store.local_time.zones import ensure_zones
from runner.store.partition import partition_of
from runner.store.passes.working import steady_plans
from runner.store.people.accounts import apply_account_traits
from runner.store.people.arrival import NOBODY, Arrival
from runner.store.people.at_once import Of, apply_at_once, changes_contact, look_before
from runner.store.people.contacts import Identity
from runner.store.people.identities import identities
from runner.store.people.places import STILL, hold_still, still
from runner.store.statement import exchange
from runner.store.types import to_microseconds
from runner.store.work.wake import Work, channel_of


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


def store_events(
    connection: Connection,
    deployment: Deployment,
    batch: Sequence[Arrival],
    *,
    pending: bool,
    received_at: datetime | None = None,
) -> Stored:
    """Store ``batch`` in its order; what is there already changes nothing.

    ``pending`` events take their turn in the engine. The others are history: consents are recorded, feedback is heeded
    and traits are applied at once, but for the traits of a contact who stands in a journey or has events that are still
    to be handled; those take their turn as well. An event later than ``received_at`` counts as of then; where
    that is None, each was received when it happened, as in a recording.
    """
    of_nobody = [arrival for arrival in batch if arrival.contact == NOBODY]
    if of_nobody:
        sent = [
            Sent(
                name=each.name,
                at=min(each.at, received_at or each.at),
                received_at=received_at or each.at,
                properties=each.properties,
                undeclared=each.undeclared,
                dedup_key=each.dedup_key,
            )
            for each in of_nobody
        ]
        new = store_broadcasts(connection, sent, pending=pending)
        others = [arrival for arrival in batch if arrival.contact != NOBODY]
        of_people = store_events(connection, deployment, others, pending=pending, received_at=received_at)
        return of_people + Stored(new=new, duplicate=len(sent) - new)
    of_accounts = [arrival for arrival in batch if arrival.name == ACCOUNT_IDENTIFIED]
    if of_accounts:
        traits = [(arrival.contact, arrival.properties) for arrival in of_accounts]
        apply_account_traits(connection, deployment, traits, received_at or of_accounts[0].at)
        others = [arrival for arrival in batch if arrival.name != ACCOUNT_IDENTIFIED]
        stored = store_events(connection, deployment, others, pending=pending, received_at=received_at)
        return stored + Stored(new=len(of_accounts))
    if not batch:
        return Stored()
    zones = {arrival.properties.get("timezone") for arrival in batch if arrival.name == IDENTIFIED}
    ensure_zones(connection, (zone for zone in zones if zone))
    homes = {key: partition_of(key, deployment.partitions) for key in {arrival.contact for arrival in batch}}
    if not pending or connection.dialect.name != "postgresql":
        hold_still(connection, deployment, homes.values())
        return _store(connection, deployment, batch, homes, pending, received_at)
    # Nearly everybody is known, and an exchange with the server costs more than what it does there.
    new, strangers = _insert_of_known(
        connection, deployment, _rows(batch, homes, received_at), homes.values()
    )
    rest = [arrival for arrival in batch if arrival.contact in strangers]
    of_known = Stored(new=new, duplicate=len(batch) - len(rest) - new)
    return of_known + _store(connection, deployment, rest, homes, pending, received_at) if rest else of_known


def _store(
    connection: Connection,
    deployment: Deployment,
    batch: Sequence[Arrival],
    homes: Mapping[str, int],
    pending: bool,
    received_at: datetime | None,
) -> Stored:
    """Store ``batch``, and make contacts of those who are new; ``homes`` are the partitions of their keys, held
    still."""
    steady_plans(connection)
    at_once = () if pending else tuple(arrival for arrival in batch if changes_contact(arrival))
    first_received: dict[str, datetime] = {}
    for arrival in batch:
        first_received.setdefault(arrival.contact, received_at or arrival.at)
    keys = [(homes[key], key) for key in first_received]
    known, contacts_new = identities(connection, keys, first_received, _beside(deployment, batch))
    in_motion: set[Identity] = set()
    fresh: list[Of] = []
    if at_once:
        in_motion, fresh = look_before(connection, [(known[arrival.contact], arrival) for arrival in at_once])
    rows = [
        (*row[:-1], pending or (arrival.name == IDENTIFIED and known[arrival.contact] in in_motion))
        for arrival, row in zip(batch, _rows(batch, homes, received_at), strict=True)
    ]
    if connection.dialect.name == "postgresql":
        new, _ = _insert_of_known(connection, deployment, rows)
    else:
        new = _insert_one_by_one(connection, known, rows)
    apply_at_once(connection, fresh, in_motion, received_at)
    if not pending:
        waiting = [
            (*known[arrival.contact], arrival.dedup_key)
            for arrival in at_once
            if arrival.name == IDENTIFIED and known[arrival.contact] in in_motion
        ]
        history_came(connection, known.values(), waiting, received_at or max(a.at for a in batch))
    return Stored(new=new, duplicate=len(batch) - new, contacts_new=contacts_new)


def _beside(deployment: Deployment, batch: Sequence[Arrival]) -> Mapping[str, int]:
    """In which partitions those of the batch lie who are new, and of whom it says to which account they belong."""
    if deployment.partitions == 1 or not deployment.moves_contacts:
        return {}
    accounts = {
        arrival.contact: arrival.properties["account"]
        for arrival in batch
        if arrival.name == IDENTIFIED and arrival.properties.get("account") is not None
    }
    return {key: partition_of(account, deployment.partitions) for key, account in accounts.items()}


def _rows(
    batch: Sequence[Arrival], homes: Mapping[str, int], received_at: datetime | None
) -> list[tuple[Any, ...]]:
    """Rows of ``_COLUMNS`` for ``batch``, all of them pending; instants are microseconds."""
    now = None if received_at is None else to_microseconds(received_at)
    rows = []
    for arrival in batch:
        at = to_microseconds(arrival.at)
        received = at if now is None else now
        rows.append(
            (
                homes[arrival.contact],
                arrival.contact,
                arrival.name,
                min(at, received),
                received,
                arrival.properties,
                arrival.undeclared or None,
                arrival.dedup_key,
                True,
            )
        )
    return rows


# Events ---------------------------------------------------------------------------------------------

_COLUMNS = (
    "home",
    "key",
    "name",
    "at",
    "received_at",
    "properties",
    "undeclared",
    "dedup_key",
    "pending",
)
# A contact's events are numbered one after the other: one writer at a time, what is read holds until the commit.
_STORE_ONE = """
INSERT INTO event (partition, contact, id, name, at, received_at, properties, undeclared, dedup_key, pending)
VALUES (?1, ?2, (SELECT coalesce(max(id), 0) + 1 FROM event WHERE partition = ?1 AND contact = ?2),
    ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT DO NOTHING"""
# Numbered in order of arrival, inserted in the order of the unique key: two sessions that store the same events do not
# wait for each other in turn. Contacts are found and ticks are woken in the same statement: exchanges with the server
# less. Who is looked up as a value, row by row, is found by the index, whatever the planner takes the table to be.
_STORE_OF_KNOWN = """
WITH given AS MATERIALIZED (
SELECT given.*, coalesce((
    SELECT placed_in FROM placement WHERE placement.partition = given.home AND placement.key = given.key
), given.home) AS partition
FROM json_to_recordset(%(rows)s::json) AS given (
    home smallint, key text, name text, at bigint, received_at bigint, properties jsonb, undeclared jsonb,
    dedup_key text, pending boolean
)
), arriving AS (
SELECT given.*, (
    SELECT contact.id FROM contact WHERE contact.partition = given.partition AND contact.key = given.key
) AS contact
FROM given
), stored AS (
INSERT INTO event (partition, contact, id, name, at, received_at, properties, undeclared, dedup_key, pending)
SELECT partition, contact, id, name, timestamptz 'epoch' + at * interval '1 microsecond',
    timestamptz 'epoch' + received_at * interval '1 microsecond', properties, undeclared, dedup_key, pending
FROM (SELECT nextval('event_id_seq') AS id, arriving.* FROM arriving WHERE contact IS NOT NULL) AS numbered
ORDER BY partition, contact, dedup_key
ON CONFLICT DO NOTHING
RETURNING pending
)
SELECT count(*), CASE WHEN bool_or(pending) THEN pg_notify(%(channel)s, %(work)s) END,
    (SELECT array_agg(key) FROM arriving WHERE contact IS NULL)
FROM stored"""


def _insert_of_known(
    connection: Connection,
    deployment: Deployment,
    rows: Sequence[tuple[Any, ...]],
    homes: Collection[int] = (),
) -> tuple[int, frozenset[str]]:
    """Insert those rows of ``_COLUMNS`` whose contacts there are, and that are not there yet (PostgreSQL). Before that
    the partitions ``homes`` are held still, in the same exchange with the server.

    Answers how many those were, and the keys of the others' contacts. Where one is pending, ticks are woken once this
    transaction has committed.
    """
    told = {"channel": channel_of(deployment), "work": Work.DUE.value}
    values = {"rows": rows_text(_COLUMNS, rows), **told}
    if not homes or deployment.partitions == 1:
        new, _, strangers = connection.exec_driver_sql(_STORE_OF_KNOWN, values).one()
    else:
        first = (STILL, still(deployment, homes))
        new, _, strangers = exchange(connection, first, (_STORE_OF_KNOWN, values))[1][0]
    return int(new), frozenset(strangers or ())


def _insert_one_by_one(
    connection: Connection, known: Mapping[str, Identity], rows: Sequence[tuple[Any, ...]]
) -> int:
    """Insert rows of ``_COLUMNS`` that are not there yet (SQLite); answer how many those were."""
    written = [
        (*known[row[1]], *row[2:5], write_json(row[5]), write_json(row[6]) if row[6] else None, *row[7:])
        for row in rows
    ]
    # A contact's events in order of arrival; an index is written where it was written just before.
    written.sort(key=itemgetter(0, 1))
    return connection.exec_driver_sql(_STORE_ONE, written).rowcount

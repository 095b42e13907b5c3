"""Who a key is: contacts found by their keys, and made where they are new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select

from runner.store.insert import insert_new
from runner.store.listed import listed, rows_text
from runner.store.people.contacts import Identity
from runner.store.people.places import lies_in
from runner.store.statement import Statement
from runner.store.tables import contact, contact_id_sequence, placement, shard

Key = tuple[int, str]
"""A contact's key behind the partition of that key, in which the contact need not lie."""


def identities(
    connection: Connection,
    keys: Sequence[Key],
    received: Mapping[str, datetime],
    beside: Mapping[str, int] | None = None,
) -> tuple[dict[str, Identity], int]:
    """The contacts of ``keys``, made where they are new, numbered in that order. ``received`` says when each key was
    first heard of, ``beside`` in which partition a new contact is to lie that has an account. Answers how many were
    made. The caller holds the partitions of the keys still."""
    found = _find(connection, keys)
    if len(found) == len(keys):
        return found, 0
    missing = [key for key in keys if key[1] not in found]
    numbered = zip(missing, _new_numbers(connection, missing), strict=True)
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
    ours = [row for row in rows if made[row["key"]] == (row["partition"], row["id"])]
    if len(ours) < len(rows):
        # The first may have put it beside its account, and so out of the way of the second.
        _unmake(connection, [row for row in rows if made[row["key"]][0] != row["partition"]])
    placed = [row for row in ours if (beside or {}).get(row["key"], row["partition"]) != row["partition"]]
    if beside and placed:
        made |= _put_beside(connection, placed, beside)
    return {**found, **made}, len(ours)


_ITS = (contact.c.partition == bindparam("its_partition"), contact.c.id == bindparam("its_id"))


def _unmake(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Take back contacts that were made in this transaction."""
    if rows:
        these = [{"its_partition": row["partition"], "its_id": row["id"]} for row in rows]
        connection.execute(delete(contact).where(*_ITS), these)


def _put_beside(
    connection: Connection, rows: Sequence[Mapping[str, Any]], beside: Mapping[str, int]
) -> dict[str, Identity]:
    """Put contacts that were made in this transaction where those of their account lie. Nothing belongs to them yet."""
    _unmake(connection, rows)
    connection.execute(insert(contact), [{**row, "partition": beside[row["key"]]} for row in rows])
    connection.execute(
        insert(placement),
        [{"partition": row["partition"], "key": row["key"], "placed_in": beside[row["key"]]} for row in rows],
    )
    return {row["key"]: (beside[row["key"]], row["id"]) for row in rows}


def known_contacts(connection: Connection, keys: Sequence[Key]) -> frozenset[str]:
    """Those of ``keys`` that are contacts' (``uq_contact_partition_key``), wherever they lie."""
    return frozenset(_find(connection, keys))


def _finding(dialect: str) -> Statement:
    wanted = listed(dialect, "partition", "key")
    place = lies_in(wanted.c.partition, wanted.c.key)
    return Statement(
        select(contact.c.key, contact.c.partition, contact.c.id).select_from(
            wanted.join(contact, and_(contact.c.partition == place, contact.c.key == wanted.c.key))
        )
    )


_FIND = {dialect: _finding(dialect) for dialect in ("sqlite", "postgresql")}
_last = select(func.max(contact.c.id)).where(contact.c.partition == shard.c.partition).scalar_subquery()
_LAST = Statement(select(func.coalesce(func.max(_last), 0)).select_from(shard))
_NEXT = Statement(
    select(contact_id_sequence.next_value()).select_from(func.generate_series(1, bindparam("count")))
)


def _find(connection: Connection, keys: Sequence[Key]) -> dict[str, Identity]:
    """The contacts that there are (``uq_contact_partition_key``)."""
    rows = _FIND[connection.dialect.name].run(connection, listed=rows_text(("partition", "key"), keys))
    return {key: (partition, number) for key, partition, number in rows}


def _new_numbers(connection: Connection, keys: Sequence[Key]) -> list[int]:
    """A number for each new contact, which it keeps in whatever partition it comes to lie."""
    if connection.dialect.name == "postgresql":
        return list(_NEXT.run(connection, count=len(keys)).scalars())
    # One writer at a time: what is read here holds until the commit.
    last: int = _LAST.run(connection).scalar_one()
    return list(range(last + 1, last + 1 + len(keys)))

"""Who a key is: contacts found by their keys, and made where they are new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, select

from runner.store.insert import insert_new
from runner.store.listed import listed, rows_text
from runner.store.people.contacts import Identity
from runner.store.statement import Statement
from runner.store.tables import contact, contact_id_sequence

Key = tuple[int, str]
"""Partition and key of a contact."""


def identities(
    connection: Connection, keys: Sequence[Key], received: Mapping[str, datetime]
) -> tuple[dict[str, Identity], int]:
    """The contacts of ``keys``, made where they are new, numbered in that order. ``received`` says when each key was
    first heard of. Answers how many were made."""
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
    ours = sum(made[row["key"]] == (row["partition"], row["id"]) for row in rows)
    return {**found, **made}, ours


def known_contacts(connection: Connection, keys: Sequence[Key]) -> frozenset[str]:
    """Those of ``keys`` that are contacts' (``uq_contact_partition_key``)."""
    return frozenset(_find(connection, keys))


def _finding(dialect: str) -> Statement:
    wanted = listed(dialect, "partition", "key")
    return Statement(
        select(contact.c.key, contact.c.partition, contact.c.id).select_from(
            wanted.join(
                contact, and_(contact.c.partition == wanted.c.partition, contact.c.key == wanted.c.key)
            )
        )
    )


_FIND = {dialect: _finding(dialect) for dialect in ("sqlite", "postgresql")}
_LAST = Statement(
    select(func.coalesce(func.max(contact.c.id), 0)).where(contact.c.partition == bindparam("partition"))
)
_NEXT = Statement(
    select(contact_id_sequence.next_value()).select_from(func.generate_series(1, bindparam("count")))
)


def _find(connection: Connection, keys: Sequence[Key]) -> dict[str, Identity]:
    """The contacts that there are (``uq_contact_partition_key``)."""
    rows = _FIND[connection.dialect.name].run(connection, listed=rows_text(("partition", "key"), keys))
    return {key: (partition, number) for key, partition, number in rows}


def _new_numbers(connection: Connection, keys: Sequence[Key]) -> list[int]:
    """A number for each new contact."""
    if connection.dialect.name == "postgresql":
        return list(_NEXT.run(connection, count=len(keys)).scalars())
    # One writer at a time: what is read here holds until the commit.
    last: dict[int, int] = {}
    numbers = []
    for partition, _ in keys:
        if partition not in last:
            last[partition] = _LAST.run(connection, partition=partition).scalar_one()
        last[partition] += 1
        numbers.append(last[partition])
    return numbers

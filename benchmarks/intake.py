"""How fast events are stored: one a call and a transaction, and in batches of 100 and 1,000.

The floor is given the finished rows, ids and JSON text included, and does a bare ``executemany`` of them into the same
table in the same transactions. What the engine adds is to find the contact, to number the event, to write its JSON and
to leave out what is there already.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

from sqlalchemy import select, text

from benchmarks.harness import KINDS, Figure, Scale, analyse, databases, side_by_side
from runner.store.database import Database
from runner.store.engines import write_json
from runner.store.people.arrival import Arrival
from runner.store.people.contacts import Identity
from runner.store.people.events import store_events
from runner.store.tables import contact
from runner.store.types import to_microseconds

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
CONTACTS = 20_000
TARGET = 0.5
_numbers = count(10**9)
COLUMNS = (
    "partition",
    "contact",
    "id",
    "name",
    "at",
    "received_at",
    "properties",
    "undeclared",
    "dedup_key",
    "pending",
)
"""Of events: what somebody would write of one that arrives."""


def measure(scale: Scale) -> Iterator[Figure]:
    rounds = scale.of(3, 5)
    for kind in KINDS:
        with databases(kind) as make:
            ours, floor = make(), make()
            fill(ours)
            known = fill(floor)
            for batch, events in ((1, scale.of(200, 1_000)), (100, 5_000), (1_000, 10_000)):
                arriving = [_batches(number, batch, events) for number in range(rounds + 1)]
                rows = [[_rows(arrivals, known, kind) for arrivals in batches] for batches in arriving]
                sides = side_by_side(
                    partial(_store, ours, arriving),
                    partial(_store_by_hand, floor, rows),
                    rounds=rounds,
                    ours_in=ours,
                    floor_in=floor,
                )
                assert _count(ours) == _count(floor)
                name = "intake, one event a call" if batch == 1 else f"intake, batches of {batch:,}"
                yield sides.row(name, kind, CONTACTS, TARGET)


def fill(database: Database) -> dict[str, Identity]:
    """A store of ``CONTACTS`` contacts with an event each; answers who they are."""
    for first in range(0, CONTACTS, 5_000):
        arrivals = [_arrival(f"c{number}", f"first {number}", 0) for number in range(first, first + 5_000)]
        with database.begin() as connection:
            store_events(connection, database.deployment, arrivals, pending=True)
    analyse(database)
    with database.read() as connection:
        found = connection.execute(select(contact.c.key, contact.c.partition, contact.c.id))
        return {key: (partition, number) for key, partition, number in found}


def _store(database: Database, rounds: Sequence[Sequence[Sequence[Arrival]]], number: int) -> int:
    for arrivals in rounds[number]:
        with database.begin() as connection:
            store_events(connection, database.deployment, arrivals, pending=True, received_at=arrivals[-1].at)
    return sum(map(len, rounds[number]))


def _store_by_hand(
    database: Database, rounds: Sequence[Sequence[Sequence[tuple[Any, ...]]]], number: int
) -> int:
    mark = "?" if database.dialect == "sqlite" else "%s"
    insert = f"INSERT INTO event ({', '.join(COLUMNS)}) VALUES ({', '.join([mark] * len(COLUMNS))})"
    for rows in rounds[number]:
        with database.begin() as connection:
            connection.exec_driver_sql(insert, list(rows))
    return sum(map(len, rounds[number]))


def _count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(text("SELECT count(*) FROM event")).scalar_one())


def _batches(number: int, size: int, total: int) -> list[list[Arrival]]:
    """Events of contacts at random, another round another ``number``; the same ones for the same arguments."""
    chosen = random.Random(f"{number} {size}")
    return [
        [
            _arrival(f"c{chosen.randrange(CONTACTS)}", f"{number} {size} {first + place}", number + 1)
            for place in range(size)
        ]
        for first in range(0, total, size)
    ]


def _arrival(key: str, dedup_key: str, hours: int) -> Arrival:
    return Arrival(
        contact=key,
        name="Order Completed",
        at=START + timedelta(hours=hours),
        properties={"total": 49_900_000, "order_id": dedup_key, "coupon": "SPRING"},
        undeclared={},
        dedup_key=dedup_key,
    )


def _rows(arrivals: Sequence[Arrival], known: dict[str, Identity], kind: str) -> list[tuple[Any, ...]]:
    """What the driver is to insert, in the order of ``COLUMNS``."""
    received_at = arrivals[-1].at
    return [
        (
            *known[arrival.contact],
            next(_numbers),
            arrival.name,
            *((to_microseconds(t) if kind == "sqlite" else t) for t in (arrival.at, received_at)),
            write_json(arrival.properties),
            None,
            arrival.dedup_key,
            True,
        )
        for arrival in arrivals
    ]

"""How fast a file of NDJSON goes into the store: read, fitted to the catalog, deduplicated, stored as history.

The floor parses each line with ``json.loads`` and inserts the finished rows with a bare ``executemany``, in the same
batches. It knows each contact already and believes every value.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

from benchmarks import intake
from benchmarks.harness import KINDS, Figure, Scale, databases, side_by_side
from runner.engine.imports import import_file
from runner.journey.catalog import Catalog
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.engines import write_json
from runner.store.people.contacts import Identity
from runner.store.types import to_microseconds

BATCH = 5_000
RECEIVED = intake.START + timedelta(days=1)
CATALOG = """
events:
  Order Completed: {total: number, order_id: string, coupon: string}
topics:
  offers: {title: Offers, opt_in: explicit}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
"""
_numbers = count(2 * 10**9)


def measure(scale: Scale) -> Iterator[Figure]:
    lines, rounds = scale.of((10_000, 2), (20_000, 4))
    catalog = load_project({"journeys/catalog.yaml": CATALOG}).catalog
    with tempfile.TemporaryDirectory() as folder:
        files = [write_file(Path(folder), number, lines) for number in range(rounds + 1)]
        for kind in KINDS:
            with databases(kind) as make:
                ours, floor = make(), make()
                intake.fill(ours)
                known = intake.fill(floor)
                sides = side_by_side(
                    partial(_import, ours, catalog, files),
                    partial(_import_by_hand, floor, known, files),
                    rounds=rounds,
                    ours_in=ours,
                    floor_in=floor,
                )
                yield sides.row("import", kind, lines)


def write_file(folder: Path, number: int, lines: int) -> Path:
    """A file of so many track calls of contacts at random."""
    chosen = random.Random(number)
    path = folder / f"{number}.ndjson"
    with path.open("w", encoding="utf-8") as file:
        for line in range(lines):
            at = intake.START + timedelta(seconds=line % 80_000)
            record = {
                "type": "track",
                "userId": f"c{chosen.randrange(intake.CONTACTS)}",
                "event": "Order Completed",
                "timestamp": at.isoformat(),
                "messageId": f"file {number} line {line}",
                "properties": {"total": 49.9, "order_id": f"{number}-{line}", "coupon": "SPRING"},
            }
            file.write(json.dumps(record) + "\n")
    return path


def _import(database: Database, catalog: Catalog, files: list[Path], number: int) -> int:
    imported = import_file(
        database,
        catalog,
        files[number],
        received_at=RECEIVED,
        pending=False,
        rejects=files[number].parent / "rejected",
        batch=BATCH,
    )
    assert not imported.rejected_lines
    return imported.stored.new


def _import_by_hand(database: Database, known: dict[str, Identity], files: list[Path], number: int) -> int:
    sqlite = database.dialect == "sqlite"
    marks = ", ".join(["?" if sqlite else "%s"] * len(intake.COLUMNS))
    insert = f"INSERT INTO event ({', '.join(intake.COLUMNS)}) VALUES ({marks})"
    received = to_microseconds(RECEIVED) if sqlite else RECEIVED
    stored = 0
    with files[number].open(encoding="utf-8") as file:
        while lines := list(islice(file, BATCH)):
            rows: list[tuple[Any, ...]] = []
            for line in lines:
                record = json.loads(line)
                at = to_microseconds(intake.START) if sqlite else record["timestamp"]
                properties = write_json(record["properties"])
                key = known[record["userId"]]
                name, dedup_key = record["event"], record["messageId"]
                rows.append((*key, next(_numbers), name, at, received, properties, None, dedup_key, False))
            with database.begin() as connection:
                connection.exec_driver_sql(insert, rows)
            stored += len(rows)
    return stored

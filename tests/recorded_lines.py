"""Files of recorded lines, and what is read of them."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.engine.intake import Rejected, read_arrivals
from runner.journey.catalog import Attribute, Catalog, ChannelSettings, EventType, OptIn, Topic
from runner.journey.values import BOOLEAN, NUMBER, STRING, Kind, ValueType
from runner.store.people.arrival import Arrival

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

CATALOG = Catalog(
    attributes={
        "plan": Attribute(name="plan", type=STRING),
        "value": Attribute(name="value", type=NUMBER),
        "churned": Attribute(name="churned", type=BOOLEAN),
    },
    events={
        "Order Completed": EventType(
            name="Order Completed",
            properties={
                "revenue": NUMBER,
                "department": STRING,
                "skus": ValueType(Kind.LIST, items=STRING),
            },
        )
    },
    accounts={
        "seats": Attribute(name="seats", type=NUMBER),
        "industry": Attribute(name="industry", type=STRING),
    },
    topics={name: Topic(name=name, title=name, opt_in=OptIn.EXPLICIT) for name in ("offers", "newsletter")},
    channels={"email": ChannelSettings(name="email", uses="file")},
)


def track(**changes: Any) -> dict[str, Any]:
    record = {
        "type": "track",
        "userId": "ana",
        "event": "Order Completed",
        "messageId": "m1",
        "timestamp": "2026-02-01T10:00:00Z",
        "properties": {"revenue": 12.5},
    }
    return {name: value for name, value in {**record, **changes}.items() if value != "absent"}


def written(folder: Path, *lines: object, name: str = "events.ndjson") -> Path:
    path = folder / name
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode()) if name.lower().endswith(".gz") else text.encode())
    return path


def read(path: Path, **options: Any) -> list[Arrival | Rejected]:
    return list(read_arrivals(path, CATALOG, **{"received_at": NOW, **options}))


def arrivals(path: Path, **options: Any) -> list[Arrival]:
    found = read(path, **options)
    assert all(isinstance(item, Arrival) for item in found), found
    return [item for item in found if isinstance(item, Arrival)]

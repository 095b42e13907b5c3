"""What is known of accounts, which contacts share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, literal

from runner.store.database import Deployment
from runner.store.insert import upsert
from runner.store.partition import partition_of
from runner.store.tables import account
from runner.store.types import Instant, Json, json_merged


def apply_account_traits(
    connection: Connection,
    deployment: Deployment,
    traits: Sequence[tuple[str, Mapping[str, Any]]],
    at: datetime,
) -> int:
    """Write fitted traits to the accounts of these keys, in order; None clears. An account that is new is made at
    ``at``. Answers how many accounts there were.

    An account lies where its contacts do. Where older software still keeps contacts from being moved, each partition
    has a copy, so that whoever reads ``account.…`` of a contact never leaves the contact's partition.
    """
    merged: dict[str, dict[str, Any]] = defaultdict(dict)
    for key, properties in traits:
        merged[key].update(properties)
    if not merged:
        return 0
    rows = [
        {
            "its_partition": partition,
            "its_key": key,
            "known": {name: value for name, value in properties.items() if value is not None},
            "changes": properties,
        }
        for key, properties in sorted(merged.items())
        for partition in _partitions(deployment, key)
    ]
    written = upsert(connection, account).values(
        partition=bindparam("its_partition"),
        key=bindparam("its_key"),
        attributes=bindparam("known", type_=Json()),
        created_at=literal(at, Instant()),
    )
    changed = json_merged(account.c.attributes, bindparam("changes", type_=Json()))
    connection.execute(
        written.on_conflict_do_update(index_elements=["partition", "key"], set_={"attributes": changed}),
        rows,
    )
    return len(merged)


def _partitions(deployment: Deployment, key: str) -> Iterable[int]:
    if deployment.moves_contacts:
        return (partition_of(key, deployment.partitions),)
    return range(deployment.partitions)

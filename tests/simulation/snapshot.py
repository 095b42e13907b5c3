"""What stands in a database at one moment, read past the product, by plain SQL."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

RunKey = tuple[int, int, int]
"""Partition, contact, run."""
MessageKey = tuple[int, int, int, str, int]
"""Partition, contact, run, step, visit."""


class Contact(NamedTuple):
    key: str
    attributes: Mapping[str, Any]
    """In their stored form."""


class Run(NamedTuple):
    journey: str
    version: int
    per: str
    entry_key: str
    status: str
    reason: str | None
    step: str | None
    node: int | None
    arrived_at: int
    due_at: int | None
    review_at: int | None
    next_at: int | None
    entered_at: int
    ended_at: int | None


class Message(NamedTuple):
    journey: str
    version: int
    channel: str
    topic: str
    status: str
    reason: str | None
    let_go_at: int
    expires_at: int
    attempts: int
    available_at: int | None
    lease_until: int | None
    sent_at: int | None


class Left(NamedTuple):
    """A step that a run has left."""

    step: str
    outcome: str
    at: int


class Event(NamedTuple):
    id: int
    name: str
    at: int
    received_at: int
    pending: bool
    caused_by: int | None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """``contacts`` are found by partition and contact; ``in_force`` versions by journey; ``left`` is keyed by run,
    node and visit; ``events`` by partition, contact and dedup key; ``consents`` by partition, contact, topic and
    channel. ``kept`` are rows of the tables to which rows are only ever added; ``next_cause`` is when a date, a segment
    or a schedule is next due. Instants are µs."""

    contacts: Mapping[tuple[int, int], Contact]
    in_force: Mapping[str, int]
    runs: Mapping[RunKey, Run]
    messages: Mapping[MessageKey, Message]
    left: Mapping[tuple[RunKey, int, int], Left]
    events: Mapping[tuple[int, int, str], Event]
    consents: Mapping[tuple[int, int, str, str], str]
    kept: frozenset[tuple[Any, ...]]
    next_cause: int | None


NOTHING = Snapshot(
    contacts={},
    in_force={},
    runs={},
    messages={},
    left={},
    events={},
    consents={},
    kept=frozenset(),
    next_cause=None,
)

_CONTACTS = "SELECT partition, id, key, attributes FROM contact"
_IN_FORCE = "SELECT name, version FROM journey"
_RUNS = f"SELECT partition, contact, id, {', '.join(Run._fields)} FROM run"
_MESSAGES = f"SELECT partition, contact, run, step, visit, {', '.join(Message._fields)} FROM message"
_LEFT = "SELECT partition, contact, run, node, visit, step, outcome, at FROM step_log"
_EVENTS = f"SELECT partition, contact, dedup_key, {', '.join(Event._fields)} FROM event"
_CONSENTS = "SELECT partition, contact, topic, channel, state FROM consent"
_KEPT = (
    "SELECT 'conversion', partition, contact, run, event, step, at, value FROM conversion",
    "SELECT 'consent', partition, contact, id, topic, channel, state, at FROM consent_log",
    "SELECT 'arm', partition, contact, journey, step, arm, 0, 0 FROM assignment",
)
_NEXT_CAUSE = "SELECT min(due_at) FROM (SELECT due_at FROM appointment UNION ALL SELECT next_at FROM firing)"


def read(connection: sqlite3.Connection) -> Snapshot:
    """All of it, from a connection of its own outside of any transaction."""
    rows = connection.execute
    return Snapshot(
        contacts={row[:2]: Contact(row[2], json.loads(row[3])) for row in rows(_CONTACTS)},
        in_force=dict(rows(_IN_FORCE)),
        runs={row[:3]: Run._make(row[3:]) for row in rows(_RUNS)},
        messages={row[:5]: Message._make(row[5:]) for row in rows(_MESSAGES)},
        left={(row[:3], row[3], row[4]): Left._make(row[5:]) for row in rows(_LEFT)},
        events={row[:3]: Event._make(row[3:]) for row in rows(_EVENTS)},
        consents={row[:4]: row[4] for row in rows(_CONSENTS)},
        kept=frozenset(row for query in _KEPT for row in rows(query)),
        next_cause=rows(_NEXT_CAUSE).fetchone()[0],
    )

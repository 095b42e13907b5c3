"""Until when those are let go who became overdue all at once, as the audit has it: whoever becomes so afterwards comes
behind them, so that the limited rate holds over all commands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, or_, select

from runner.store.journeys.spread import after_last
from runner.store.tables import audit


class Queue(StrEnum):
    """What is let go one after the other; people and messages each by a count of their own. Its name in what the audit
    tells of a change has the instant at which the last of the journey goes, None where nobody waits any more."""

    RUNS = "runs_until"
    MESSAGES = "messages_until"


def free_from(
    connection: Connection, queue: Queue, now: datetime, per_minute: int, *, but: str | None = None
) -> datetime:
    """The first instant from ``now`` on at which nobody else is let go. Those of the journey ``but`` are let go anew:
    they give their places back. Reads the audit; the caller keeps others from changing journeys."""
    found: dict[str, datetime] = {}
    changes = or_(*(audit.c.what.startswith(f"{verb} ") for verb in ("apply", "pause", "resume", "stop")))
    rows = select(audit.c.at, audit.c.what, audit.c.detail).where(changes).order_by(audit.c.id)
    for at, what, detail in connection.execute(rows):
        verb, _, name = what.partition(" ")
        if name in found and _given_back(queue, verb, detail or {}):
            found[name] = min(found[name], at)
        if until := (detail or {}).get(queue.value):
            found[name] = datetime.fromisoformat(until)
    if but in found:
        found[but] = min(found[but], now)
    return max((now, *(after_last(until, per_minute) for until in found.values())))


def _given_back(queue: Queue, verb: str, detail: Mapping[str, Any]) -> bool:
    """Whether those who waited in the queue for their turn wait for it no more."""
    match verb:
        case "stop":
            return queue is Queue.RUNS or bool(detail.get("send_nothing"))
        case "pause":  # all messages are kept back; people whose turn comes afterwards keep it
            return queue is Queue.MESSAGES
        case _:
            return verb == "apply" and queue in detail

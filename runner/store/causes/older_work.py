"""Who has something to be handled first: nobody knows yet what it makes of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, or_

from runner.store.passes.told import has_been_told
from runner.store.presence import is_there
from runner.store.tables import RunStatus, contact, event, run
from runner.store.types import constant


def has_older_work(at: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the contact has an event or a timer to be handled at or before the instant ``at``, or one that was told
    just now. Three look-ups a contact: let it come last of several conditions, and only of an announcement."""
    waiting, timer = event.alias("waiting"), run.alias("timer")
    return or_(
        has_been_told(contact),
        is_there(
            waiting,
            waiting.c.partition == contact.c.partition,
            waiting.c.contact == contact.c.id,
            waiting.c.pending,
            waiting.c.at <= at,
        ),
        is_there(
            timer,
            timer.c.partition == contact.c.partition,
            timer.c.contact == contact.c.id,
            timer.c.status == constant(RunStatus.ACTIVE.value),
            timer.c.next_at.is_not(None),
            timer.c.next_at <= at,
        ),
    )

"""A contact on whom the engine fails is set aside alone; everybody else goes on.

A tick is one transaction over many contacts, so that one value on which a statement chokes would stop all of them, at
every tick again. When a tick fails on what it was given, and not for the state of the database, its contacts are taken
by halves, until the failing one is alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from runner.engine.tick import LIVE, OutdatedError, Pace, Ticked, handle, passes_of, tick
from runner.engine.versions import Versions
from runner.problem import JourneysError
from runner.store.database import Database
from runner.store.passes.timeline import take
from runner.store.passes.told import store_told
from runner.store.passes.working import steady_plans
from runner.store.people.contacts import Identity
from runner.store.statement import Connection
from runner.store.work import poison
from runner.store.work.wake import tell_ready

logger = logging.getLogger(__name__)

MOST = 20
"""Contacts that may fail at a time before the engine itself is taken to be at fault, if they are the greater part."""
LONGEST = 1_000
"""Instants of one contact that are given up at a time."""


def tick_past_poison(
    database: Database, versions: Versions, now: datetime, pace: Pace = LIVE, *, after: int = -1
) -> Ticked:
    """``tick``, and where it fails on a contact, the same for everybody else: the contact's runs are set aside, and the
    event that was to be handled is skipped.

    Nobody is set aside where nobody else can be handled either: then the engine is at fault, and what it raised is
    raised.
    """
    try:
        return tick(database, versions, now, pace, after=after)
    except JourneysError:
        raise
    except Exception as error:
        try:
            handled = _without_poison(database, versions, now, pace, error)
        except OutdatedError:
            return Ticked(contacts=0, passes=0, more=False, outdated=True, last=after)
        return Ticked(contacts=handled, passes=1, more=True, last=after)


def _without_poison(
    database: Database, versions: Versions, now: datetime, pace: Pace, error: Exception
) -> int:
    """Handle who can be handled, and set the others aside; answers how many were handled. Raises ``error`` where it is
    not about single contacts."""
    with database.read() as connection:
        groups: list[Sequence[Identity]] = [poison.contacts_with_work(connection, now, pace.contacts)]
    handled, spoilt = 0, list[tuple[Identity, Exception]]()
    while groups:
        group = groups.pop()
        outcome = _outcome(database, versions, now, pace, group)
        if isinstance(outcome, int):
            handled += outcome
        elif len(group) > 1:
            groups += [group[len(group) // 2 :], group[: len(group) // 2]]
        else:
            spoilt.append((group[0], outcome))
    if spoilt and (not handled or len(spoilt) > max(MOST, handled)):
        raise error
    for contact, failure in spoilt:
        _set_aside(database, versions, now, pace, contact, failure)
    return handled


def _outcome(
    database: Database, versions: Versions, now: datetime, pace: Pace, group: Sequence[Identity]
) -> int | Exception:
    """Handle what is due for ``group``, in a transaction of its own; answers for how many, or what that failed with."""
    try:
        with database.begin() as connection:
            handled = _handle_group(connection, versions, now, pace, group)
            if handled and not pace.exact:
                tell_ready(connection, database.deployment, now)
    except (JourneysError, OutdatedError):
        raise
    except Exception as failure:
        return failure
    return handled


def _handle_group(
    connection: Connection, versions: Versions, now: datetime, pace: Pace, group: Sequence[Identity]
) -> int:
    """Handle those of ``group`` whose partitions nobody else holds; answers how many had something due."""
    steady_plans(connection)
    passes, late_before = passes_of(connection, versions, now, pace)
    if not poison.begin_with(connection, group):
        return 0
    handled, n = 0, 1
    while n <= pace.passes and (taken := take(connection, n, now, late_before, pace.contacts)):
        handle(passes, n)
        handled, n = max(handled, taken), n + 1
    store_told(connection)
    return handled


def _set_aside(
    database: Database,
    versions: Versions,
    now: datetime,
    pace: Pace,
    contact: Identity,
    failure: Exception,
) -> None:
    """Give up what the contact has due, instant by instant, until the rest can be handled."""
    for _ in range(LONGEST):
        # By its name alone: the text of an error may show the contact's data.
        cause = type(getattr(failure, "orig", None) or failure).__name__
        with database.begin() as connection:
            runs, events = poison.set_aside(
                connection, contact, now, f"the engine failed on this contact: {cause}"
            )
        logger.error(
            "a contact is set aside",
            extra={"contact": "/".join(map(str, contact)), "cause": cause, "runs": runs, "events": events},
        )
        outcome = _outcome(database, versions, now, pace, (contact,))
        if isinstance(outcome, int) or not (runs or events):
            return
        failure = outcome

"""A contact on whom the engine fails is set aside alone; everybody else goes on.

A tick is one transaction over many contacts, so that one value on which a statement chokes would stop all of them, at
every tick again. When a tick fails on what it was given, and not for the state of the database, its contacts are taken
by halves, until the failing one is alone. What time and broadcasts start has been told in that tick and was lost with
it: it is stored first, so that it stands on the timeline of whoever it concerns, before anything that comes later.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from runner.engine.receive import keep_on
from runner.engine.tick import (
    LIVE,
    OutdatedError,
    Pace,
    Ticked,
    bring_due,
    handle,
    look,
    passes_of,
    tick,
)
from runner.engine.versions import Versions
from runner.problem import JourneysError
from runner.store.causes.appointments import HEARD
from runner.store.database import Database
from runner.store.journeys.in_force import in_force
from runner.store.passes import narrowed
from runner.store.passes.timeline import take
from runner.store.passes.told import store_told
from runner.store.passes.working import steady_plans
from runner.store.people.contacts import Identity
from runner.store.statement import Connection
from runner.store.work import poison
from runner.store.work.wake import tell_ready

logger = logging.getLogger(__name__)

MOST = narrowed.MOST
"""Contacts that may fail at a time before the engine itself is taken to be at fault, if they are the greater part."""
LONGEST = 1_000
"""Instants of one contact that are given up at a time."""


def tick_past_poison(
    database: Database, versions: Versions, now: datetime, pace: Pace = LIVE, *, after: int = -1
) -> Ticked:
    """``tick``, and where it fails on a contact, the same for everybody else: the contact's runs are set aside, and the
    event that was to be handled is skipped.

    Nobody is set aside where nobody else can be handled either: then the engine is at fault, and what it raised is
    raised. So it is where the tick fails again although there is nobody to blame.
    """
    try:
        return tick(database, versions, now, pace, after=after)
    except JourneysError:
        raise
    except Exception as error:
        try:
            return _without_poison(database, versions, now, pace, error, after)
        except OutdatedError:
            return Ticked(contacts=0, passes=0, more=False, outdated=True, last=after)


def _without_poison(
    database: Database, versions: Versions, now: datetime, pace: Pace, error: Exception, after: int
) -> Ticked:
    """Handle who can be handled, and set the others aside. Raises ``error`` where it is not about single contacts."""
    brought = _bring(database, versions, now, pace, after)
    with database.read() as connection:
        found = poison.contacts_with_work(connection, brought.whole, now, pace.contacts)
    groups: list[Sequence[Identity]] = [found] if found else []
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
    if brought.failed:
        raise error
    if spoilt or brought.more or len(found) == pace.contacts:
        return Ticked(contacts=handled, passes=1, more=True, last=after)
    # It was the state of the database, and is over; else it is about nobody alone, and is raised.
    again = tick(database, versions, now, pace, after=after)
    return replace(again, contacts=again.contacts + handled)


@dataclass(frozen=True, kw_only=True)
class _Brought:
    """``whole``: the partitions in which everything that is due stands on the timelines. ``more``: in others, which
    could be held, it goes on. ``failed``: in others it cannot be brought there."""

    whole: tuple[int, ...]
    more: bool
    failed: bool


def _bring(database: Database, versions: Versions, now: datetime, pace: Pace, after: int) -> _Brought:
    """Store what is due as events to be handled, a portion of it in each partition, as a tick would begin. Partitions
    where that fails are taken by halves, until the failing one is alone."""
    work, begins = look(database, versions, now, after)
    found = sorted({*work.partitions, *begins})
    size = pace.partitions or max(1, len(found))
    groups: list[Sequence[int]] = [found[place : place + size] for place in range(0, len(found), size)]
    whole, more, failed = list[int](), False, False
    while groups:
        group = groups.pop()
        outcome = _stored_due(database, versions, now, pace, group, begins)
        if outcome is None and len(group) > 1:
            groups += [group[len(group) // 2 :], group[: len(group) // 2]]
            continue
        if outcome is None:
            # It may be the asking that fails on somebody. Who is told without it is asked at the event's turn, alone.
            outcome = _stored_due(database, versions, now, pace, group, begins, asks=False)
        if outcome is None:
            failed = True
        elif outcome[1]:
            whole += outcome[0]
        else:
            more = True
    return _Brought(whole=tuple(whole), more=more, failed=failed)


def _stored_due(
    database: Database,
    versions: Versions,
    now: datetime,
    pace: Pace,
    wanted: Sequence[int],
    begins: tuple[int, ...],
    *,
    asks: bool = True,
) -> tuple[tuple[int, ...], bool] | None:
    """Store what is due in those of the partitions that nobody else holds; answers which they are, and whether it was
    everything. None where that fails."""
    try:
        with database.begin() as connection:
            steady_plans(connection)
            partitions = poison.hold_free(connection, wanted, alone=len(wanted) == 1 == pace.partitions)
            if not partitions:
                return (), True
            passes, _ = passes_of(connection, versions, now, pace)
            prepared = bring_due(
                passes, partitions, begins, pace, of_all=database.deployment.partitions, asks=asks
            )
            store_told(connection)
    except (JourneysError, OutdatedError):
        raise
    except Exception:
        return None
    return partitions, prepared.whole


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
        runs, events = _give_up(database, versions, now, pace, contact, cause)
        logger.error(
            "a contact is set aside",
            extra={"contact": "/".join(map(str, contact)), "cause": cause, "runs": runs, "events": events},
        )
        outcome = _outcome(database, versions, now, pace, (contact,))
        if isinstance(outcome, int) or not (runs or events):
            return
        failure = outcome


def _give_up(
    database: Database, versions: Versions, now: datetime, pace: Pace, contact: Identity, cause: str
) -> tuple[int, int]:
    """Give up the contact's next instant. Answers how many runs and events those were.

    What time starts next for the contact comes all the same: the next date, the next look at a segment. Where that is
    what fails, it is computed when the contact changes.
    """
    reason = f"the engine failed on this contact: {cause}"
    try:
        with database.begin() as connection:
            runs, given_up = poison.set_aside(connection, contact, now, reason)
            if given_up and given_up.name in HEARD:
                steady_plans(connection)
                passes, _ = passes_of(connection, versions, now, pace)
                poison.take_given_up(connection, contact, given_up)
                keep_on(passes, 1, frozenset({given_up.name}))
                store_told(connection)
                if in_force(connection) != versions.in_force:
                    raise OutdatedError
    except (JourneysError, OutdatedError):
        raise
    except Exception:
        with database.begin() as connection:
            runs, given_up = poison.set_aside(connection, contact, now, reason)
    return runs, int(given_up is not None)

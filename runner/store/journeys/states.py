"""Journeys are paused, resumed and stopped: what of it the database keeps.

What a paused journey has ready is put off to an instant that never comes, so that whoever claims messages need not step
over all of them each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)

from runner.journey.send_rules import FREQUENCY_CAP
from runner.store.audit import records
from runner.store.causes.ends import tell_of_exits
from runner.store.journeys.spread import released_at
from runner.store.passes.exits import end_leaving_runs
from runner.store.passes.told import store_told
from runner.store.passes.working import leaving
from runner.store.sending.message_statements import POSSIBLE_DUPLICATE
from runner.store.statement import Statement
from runner.store.tables import JourneyState, MessageStatus, RunStatus, journey, message, run
from runner.store.types import ByCodePoint, Instant, constant, earliest

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""When a message is handed over that a pause keeps back."""

STOPPED = "stopped"
"""The reason of runs that end since their journey is stopped."""

_ACTIVE = run.c.status == constant(RunStatus.ACTIVE.value)
_READY = message.c.status == constant(MessageStatus.READY.value)
_WAITS = message.c.status.in_([constant(MessageStatus.READY.value), constant(MessageStatus.CLAIMED.value)])
"""Nothing of it is being handed over."""
_PAUSED = Statement(select(journey.c.name).where(journey.c.state == constant(JourneyState.PAUSED.value)))


def paused_journeys(connection: Connection) -> frozenset[str]:
    """The journeys that are paused."""
    return frozenset(name for (name,) in _PAUSED.run(connection))


def state_of(connection: Connection, name: str) -> JourneyState | None:
    """The state of a journey, None where there is none of that name. Nobody else changes it until the transaction
    ends."""
    found = connection.execute(
        select(journey.c.state).where(journey.c.name == name).with_for_update()
    ).scalar()
    return None if found is None else JourneyState(found)


def set_state(connection: Connection, name: str, state: JourneyState, now: datetime) -> None:
    """Give the journey its state. What was received before it is live again enters it no more."""
    values: dict[str, object] = {"state": state.value}
    if state is JourneyState.LIVE:
        values["resumed_at"] = now
    connection.execute(update(journey).where(journey.c.name == name).values(**values))


def active_runs(connection: Connection, name: str) -> int:
    """How many runs of the journey are on."""
    query = select(func.count()).select_from(run).where(run.c.journey == name, _ACTIVE)
    return int(connection.execute(query).scalar_one())


_BY_VERB = {
    "resume": JourneyState.LIVE,
    "pause": JourneyState.PAUSED,
    "stop": JourneyState.STOPPED,
}
"""The state that a change written in the audit gave to a journey."""


def states_since(connection: Connection) -> Mapping[str, datetime]:
    """By the journey's name, since when it is in its state: paused, stopped, or live in the version that is in force.
    As the audit has it."""
    found: dict[str, tuple[JourneyState, datetime]] = {}
    for one in records(connection):
        verb, _, name = one.what.partition(" ")
        before = found[name][0] if name in found else None
        after = (before or JourneyState.LIVE) if verb == "apply" else _BY_VERB.get(verb)
        # A new version of a paused journey leaves it as it is, and so does a stop of one that is stopped.
        if after is not None and (after is not before or after is JourneyState.LIVE):
            found[name] = (after, one.at)
    return {name: since for name, (_, since) in found.items()}


# Messages -------------------------------------------------------------------------------------------------------------


def ready_messages(connection: Connection, name: str) -> int:
    """How many messages of the journey have been let go, and are not being handed over yet."""
    query = select(func.count()).select_from(message).where(message.c.journey == name, _WAITS)
    return int(connection.execute(query).scalar_one())


def keep_back(connection: Connection, name: str) -> int:
    """Keep the messages of the journey that are ready, or claimed and not being handed over yet, from leaving. Answers
    how many."""
    return connection.execute(
        update(message)
        .values(status=MessageStatus.READY.value, available_at=NEVER, lease_until=null())
        .where(message.c.journey == name, _WAITS)
    ).rowcount


def release_messages(connection: Connection, name: str, begin: datetime, per_minute: int) -> int:
    """Let the messages that are kept back leave from ``begin`` on, those first that were let go first. Answers how
    many."""
    key = (message.c.partition, message.c.contact, message.c.run, message.c.step, message.c.visit)
    turn = func.row_number().over(order_by=(message.c.let_go_at, *key))
    kept = (
        select(*key, (turn - literal_column("1")).label("place"))
        .where(message.c.journey == name, _READY, message.c.available_at >= NEVER)
        .subquery("kept")
    )
    same = and_(*(message.c[each.name] == kept.c[each.name] for each in key))
    return connection.execute(
        update(message).values(available_at=released_at(begin, kept.c.place, per_minute)).where(same, _READY)
    ).rowcount


# Runs -----------------------------------------------------------------------------------------------------------------


def release_runs(connection: Connection, name: str, now: datetime, begin: datetime, per_minute: int) -> int:
    """Let the runs that are held, or whose time was up by ``now``, go on from ``begin`` on, those first that have stood
    longest. Answers how many. The caller holds all partitions."""
    key = (run.c.partition, run.c.contact, run.c.id)
    waited: ColumnElement[datetime] = func.coalesce(run.c.due_at, run.c.arrived_at, type_=Instant())
    turn = func.row_number().over(order_by=(waited, *key))
    held = and_(run.c.leaves_by.is_not(None), run.c.due_at.is_(None))
    late = (
        select(*key, run.c.review_at, (turn - literal_column("1")).label("place"))
        .where(run.c.journey == name, _ACTIVE, or_(held, run.c.due_at <= now))
        .subquery("late")
    )
    due = released_at(begin, late.c.place, per_minute)
    return connection.execute(
        update(run)
        .values(due_at=due, next_at=earliest(due, late.c.review_at))
        .where(*(run.c[each.name] == late.c[each.name] for each in key), _ACTIVE)
    ).rowcount


def end_runs(connection: Connection, name: str, now: datetime, *, cancel: bool, told: bool) -> int:
    """End all runs of the journey. ``cancel``: their messages that have not been handed over are cancelled. ``told``:
    another journey begins with such ends. Answers how many. The caller holds all partitions, and the connection has its
    working tables, empty."""
    ended = active_runs(connection, name)
    connection.execute(
        insert(leaving).from_select(
            ["stage", "partition", "contact", "run", "at", "reason"],
            select(
                literal_column("0"),
                run.c.partition,
                run.c.contact,
                run.c.id,
                bindparam("now", now, type_=Instant()),
                bindparam("reason", STOPPED, type_=ByCodePoint()),
            ).where(run.c.journey == name, _ACTIVE),
        )
    )
    end_leaving_runs(connection, 0, cancel_messages=cancel)
    if told:
        tell_of_exits(connection, 0, [name])
        store_told(connection)
    return ended


def cancel_ready(connection: Connection, name: str, now: datetime) -> int:
    """Cancel what is ready, or claimed and not being handed over yet, of runs of the journey that have ended before.
    What may have arrived already is not called cancelled. Whom a frequency cap keeps waiting for one of these is asked
    again at ``now``. Answers how many."""
    waiting = (
        select(literal_column("1"))
        .where(message.c.partition == run.c.partition, message.c.contact == run.c.contact)
        .where(message.c.journey == name, _WAITS)
        .correlate_except(message)
        .exists()
    )
    due = bindparam("now", now, type_=Instant())
    connection.execute(
        update(run)
        .values(due_at=due, next_at=earliest(due, run.c.review_at))
        .where(_ACTIVE, run.c.deferred == constant(FREQUENCY_CAP), run.c.due_at > due, waiting)
    )
    in_doubt = message.c.reason == constant(POSSIBLE_DUPLICATE)
    cancelled = case((in_doubt, MessageStatus.UNKNOWN.value), else_=MessageStatus.CANCELLED.value)
    return connection.execute(
        update(message)
        .values(
            status=cancelled,
            reason=case((in_doubt, message.c.reason), else_=STOPPED),
            available_at=null(),
            lease_until=null(),
        )
        .where(message.c.journey == name, _WAITS)
    ).rowcount

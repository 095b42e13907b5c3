"""Pausing, resuming and stopping a journey while it runs: at work in the next tick, and written down in the audit.

While a journey is paused nobody enters it, nobody in it goes on, and nothing of it is handed over; a message that is
being handed over at that very instant leaves. The people in it are still theirs: goals are counted, exits end runs, and
who has heard what they wait for goes on by that once the journey is resumed, whatever timer was over meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from runner.engine.versions import load_versions
from runner.problem import JourneysError
from runner.settings import Limits
from runner.store.audit import record
from runner.store.database import Database
from runner.store.held import hold
from runner.store.journeys import states
from runner.store.journeys.released import Queue, free_from
from runner.store.journeys.spread import last_released
from runner.store.passes.working import empty_working_tables, prepare_session
from runner.store.statement import Connection
from runner.store.tables import JourneyState
from runner.store.work.aside import hold_still
from runner.store.work.wake import tell_ready


class Said(StrEnum):
    DONE = "done"
    ALREADY = "already"  # it was so before; nothing was changed


@dataclass(frozen=True, kw_only=True)
class Paused:
    """``runs`` are on and stay where they are; ``messages`` were ready and are kept back."""

    said: Said
    runs: int
    messages: int = 0


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """``runs`` go on, since they were due or have heard something meanwhile; ``messages`` leave. ``until``: the last of
    them does; None where nothing is overdue."""

    said: Said
    before: JourneyState
    runs: int = 0
    messages: int = 0
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """``runs`` were ended, ``messages`` that were ready cancelled."""

    said: Said
    runs: int
    messages: int = 0


def pause_journey(database: Database, name: str, *, now: datetime, who: str) -> Paused:
    """Let nobody enter ``name``, nobody in it go on, and nothing of it leave, until it is resumed.

    Raises JourneysError where there is no such journey, or it is stopped.
    """
    with database.begin() as connection:
        before = _state(connection, name)
        if before is JourneyState.STOPPED:
            raise JourneysError(f"{name} is stopped: nobody is in it, and nobody enters it")
        # Also where it is paused: what was handed back since is put off at once.
        if before is not JourneyState.PAUSED:
            states.set_state(connection, name, JourneyState.PAUSED, now)
        done = Paused(
            said=Said.ALREADY if before is JourneyState.PAUSED else Said.DONE,
            runs=states.active_runs(connection, name),
            messages=states.keep_back(connection, name),
        )
        if done.said is Said.DONE:
            detail = {"runs": done.runs, "messages": done.messages}
            record(connection, at=now, who=who, what=f"pause {name}", detail=detail)
    return done


def resume_journey(
    database: Database, name: str, *, now: datetime, who: str, per_minute: int = Limits.released_per_minute
) -> Resumed:
    """Let ``name`` go on, be it paused or stopped. What is overdue, people and messages, is let go one after the other,
    ``per_minute`` a minute of each, who has stood longest first, and behind those whom another command lets go.

    Raises JourneysError where there is no such journey.
    """
    with database.begin() as connection:
        before = _state(connection, name)
        if before is JourneyState.LIVE:
            return Resumed(said=Said.ALREADY, before=before)
        _hold_all(connection, database)
        states.set_state(connection, name, JourneyState.LIVE, now)
        begin = free_from(connection, Queue.RUNS, now, per_minute)
        runs = states.release_runs(connection, name, now, begin, per_minute)
        ends = _ends(Queue.RUNS, begin, runs, per_minute)
        kept, messages_end = _release_messages(connection, name, now, per_minute)
        ends |= messages_end
        let_go = {queue.value: end.isoformat() for queue, end in ends.items()}
        detail = {"before": before.value, "runs": runs, "messages": kept, **let_go}
        record(connection, at=now, who=who, what=f"resume {name}", detail=detail)
        tell_ready(connection, database.deployment, now)
    until = max(ends.values(), default=None)
    return Resumed(said=Said.DONE, before=before, runs=runs, messages=kept, until=until)


def stop_journey(
    database: Database,
    name: str,
    *,
    now: datetime,
    who: str,
    send_nothing: bool = False,
    per_minute: int = Limits.released_per_minute,
) -> Stopped:
    """End all runs of ``name`` with the reason ``stopped`` and let nobody enter until it is resumed. What was let go
    before is still delivered, unless ``send_nothing`` cancels it.

    Raises JourneysError where there is no such journey.
    """
    versions = load_versions(database)
    with database.begin() as connection:
        before = _state(connection, name)
        _hold_all(connection, database)
        prepare_session(connection, versions.ways)
        empty_working_tables(connection)
        states.set_state(connection, name, JourneyState.STOPPED, now)
        told = name in versions.watched.journeys
        ready = states.ready_messages(connection, name) if send_nothing else 0
        runs = states.end_runs(connection, name, now, cancel=send_nothing, told=told)
        if send_nothing:
            states.cancel_ready(connection, name, now)
        ends: Mapping[Queue, datetime] = {}
        if before is JourneyState.PAUSED and not send_nothing:
            _, ends = _release_messages(connection, name, now, per_minute)
        done = Stopped(
            said=Said.ALREADY if before is JourneyState.STOPPED and not (runs or ready) else Said.DONE,
            runs=runs,
            messages=ready,
        )
        if done.said is Said.DONE:
            let_go = {queue.value: end.isoformat() for queue, end in ends.items()}
            detail = {"runs": runs, "send_nothing": send_nothing, "messages": ready, **let_go}
            record(connection, at=now, who=who, what=f"stop {name}", detail=detail)
        tell_ready(connection, database.deployment, now)
    return done


def _release_messages(
    connection: Connection, name: str, now: datetime, per_minute: int
) -> tuple[int, Mapping[Queue, datetime]]:
    """Let the messages that are kept back leave one after the other, behind those that are let go already. Answers how
    many there are, and when the last of them leaves."""
    begin = free_from(connection, Queue.MESSAGES, now, per_minute)
    kept = states.release_messages(connection, name, begin, per_minute)
    return kept, _ends(Queue.MESSAGES, begin, kept, per_minute)


def _ends(queue: Queue, begin: datetime, count: int, per_minute: int) -> dict[Queue, datetime]:
    """When the last of ``count`` is let go; nothing where there is none."""
    return {queue: last_released(begin, count, per_minute)} if count else {}


def _state(connection: Connection, name: str) -> JourneyState:
    found = states.state_of(connection, name)
    if found is None:
        raise JourneysError(f"There is no journey {name!r}.")
    return found


def _hold_all(connection: Connection, database: Database) -> None:
    """Wait for the runners that are at work, and keep the others from beginning until the transaction ends."""
    every = range(database.deployment.partitions)
    hold_still(connection, every)
    hold(connection, tuple(every))

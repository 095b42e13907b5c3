"""What is looked at when something is wrong: who holds what, who stands where, how the database itself is set up.

Unlike ``vital_signs.py``, some of it looks at every active run or asks the server about its sessions: it is for a
person who waits for the answer, not for a probe.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, case, func, select, text

from runner.store.database import Database, Deployment
from runner.store.journeys.states import states_since
from runner.store.sessions import other_sessions
from runner.store.tables import (
    JourneyState,
    RunStatus,
    appointment,
    broadcast_hearing,
    contact,
    event,
    firing,
    journey,
    run,
    shard,
)
from runner.store.types import constant
from runner.store.work.wake import listening

_OF_RUN = (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact)
_OF_EVENT = (contact.c.partition == event.c.partition) & (contact.c.id == event.c.contact)


@dataclass(frozen=True, kw_only=True)
class StandingRuns:
    """Active runs that stand on one step of one version; ``untimed`` of them are not due at any time, and
    no pause holds them. ``node`` is None
    where they stand nowhere in the program. ``since``: when the first of them came there."""

    journey: str
    version: int
    step: str
    node: int | None
    runs: int
    untimed: int
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Somebody for whom something is due: a run on a step (``what`` is ``journey/step``), or an event by its name."""

    contact: str
    what: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class SetAside:
    """A run that the engine gave up on."""

    contact: str
    journey: str
    reason: str | None
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Runner:
    """A daemon that is connected to PostgreSQL, and for how long it has given no sign of life. ``client`` as in
    ``Holder``."""

    pid: int
    application: str
    client: str | None
    silent: timedelta


@dataclass(frozen=True, kw_only=True)
class Halted:
    """A journey that is paused or stopped. ``people``: how many contacts are in it; ``since`` as the audit has it."""

    journey: str
    state: JourneyState
    since: datetime | None
    people: int


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A PostgreSQL session inside a transaction that has locked partitions. ``state`` is the server's word: ``active``,
    ``idle in transaction``. ``client``: its address, None over a socket of the server's machine."""

    pid: int
    application: str
    client: str | None
    state: str
    since: datetime


def server_version(connection: Connection) -> int | None:
    """The major version of PostgreSQL; None on SQLite."""
    if connection.dialect.name != "postgresql":
        return None
    return int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10_000


def journal_mode(connection: Connection) -> str | None:
    """How SQLite keeps its journal: ``wal`` where all is well, ``memory`` in memory; None on PostgreSQL."""
    if connection.dialect.name != "sqlite":
        return None
    mode: str = connection.execute(text("PRAGMA journal_mode")).scalar_one()
    return mode


def held_partitions(database: Database) -> frozenset[int]:
    """The partitions that somebody holds at this moment (PostgreSQL; none on SQLite). The others are held for as long
    as the question takes: a runner that asks then takes them at its next tick."""
    if database.dialect != "postgresql":
        return frozenset()
    with database.begin() as connection:
        free = connection.execute(select(shard.c.partition).with_for_update(skip_locked=True)).scalars()
        return frozenset(range(database.deployment.partitions)) - frozenset(free)


def holders(connection: Connection) -> tuple[Holder, ...]:
    """The sessions that may hold partitions, the longest transaction first (PostgreSQL; none on SQLite)."""
    if connection.dialect.name != "postgresql":
        return ()
    rows = connection.execute(
        text(
            "SELECT DISTINCT a.pid, a.application_name, host(a.client_addr) AS client, a.state, a.xact_start"
            " FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
            " WHERE l.locktype = 'relation' AND l.relation = 'shard'::regclass AND l.mode = 'RowShareLock'"
            " AND l.granted AND a.pid <> pg_backend_pid() AND a.xact_start IS NOT NULL ORDER BY a.xact_start"
        )
    )
    return tuple(
        Holder(
            pid=row.pid,
            application=row.application_name,
            client=row.client,
            state=row.state,
            since=row.xact_start,
        )
        for row in rows
    )


def runners(connection: Connection, deployment: Deployment) -> tuple[Runner, ...]:
    """The daemons that are connected, those that have been silent for the longest first (PostgreSQL; none on SQLite).
    One that has ended is not among them, however it ended."""
    if connection.dialect.name != "postgresql":
        return ()
    rows = connection.execute(
        text(
            "SELECT pid, application_name, host(client_addr) AS client, clock_timestamp() - query_start AS silent"
            " FROM pg_stat_activity WHERE datname = current_database() AND query = :listening ORDER BY query_start"
        ),
        {"listening": listening(deployment)},
    )
    return tuple(
        Runner(pid=row.pid, application=row.application_name, client=row.client, silent=row.silent)
        for row in rows
    )


def standing_runs(connection: Connection) -> tuple[StandingRuns, ...]:
    """Where the active runs stand. Reads all of them: seconds with millions."""
    place = (run.c.journey, run.c.version, run.c.step, run.c.node)
    grouped = (
        select(
            *place,
            func.count().label("runs"),
            func.sum(case((and_(run.c.next_at.is_(None), run.c.leaves_by.is_(None)), 1), else_=0)).label(
                "untimed"
            ),
            func.min(run.c.arrived_at, type_=run.c.arrived_at.type).label("since"),
        )
        .where(run.c.status == constant(RunStatus.ACTIVE.value))
        .group_by(*place)
        .order_by(*place)
    )
    return tuple(
        StandingRuns(
            journey=row.journey,
            version=row.version,
            step=row.step,
            node=row.node,
            runs=row.runs,
            untimed=int(row.untimed),
            since=row.since,
        )
        for row in connection.execute(grouped)
    )


def heads(connection: Connection, now: datetime) -> dict[int, tuple[int | None, ...]]:
    """Which run, event and appointment of each partition have been waiting longest, and how far broadcasts and the
    schedule that is due have come. When they differ at the next look, the partition has moved, also where a great many
    are due at one instant. Served as ``partition_signs`` is."""
    due = (run.c.partition == shard.c.partition, run.c.next_at.is_not(None), run.c.next_at <= now)
    of_run = select(run).where(run.c.status == constant(RunStatus.ACTIVE.value), *due).order_by(run.c.next_at)
    of_event = (
        select(event)
        .where(event.c.partition == shard.c.partition, event.c.pending, event.c.at <= now)
        .order_by(event.c.at)
    )
    due_at, next_at = appointment.c.due_at, firing.c.next_at
    of_appointment = (
        select(appointment)
        .where(appointment.c.partition == shard.c.partition, due_at.is_not(None), due_at <= now)
        .order_by(due_at)
    )
    of_firing = (
        select(firing).where(firing.c.partition == shard.c.partition, next_at <= now).order_by(next_at)
    )
    of_hearing = select(broadcast_hearing).where(broadcast_hearing.c.partition == shard.c.partition)
    found = select(
        shard.c.partition,
        *(
            query.with_only_columns(column).limit(1).scalar_subquery()
            for query, column in (
                (of_run, run.c.contact),
                (of_run, run.c.id),
                (of_event, event.c.contact),
                (of_event, event.c.id),
                (of_appointment, appointment.c.contact),
                (of_firing, firing.c.reached),
                (of_hearing, func.sum(broadcast_hearing.c.reached)),
            )
        ),
    )
    return {row[0]: tuple(row[1:]) for row in connection.execute(found)}


def longest_waiting(connection: Connection, partition: int, now: datetime, limit: int) -> tuple[Waiting, ...]:
    """Who has been waiting longest in a partition, at most ``limit`` of each kind. Served by ``ix_run_due`` and
    ``ix_event_pending``."""
    timers = (
        select(contact.c.key, run.c.journey, run.c.step, run.c.next_at)
        .select_from(run.join(contact, _OF_RUN))
        .where(
            run.c.partition == partition,
            run.c.status == constant(RunStatus.ACTIVE.value),
            run.c.next_at.is_not(None),
            run.c.next_at <= now,
        )
        .order_by(run.c.next_at)
        .limit(limit)
    )
    events = (
        select(contact.c.key, event.c.name, event.c.received_at)
        .select_from(event.join(contact, _OF_EVENT))
        .where(event.c.partition == partition, event.c.pending, event.c.at <= now)
        .order_by(event.c.at)
        .limit(limit)
    )
    found = [
        *(
            Waiting(contact=row.key, what=f"{row.journey}/{row.step}", since=row.next_at)
            for row in connection.execute(timers)
        ),
        *(
            Waiting(contact=row.key, what=row.name, since=row.received_at)
            for row in connection.execute(events)
        ),
    ]
    return tuple(sorted(found, key=lambda one: one.since)[:limit])


def set_aside(connection: Connection, limit: int) -> tuple[SetAside, ...]:
    """The runs that were given up on first. Served by ``ix_run_set_aside``."""
    rows = connection.execute(
        select(contact.c.key, run.c.journey, run.c.reason, run.c.ended_at)
        .select_from(run.join(contact, _OF_RUN))
        .where(run.c.status == constant(RunStatus.SET_ASIDE.value))
        .order_by(run.c.ended_at)
        .limit(limit)
    )
    return tuple(
        SetAside(contact=row.key, journey=row.journey, reason=row.reason, at=row.ended_at) for row in rows
    )


def halted(connection: Connection) -> tuple[Halted, ...]:
    """The journeys that are paused or stopped, by name. Reads their active runs."""
    inside = (
        select(run.c.journey, run.c.partition, run.c.contact)
        .where(run.c.status == constant(RunStatus.ACTIVE.value))
        .distinct()
        .subquery()
    )
    found = (
        select(journey.c.name, journey.c.state, func.count(inside.c.contact).label("people"))
        .select_from(journey.outerjoin(inside, inside.c.journey == journey.c.name))
        .where(journey.c.state != constant(JourneyState.LIVE.value))
        .group_by(journey.c.name, journey.c.state)
        .order_by(journey.c.name)
    )
    since = states_since(connection)
    return tuple(
        Halted(journey=row.name, state=JourneyState(row.state), since=since.get(row.name), people=row.people)
        for row in connection.execute(found)
    )


def anybody_else(connection: Connection) -> bool | None:
    """Whether another session of this software is connected; None where the database cannot tell (SQLite)."""
    if connection.dialect.name != "postgresql":
        return None
    return bool(other_sessions(connection))

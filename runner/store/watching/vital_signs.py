"""How a deployment is doing at an instant: what lags, what is held too long, what waits for somebody's decision.

Every read of this module is served by an index that holds only what is pending, due, in flight or in doubt, and
looks at one end of it or counts ``MOST`` rows of it. So ``read_vital_signs`` costs the same with a thousand contacts
and with three million, and may be asked every 15 seconds. What has to look at everybody is in ``examination.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Label,
    ScalarSelect,
    case,
    exists,
    func,
    literal_column,
    select,
)

from runner.store.tables import (
    MessageStatus,
    RunStatus,
    appointment,
    broadcast,
    broadcast_heard,
    event,
    firing,
    message,
    run,
    shard,
)
from runner.store.types import Instant, constant, instant_of

MOST = 10_000
"""Where counting stops: whoever has more than that of something knows enough."""


@dataclass(frozen=True, kw_only=True)
class PartitionSigns:
    """What is due in one partition and has not been handled; None where there is nothing.

    ``due``: since when the most overdue run should have moved. ``told``: since when a broadcast, a schedule or a
    contact's appointment should have become events. ``event_at`` and ``event_received_at``: when the oldest
    unhandled event happened, and when it was received. An event may be old and have come just now, so lag is counted
    from the later of the two.
    """

    partition: int
    due: datetime | None
    event_at: datetime | None
    event_received_at: datetime | None
    told: datetime | None = None

    def lag(self, now: datetime) -> timedelta:
        """How long the oldest work of the partition has been waiting; zero where there is none."""
        ends = (self.due, self.event_received_at, self.told)
        since = [instant for instant in ends if instant is not None]
        return max(timedelta(), now - min(since)) if since else timedelta()


@dataclass(frozen=True, kw_only=True)
class Some:
    """How many there are, ``MOST`` standing for that many or more, and the oldest one's instant; None without any."""

    count: int
    oldest: datetime | None


@dataclass(frozen=True, kw_only=True)
class VitalSigns:
    """The state of a deployment at ``at``.

    ``ready``: messages that could be handed over, by the instant from which on. ``lapsed``: messages that somebody
    holds beyond the lease, by its end. ``unknown``: messages of which nobody can tell whether they were sent, by the
    instant at which they were let go. ``set_aside``: runs that the engine gave up on, by when.
    """

    at: datetime
    partitions: tuple[PartitionSigns, ...]
    ready: Some
    lapsed: Some
    unknown: Some
    set_aside: Some

    @property
    def due(self) -> datetime | None:
        """Since when the most overdue run of all should have moved."""
        return min((one.due for one in self.partitions if one.due is not None), default=None)

    @property
    def lag(self) -> timedelta:
        """How long the oldest due run or unhandled event has been waiting; zero where there is none."""
        return max((one.lag(self.at) for one in self.partitions), default=timedelta())


def read_vital_signs(connection: Connection, now: datetime) -> VitalSigns:
    """All of them, in five statements. Cheap: six look-ups a partition and at most four times ``MOST`` index rows."""
    return VitalSigns(
        at=now,
        partitions=partition_signs(connection, now),
        ready=ready_messages(connection, now),
        lapsed=lapsed_messages(connection, now),
        unknown=unknown_messages(connection),
        set_aside=set_aside_runs(connection),
    )


def partition_signs(connection: Connection, now: datetime) -> tuple[PartitionSigns, ...]:
    """What lags in each partition at ``now``. Cheap: served by ``ix_run_due``, ``ix_event_pending``,
    ``ix_appointment_due``, ``ix_firing_next`` and ``ix_broadcast_open``."""
    due = (run.c.partition == shard.c.partition, run.c.next_at.is_not(None), run.c.next_at <= now)
    is_active = run.c.status == constant(RunStatus.ACTIVE.value)
    first_due = select(run.c.next_at).where(is_active, *due).order_by(run.c.next_at).limit(1)
    signs = select(
        shard.c.partition,
        first_due.scalar_subquery().label("due"),
        _first_event(event.c.at, now).label("event_at"),
        _first_event(event.c.received_at, now).label("event_received_at"),
        *_to_be_told(now),
    ).order_by(shard.c.partition)
    return tuple(
        PartitionSigns(
            partition=row.partition,
            due=row.due,
            event_at=row.event_at,
            event_received_at=row.event_received_at,
            told=min(
                (instant for instant in (row.appointed, row.fires, row.broadcast) if instant is not None),
                default=None,
            ),
        )
        for row in connection.execute(signs)
    )


def _first_event(column: Column[datetime], now: datetime) -> ScalarSelect[datetime]:
    return (
        select(column)
        .where(event.c.partition == shard.c.partition, event.c.pending, event.c.at <= now)
        .order_by(event.c.at)
        .limit(1)
        .scalar_subquery()
    )


def _to_be_told(now: datetime) -> tuple[Label[datetime], ...]:
    """Of a partition the first of each kind that is to become events."""
    heard = exists(
        select(literal_column("1")).where(
            broadcast_heard.c.partition == shard.c.partition, broadcast_heard.c.broadcast == broadcast.c.id
        )
    ).correlate(shard, broadcast)
    late_to_come = broadcast.c.received_at > broadcast.c.at
    arrived = case((late_to_come, broadcast.c.received_at), else_=broadcast.c.at)
    its_appointments = appointment.c.partition == shard.c.partition
    its_firings = firing.c.partition == shard.c.partition
    appointed = select(func.min(appointment.c.due_at)).where(its_appointments, appointment.c.due_at <= now)
    fires = select(func.min(firing.c.next_at)).where(its_firings, firing.c.next_at <= now)
    sent = select(func.min(arrived)).where(broadcast.c.open, broadcast.c.at <= now, ~heard)
    return (
        appointed.scalar_subquery().label("appointed"),
        fires.scalar_subquery().label("fires"),
        sent.correlate(shard).scalar_subquery().label("broadcast"),
    )


def ready_messages(connection: Connection, now: datetime) -> Some:
    """Messages that could be handed over at ``now``. Cheap: served by ``ix_message_ready``."""
    ready = message.c.status == constant(MessageStatus.READY.value)
    return _some(connection, message.c.available_at, ready, message.c.available_at <= now)


def lapsed_messages(connection: Connection, now: datetime) -> Some:
    """Messages whose holder has let the lease run out. Cheap: served by ``ix_message_held``."""
    held = message.c.lease_until.is_not(None)
    return _some(connection, message.c.lease_until, held, message.c.lease_until <= now)


def unknown_messages(connection: Connection) -> Some:
    """Messages of which nobody can tell whether they were sent. Cheap: served by ``ix_message_unknown``."""
    return _some(connection, message.c.let_go_at, message.c.status == constant(MessageStatus.UNKNOWN.value))


def set_aside_runs(connection: Connection) -> Some:
    """Runs that the engine gave up on. Cheap: served by ``ix_run_set_aside``."""
    return _some(connection, run.c.ended_at, run.c.status == constant(RunStatus.SET_ASIDE.value))


def _some(connection: Connection, instant: Column[datetime], *among: ColumnElement[bool]) -> Some:
    """The oldest first, so that the index gives both the count and the oldest."""
    found = select(instant.label("instant")).where(*among).order_by(instant).limit(MOST).subquery()
    row = connection.execute(
        select(func.count().label("found"), func.min(found.c.instant, type_=Instant()).label("oldest"))
    ).one()
    return Some(count=row.found, oldest=row.oldest)


_MICROSECONDS_NOW = {
    "sqlite": "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000",
    "postgresql": "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
}


def database_clock(connection: Connection) -> datetime:
    """What the database's own clock says (aware, UTC), to the millisecond. On SQLite that is this machine's."""
    now = literal_column(_MICROSECONDS_NOW[connection.dialect.name], BigInteger())
    return connection.execute(select(instant_of(now))).scalar_one()

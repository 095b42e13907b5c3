"""Going on after a backup was restored: what was due since it was taken may have been done by the life that is lost.

That life is lived once more, exactly as virtual time is: every event that is stored and every timer that is due until
now takes its turn at its own instant. What this lets go is not handed over. The channel is asked about each message
where it can be asked; the rest is ``unknown``, and then sent again or held as its topic says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from channels.base import Channel, Message, Recoverable, RetryLater, Sent
from runner.engine.deliver import LEASE
from runner.engine.poison import tick_past_poison
from runner.engine.prepare import idempotency_key
from runner.engine.tick import EXACT
from runner.engine.versions import Versions, load_versions
from runner.problem import JourneysError
from runner.store.audit import RECOVERED, Record, record, records
from runner.store.database import Database, Deployment
from runner.store.sending import messages, recovery
from runner.store.sending.messages import Change
from runner.store.sending.recovery import Listed, SinceBackup
from runner.store.tables import MessageStatus

BATCH = 1_000
MAY_HAVE_BEEN_SENT = "a backup was restored: it may have been sent since that was taken"


@dataclass(frozen=True, kw_only=True)
class Lost:
    """What a command of the lost life did that lets people go on: an ``apply``, or the ``resume`` of a journey.

    ``again`` does it once more at the instant that it is given.
    """

    at: datetime
    again: Callable[[datetime], object]


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What became of the messages in doubt. ``ready``: the channel says that it did not get them."""

    sent: int = 0
    ready: int = 0
    unknown: int = 0

    def __add__(self, other: Settled) -> Settled:
        return Settled(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


def look_at_restored(database: Database, *, restored_at: datetime, now: datetime) -> SinceBackup:
    """What is in doubt in ``database``, a backup that was taken at ``restored_at``. Changes nothing.

    Raises JourneysError where it cannot be such a backup, or somebody is at work on it.
    """
    if restored_at > now:
        raise JourneysError(f"{restored_at:%Y-%m-%dT%H:%M:%SZ} is yet to come; when was the backup taken?")
    with database.read() as connection:
        found = recovery.since_backup(connection, now)
        written = records(connection)
    begun = any(one.what == _begun(restored_at) for one in written)
    if found.leased_until is not None and found.leased_until > now:
        raise JourneysError(
            f"somebody may be sending messages until {found.leased_until:%Y-%m-%dT%H:%M:%SZ}:"
            " stop every `journeys run` on this database, and try again after that"
        )
    # What is lived once more leaves traces of its own: they are no sign of a wrong database.
    if not begun and found.newest is not None and found.newest > restored_at:
        raise JourneysError(
            f"this database has gone on until {found.newest:%Y-%m-%dT%H:%M:%S.%fZ}, so it is no backup of"
            f" {restored_at:%Y-%m-%dT%H:%M:%SZ}: is it the right one? If so, it was taken then or later"
        )
    if not begun and (since := [one for one in written if one.at > restored_at and _lets_go(one)]):
        raise JourneysError(
            f"`journeys {since[0].what}` was called at {since[0].at:%Y-%m-%dT%H:%M:%SZ}, after the backup of"
            f" {restored_at:%Y-%m-%dT%H:%M:%SZ}: whom it let go now may have gone on in the lost life already."
            " Restore the backup again, and tell `recover` of it instead"
        )
    return found


def live_until_lost(
    database: Database, lost: Sequence[Lost], *, restored_at: datetime, now: datetime, who: str
) -> None:
    """Live from ``restored_at`` to each of ``lost`` in turn, and do it again at its own instant, so that all whom it
    let go are let go at the instants at which they were. ``recover_restored`` goes on from there.

    Raises what ``look_at_restored`` raises, and what ``again`` does; may be begun again after that.
    """
    look_at_restored(database, restored_at=restored_at, now=now)
    for one in lost:
        if not restored_at <= one.at <= now:
            raise JourneysError(
                f"{one.at:%Y-%m-%dT%H:%M:%SZ} is not between the backup and now: what was done before the backup"
                " is in it"
            )
    with database.begin() as connection:
        record(connection, at=now, who=who, what=_begun(restored_at))
    for one in sorted(lost, key=lambda each: each.at):
        _live_until(database, load_versions(database), one.at)
        one.again(one.at)
        # Whoever enters through it does so at that instant.
        _live_until(database, load_versions(database), one.at)


def _live_until(database: Database, versions: Versions, instant: datetime) -> None:
    while (ticked := tick_past_poison(database, versions, instant, EXACT)).more:
        pass
    if ticked.outdated:
        raise JourneysError("the journeys were changed by another `journeys apply` meanwhile; recover again")


def _lets_go(one: Record) -> bool:
    return one.what.startswith(("apply ", "resume "))


def recover_restored(
    database: Database,
    versions: Versions,
    channels: Mapping[str, Channel],
    *,
    restored_at: datetime,
    now: datetime,
    who: str,
) -> Settled:
    """Live from ``restored_at`` to ``now`` once more, and settle what may have been sent in that time.

    Nobody else may be at work on ``database``. May be broken off, and begun again, at any point. Raises what
    ``look_at_restored`` raises.
    """
    look_at_restored(database, restored_at=restored_at, now=now)
    with database.begin() as connection:
        record(connection, at=now, who=who, what=_begun(restored_at))
    _live_until(database, versions, now)
    _take_all(database, now)
    settled = Settled()
    while part := _in_doubt(database):
        settled += _settle(database, channels, part, restored_at, now)
    with database.begin() as connection:
        detail = {f.name: getattr(settled, f.name) for f in fields(settled)}
        record(connection, at=now, who=who, what=RECOVERED, detail=detail)
    return settled


def _begun(restored_at: datetime) -> str:
    return f"recover --restored-at {restored_at.isoformat()}"


def _take_all(database: Database, now: datetime) -> None:
    """Make everything that is ready, or held, look as if it were being handed over: that is what it may have been."""
    while True:
        with database.begin() as connection:
            if not messages.release_lapsed(connection, lapsed_by=now, now=now, limit=BATCH):
                break
    until = now + LEASE
    while True:
        with database.begin() as connection:
            claimed = messages.claim(connection, now=now, lease_until=until, limit=BATCH)
            messages.change(
                connection,
                MessageStatus.CLAIMED,
                [Change(held=one.held, to=MessageStatus.SENDING, lease_until=until) for one in claimed],
            )
        if not claimed:
            return


def _in_doubt(database: Database) -> tuple[Listed, ...]:
    with database.read() as connection:
        return recovery.listed(connection, MessageStatus.SENDING, limit=BATCH)


def _settle(
    database: Database,
    channels: Mapping[str, Channel],
    part: tuple[Listed, ...],
    restored_at: datetime,
    now: datetime,
) -> Settled:
    changes = [
        _settled(database.deployment, channels.get(one.channel), one, restored_at, now) for one in part
    ]
    with database.begin() as connection:
        messages.change(connection, MessageStatus.SENDING, changes)
    became = [change.to for change in changes]
    return Settled(
        sent=became.count(MessageStatus.SENT),
        ready=became.count(MessageStatus.READY),
        unknown=became.count(MessageStatus.UNKNOWN),
    )


def _settled(
    deployment: Deployment, channel: Channel | None, one: Listed, restored_at: datetime, now: datetime
) -> Change:
    identity = Message(
        idempotency_key=idempotency_key(deployment.as_of(one.let_go_at), one.held.key, one.made_in),
        recipient="",
        let_go_at=one.let_go_at,
        journey=one.journey,
        step=one.held.key.step,
        contact=one.contact_key,
        locale="",
    )
    answer = channel.look_up(identity) if isinstance(channel, Recoverable) else None
    match answer:
        case Sent(provider_id=provider_id):
            return Change(held=one.held, to=MessageStatus.SENT, sent_at=now, provider_id=provider_id)
        # A run that began after the backup may have had another number, and so its message another key, by which the
        # channel does not know it.
        case RetryLater() if one.entered_at <= restored_at:
            later = now + timedelta(seconds=1)
            return Change(held=one.held, to=MessageStatus.READY, available_at=later)
    return Change(held=one.held, to=MessageStatus.UNKNOWN, reason=MAY_HAVE_BEEN_SENT)

"""The stages once, or in virtual time: what is due is lived, what is ready is handed over, and then it stops."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from channels.base import Channel
from runner.daemon.batch import Batch
from runner.daemon.opened import Open, opened
from runner.daemon.renewing import renewing
from runner.engine.deliver import LEASE, Delivered, Delivery
from runner.engine.doubt import resend_unknown
from runner.engine.poison import tick_past_poison
from runner.engine.recover import recover
from runner.engine.tick import EXACT, LIVE, Pace
from runner.engine.versions import Versions, load_versions
from runner.problem import JourneysError
from runner.store.database import Database

BATCH = 1_000
"""Messages that are claimed together in virtual time, where nobody else is at work."""
STRIDE = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Lived:
    """What a stretch of time brought about."""

    passes: int = 0
    delivered: Delivered = field(default_factory=Delivered)


def run_once(
    database: Database,
    open_channels: Open,
    now: datetime,
    pace: Pace = LIVE,
    *,
    recipients: frozenset[str] | None = None,
    clock: Callable[[], datetime] | None = None,
) -> Lived:
    """Handle all that is due at ``now``, hand over all that is ready then, and stop. Messages go to ``recipients``
    alone, where these are given. ``clock`` answers the present, by which leases are given, and each message is judged
    when it leaves: servers may be slow. Without it time stands still."""
    versions = load_versions(database)
    with opened(open_channels, versions) as channels:
        recovered = recover(database, channels, now)
        resend_unknown(database, versions, now)
        lived = _live_until(database, versions, channels, now, pace, recipients, clock)
    # What was given back to be handed over again was handed over in here.
    return Lived(passes=lived.passes, delivered=replace(recovered, retried=0) + lived.delivered)


def run_virtual(
    database: Database,
    open_channels: Open,
    begin: datetime,
    until: datetime,
    *,
    recipients: frozenset[str] | None = None,
    progress: Callable[[datetime, Lived], None] = lambda _instant, _lived: None,
) -> Lived:
    """Live the time from ``begin`` to ``until``, both included, as fast as it goes, through the same stages.

    The clock moves a week at a time, which keeps what is on the way small; what happens in a week happens at its own
    instants all the same. ``progress`` is called after each week with the instant reached and what was lived so far.
    What a killed run left behind is taken back first: in virtual time nobody else is at work.
    """
    versions = load_versions(database)
    with opened(open_channels, versions) as channels:
        while recover(database, channels, begin, alone=True) != Delivered():
            pass
        total = Lived()
        for instant in _strides(begin, until):
            lived = _live_until(database, versions, channels, instant, EXACT, recipients)
            total = Lived(passes=total.passes + lived.passes, delivered=total.delivered + lived.delivered)
            progress(instant, total)
    return total


def _strides(begin: datetime, until: datetime) -> Iterator[datetime]:
    """``begin``, every STRIDE after it, and ``until``."""
    instant = begin
    while instant < until:
        yield instant
        instant += STRIDE
    yield until


def _live_until(
    database: Database,
    versions: Versions,
    channels: Mapping[str, Channel],
    now: datetime,
    pace: Pace,
    recipients: frozenset[str] | None,
    clock: Callable[[], datetime] | None = None,
) -> Lived:
    passes = 0
    while (ticked := tick_past_poison(database, versions, now, pace)).more:
        passes += ticked.passes
    if ticked.outdated:
        raise JourneysError("the journeys were changed by another `journeys apply` meanwhile; run again")
    delivery = Delivery(
        database, [channels], exact=pace.exact, clock=clock or (lambda: now), recipients=recipients
    )
    # It begins with one, since of a slow server nothing is known yet; in virtual time nothing takes time.
    batch = Batch(BATCH if pace.exact else 1)
    total, more = Delivered(), True
    with nullcontext() if clock is None else renewing(delivery.renew, LEASE):
        while more:
            size, begun = batch.size, time.monotonic()
            part = delivery.step(versions, now, limit=size)
            if not pace.exact:
                batch.took(part.claimed, time.monotonic() - begun)
            total, more = total + part, part.claimed == size
        total += delivery.finish()
    return Lived(passes=passes, delivered=total)

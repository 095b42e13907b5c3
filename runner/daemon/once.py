"""The stages once, or in virtual time: what is due is lived, what is ready is handed over, and then it stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from channels.base import Channel
from runner.daemon.opened import Open, opened
from runner.engine.deliver import Delivered, deliver
from runner.engine.doubt import resend_unknown
from runner.engine.poison import tick_past_poison
from runner.engine.recover import recover
from runner.engine.tick import EXACT, LIVE, Pace
from runner.engine.versions import Versions, load_versions
from runner.problem import JourneysError
from runner.store.database import Database

BATCH = 1_000
"""Messages that are claimed together where nobody else is at work."""
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
) -> Lived:
    """Handle all that is due at ``now``, hand over all that is ready, and stop. Messages go to ``recipients`` alone,
    where these are given."""
    versions = load_versions(database)
    with opened(open_channels, versions) as channels:
        recovered = recover(database, channels, now)
        resend_unknown(database, versions, now)
        lived = _live_until(database, versions, channels, now, pace, recipients)
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
) -> Lived:
    passes = 0
    while (ticked := tick_past_poison(database, versions, now, pace)).more:
        passes += ticked.passes
    if ticked.outdated:
        raise JourneysError("the journeys were changed by another `journeys apply` meanwhile; run again")
    total, more = Delivered(), True
    while more:
        part = deliver(
            database, versions, channels, now, exact=pace.exact, limit=BATCH, recipients=recipients
        )
        total, more = total + part, part.claimed == BATCH
    return Lived(passes=passes, delivered=total)

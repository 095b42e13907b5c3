"""What time itself starts: broadcasts are heard, schedules fire, dates are reached, appointments come due.

All of it becomes events on the timelines of contacts before a tick takes their instants. What is too much for one
transaction is gone on with in the next, and until then no instant is taken: nobody's later event may come before.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from runner.engine.advance import Passes
from runner.engine.timetable import Dated, Scheduled
from runner.engine.versions import Version, Versions
from runner.journey.catalog import CONTACT_CHANGES, CONTACT_UPDATED, IDENTIFIED
from runner.journey.model import Journey
from runner.journey.model.timed import CatchUp, DateTrigger, ScheduleTrigger
from runner.journey.reserved import DATE_REACHED, SEGMENT_DUE, TIMED
from runner.store.causes import schedules
from runner.store.causes.appointing import (
    appoint_everybody,
    appointed,
    forget_appointments,
    gather_everybody,
    give_up,
    remove_of_pass,
)
from runner.store.causes.appointments import (
    HEARD,
    Kind,
    settle,
    tell_first,
    tell_of_pass,
    withdraw,
)
from runner.store.causes.broadcasts import close_broadcasts, open_broadcasts
from runner.store.causes.dates import appoint_dates
from runner.store.causes.firings import Whom, fire, fire_in_pass
from runner.store.causes.hearing import hear
from runner.store.causes.meant import causes_of_pass, traits_of_pass
from runner.store.causes.schedule_zones import (
    plan_in_zone,
    zones_of_partition,
    zones_of_pass,
    zones_of_schedule,
)
from runner.store.causes.schedules import WHOLE, Due
from runner.store.local_time.wall_clock import Firing, last_firing, next_firing
from runner.store.local_time.zones import known_zone
from runner.store.passes.told import unstored
from runner.store.statement import Connection
from runner.store.types import EPOCH

_MICROSECOND = timedelta(microseconds=1)
_MAY_CHANGE = frozenset({*CONTACT_CHANGES, SEGMENT_DUE})
"""What tells that a contact may have changed; the last, that something was imported about it beside the timeline."""


# Before the passes of a tick -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """``whole``: everything that is due by now has become events; else the next tick goes on with that.
    ``some``: a broadcast or a schedule was due, be it for nobody, so that other partitions may still have their turn to
    come. ``sole``: what has not become events yet is a contact's own appointments, or comes for nobody before what they
    were told: so of whoever was told something, it is known what comes before it."""

    whole: bool
    some: bool
    sole: bool = False


def prepare(passes: Passes, partitions: tuple[int, ...], size: int, *, of_all: int) -> Prepared:
    """Turn what is due by now into events, for up to about ``size`` contacts of these partitions; there are ``of_all``
    of them in all.

    Where ``passes.asks`` is not set broadcasts and schedules tell everybody: whom they concern is asked at the event's
    turn in any case, of each contact by itself.
    """
    if not _appoint_everybody(passes, size):
        return Prepared(whole=False, some=True)
    heard = _hear(passes, size, of_all)
    if not heard.whole:
        return heard
    fired = _fire(passes, size)
    if fired.whole and tell_first(passes.connection, partitions, passes.now, passes.late_before, size):
        return Prepared(whole=False, some=True, sole=True)
    if heard.some:
        # A schedule that is not through may fire for some before the broadcast that they were told of.
        return replace(fired, some=True, sole=False)
    return fired


def _appoint_everybody(passes: Passes, size: int) -> bool:
    # In virtual time it is not when the wall clock says that a journey was applied; what is reached at the very instant
    # at which it begins is not past.
    latest = passes.now - _MICROSECOND if passes.exact else None
    found = gather_everybody(passes.connection, size, latest)
    for n, (kind, name) in found.items():
        if kind is not Kind.DATE:
            continue
        dated = passes.versions.timetable.dates.get(name)
        if dated is None:
            remove_of_pass(passes.connection, n, kind, name)
            continue
        _appoint(passes, dated, n)
        withdraw(passes.connection, n)
    return not found


def _appoint(passes: Passes, dated: Dated, n: int) -> None:
    version = dated.version
    appoint_dates(
        version.sql,
        dated.trigger,
        passes.connection,
        n,
        since=EPOCH if passes.exact else version.since,
        received_since=EPOCH if passes.exact else version.entered_from,
        as_received=not passes.exact,
    )


def _hear(passes: Passes, size: int, of_all: int) -> Prepared:
    """Let broadcasts be heard, one after another, each by the next portion of those who are there, until about ``size``
    contacts are told of one."""
    connection, some = passes.connection, False
    found = open_broadcasts(connection, passes.now)
    for broadcast in found:
        full = unstored(connection) >= size
        through = (
            None if full else hear(connection, passes.versions.copies, broadcast, size, asks=passes.asks)
        )
        if full or through is False:
            alone = [other.at for other in found].count(broadcast.at) == 1
            sole = alone and not schedules.due_schedules(connection, broadcast.at)
            return Prepared(whole=False, some=True, sole=sole)
        some = some or through is True
    if found:
        close_broadcasts(connection, of_all)
    return Prepared(whole=True, some=some)


def _fire(passes: Passes, size: int) -> Prepared:
    """Let what is due fire, one firing of each schedule after another, for up to about ``size`` contacts."""
    told, fired = 0, set[tuple[str, str, datetime]]()
    while found := schedules.due_schedules(passes.connection, passes.now):
        fired |= {(due.cause, due.zone, due.next_at) for due in found}
        if told >= size:
            # In their own zones contacts come and go: there nobody may run ahead of the others.
            return Prepared(whole=False, some=True, sole=[zone for _, zone, _ in fired] == [WHOLE])
        share = max(1, -(-size // sum(len(due.partitions) for due in found)))
        for due in found:
            scheduled = passes.versions.timetable.schedules.get(due.cause)
            if scheduled is None:  # removed, or written anew
                schedules.plan(passes.connection, due, None)
            elif due.nominal is None:
                _begin(passes, scheduled, due)
            else:
                told += _fire_one(passes, scheduled, due, share)
    return Prepared(whole=True, some=bool(fired))


def _begin(passes: Passes, scheduled: Scheduled, due: Due) -> None:
    """A schedule that is new in a partition: find out when it fires first, after ``due.next_at``."""
    cron, connection = scheduled.trigger.cron, passes.connection
    if scheduled.trigger.timezone is not None:
        schedules.plan(connection, due, next_firing(cron, scheduled.trigger.timezone, due.next_at))
        return
    for partition in due.partitions:
        for named in zones_of_partition(connection, partition):
            zone = named or scheduled.default_zone
            if known_zone(zone):
                first = next_firing(cron, zone, due.next_at)
                plan_in_zone(connection, partition, due.cause, zone, due.next_at, first)
    schedules.plan(connection, due, None)


def _fire_one(passes: Passes, scheduled: Scheduled, due: Due, size: int) -> int:
    """Let one firing come for the next contacts, up to ``size`` a partition. Answers for how many it was looked at."""
    connection, trigger = passes.connection, scheduled.trigger
    zone = trigger.timezone or due.zone
    caught_up = _caught_up(passes, scheduled, due, zone)
    if caught_up is None or caught_up.at != due.next_at:
        schedules.plan(connection, due, caught_up)
        return 0
    at = passes.now if due.next_at < passes.late_before else due.next_at
    return fire(
        scheduled.version.sql,
        trigger.audience if passes.asks else None,
        connection,
        due,
        Whom.ALL if due.zone == WHOLE else Whom.DEFAULT if zone == scheduled.default_zone else Whom.ZONE,
        limit=size,
        at=at if scheduled.live else None,
        following=next_firing(trigger.cron, zone, due.next_at),
    )


def _caught_up(passes: Passes, scheduled: Scheduled, due: Due, zone: str) -> Firing | None:
    """The firing that is next, once those are passed over that nobody makes up for."""
    trigger = scheduled.trigger
    assert due.nominal is not None
    first = Firing(at=due.next_at, nominal=due.nominal)
    if due.next_at >= passes.late_before or due.reached or trigger.catch_up is CatchUp.ALL:
        return first
    last = last_firing(trigger.cron, zone, first, passes.late_before)
    return last if trigger.catch_up is CatchUp.ONCE else next_firing(trigger.cron, zone, last.at)


# While a contact's event is handled -----------------------------------------------------------------------------------


def keep_time(passes: Passes, n: int, events: Set[str]) -> None:
    """Compute anew what the events of pass ``n`` move: dates that have changed or were reached, and the zone in which a
    schedule fires for a contact. To be done when all else has been done about them."""
    connection, timetable = passes.connection, passes.versions.timetable
    changed = not events.isdisjoint(_MAY_CHANGE)
    moved = _moved(passes, n, events) if timetable.dates else []
    # A date that was reached is appointed anew, whereby the one that is over is settled; it takes nothing back.
    reached_alone = events.isdisjoint((HEARD | _MAY_CHANGE) - {DATE_REACHED})
    if (
        not events.isdisjoint(HEARD)
        and not (reached_alone and moved)
        and not passes.versions.watched.keeps_state
    ):
        settle(connection, n)
    if moved:
        for dated in moved:
            _appoint(passes, dated, n)
        if not reached_alone:
            withdraw(connection, n)
        tell_of_pass(connection, n, passes.now, passes.late_before)
    if changed:
        for scheduled in timetable.in_own_zones:
            _follow_zones(passes, n, scheduled)


def _moved(passes: Passes, n: int, events: Set[str]) -> list[Dated]:
    """The dates that the events of pass ``n`` may move."""
    dates = passes.versions.timetable.dates.values()
    if events & {CONTACT_UPDATED, SEGMENT_DUE}:
        return list(dates)
    causes = _causes(passes, n) if DATE_REACHED in events else frozenset()
    traits = traits_of_pass(passes.connection, n) if IDENTIFIED in events else frozenset()
    zone = "timezone" in traits
    return [
        dated for dated in dates if zone or dated.trigger.attribute in traits or dated.trigger.cause in causes
    ]


def meant(passes: Passes, n: int, events: Set[str], hearing: Iterable[Version]) -> list[Version]:
    """Those of the versions that hear an event of pass ``n`` by its name which it may mean: what time causes is for one
    of them alone."""
    if events.isdisjoint(TIMED):
        return list(hearing)
    causes = _causes(passes, n)
    return [
        version
        for version in hearing
        if any(
            trigger.cause in causes
            if isinstance(trigger, DateTrigger | ScheduleTrigger)
            else trigger.event in events
            for trigger in version.journey.triggers
        )
    ]


def _causes(passes: Passes, n: int) -> frozenset[str]:
    """``causes_of_pass``, asked once a pass."""
    if n not in passes.causes:
        passes.causes[n] = causes_of_pass(passes.connection, n)
    return passes.causes[n]


def _follow_zones(passes: Passes, n: int, scheduled: Scheduled) -> None:
    """Have a schedule fire for those of pass ``n`` who may have come into another zone."""
    connection, trigger = passes.connection, scheduled.trigger
    groups = zones_of_pass(connection, n, _MAY_CHANGE, scheduled.default_zone)
    known = zones_of_schedule(connection, trigger.cause)
    fired: set[tuple[str, Firing]] = set()
    for partition, zone, since in groups:
        begun = known.get((partition, WHOLE))
        if begun is None or not known_zone(zone):
            continue
        # What has fired there already for the others, since they have been brought up to now. A firing of the very
        # instant at which they come is still before them.
        firing = next_firing(trigger.cron, zone, max(since - _MICROSECOND, passes.late_before, begun))
        while firing is not None and firing.at <= passes.now:
            fired.add((zone, firing))
            firing = next_firing(trigger.cron, zone, firing.at)
        # Nobody was there before: whoever comes before a firing that is past by now is told of it here, too.
        if (partition, zone) not in known:
            plan_in_zone(connection, partition, trigger.cause, zone, begun, firing)
    if scheduled.live:
        for zone, firing in sorted(fired, key=lambda one: one[1].at):
            fire_in_pass(
                scheduled.version.sql, trigger.cause, connection, n, zone, firing, sorted(_MAY_CHANGE)
            )


# When journeys are applied --------------------------------------------------------------------------------------------


def begin_triggers(connection: Connection, journey: Journey, since: datetime) -> None:
    """Have the ticks begin with the triggers of an applied journey that time pulls, and leave off with those that it no
    longer has. One that was there before goes on as it is."""
    dates = {trigger.cause for trigger in journey.triggers if isinstance(trigger, DateTrigger)}
    fires = {trigger.cause for trigger in journey.triggers if isinstance(trigger, ScheduleTrigger)}

    def left(known: Set[str], wanted: Set[str]) -> list[str]:
        return sorted(cause for cause in known - wanted if cause.startswith(f"{journey.name} "))

    for cause in sorted(dates):
        appoint_everybody(connection, Kind.DATE, cause, since)
    for cause in left(appointed(connection, Kind.DATE), dates):
        give_up(connection, Kind.DATE, cause)
    for cause in sorted(fires):
        schedules.begin_schedule(connection, cause, since)
    for cause in left(schedules.known_schedules(connection), fires):
        schedules.forget_schedule(connection, cause)


def begin_anew(connection: Connection, versions: Versions, since: datetime) -> None:
    """Begin with all triggers of the versions in force as if they were applied at ``since``: for virtual time, which
    does not begin when they were applied."""
    forget_appointments(connection, Kind.DATE)
    for cause in schedules.known_schedules(connection):
        schedules.forget_schedule(connection, cause)
    for cause in versions.timetable.dates:
        appoint_everybody(connection, Kind.DATE, cause, since)
    for cause in versions.timetable.schedules:
        schedules.begin_schedule(connection, cause, since)

"""An event arrives: the contact itself, goals, exits, waits, triggers, in this order.

What an event ends, ends before triggers are looked at, so that one event can end a run and start the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from runner.engine.advance import Passes
from runner.engine.presses import links_of
from runner.engine.timed import keep_time, meant
from runner.engine.versions import Version
from runner.journey.catalog import (
    CONSENT_GRANTED,
    CONSENT_WITHDRAWN,
    CONTACT_CHANGES,
    IDENTIFIED,
    LINK_PRESSED,
    MOVES_WAITS,
)
from runner.journey.model import Again
from runner.journey.reserved import CONSENT_CHANGED
from runner.store.causes.appointments import HEARD, settle, tell_of_pass, withdraw
from runner.store.causes.attributes import tell_of_identified
from runner.store.causes.consents import tell_of_consents
from runner.store.causes.double_opt_in import mark_pending
from runner.store.causes.feedback import FEEDBACK, heed_feedback
from runner.store.causes.history import begin_after_history
from runner.store.causes.presses import Printed, heed_presses, pressed_messages
from runner.store.causes.segments import TELLING, read_segments
from runner.store.causes.stale import watch_age
from runner.store.passes.entrants import Floors, hold_accounts, trigger
from runner.store.passes.entry import end_for_restart, enter, enter_at_once, enters_at_once, refresh
from runner.store.passes.exits import (
    exit_on_condition_after_event,
    exit_on_event,
    exit_on_goal,
)
from runner.store.passes.goals import count_goals
from runner.store.passes.holding import hold, stand_anew
from runner.store.passes.receive import apply_traits, load_zones_of_pass, mark_handled, record_consent
from runner.store.passes.reviews import plan_reviews
from runner.store.passes.timeline import nodes_stood_on
from runner.store.steps.again import look_again, take_up_again
from runner.store.steps.waits.rest import rest
from runner.store.steps.waits.wake import wake
from runner.store.tables import JourneyState
from runner.store.types import EPOCH


def receive(passes: Passes, n: int, events: Set[str]) -> None:
    """Handle the events of pass ``n``; ``events`` are their names."""
    _begin_after_history(passes, n, events)
    mark_handled(passes.connection, n)
    _change_contacts(passes, n, events)
    if passes.versions.watched.keeps_state:
        _keep_state(passes, n, events)
    _count_goals(passes, n, events)
    if LINK_PRESSED in events:
        _heed_presses(passes, n)
    here = _whereabouts(passes, n, events)
    _end_runs(passes, n, events, here)
    _wake(passes, n, events, here)
    for version in meant(passes, n, events, _hearing(passes.versions.started_by, events)):
        _enter(passes, n, version)
    keep_time(passes, n, events)


def keep_on(passes: Passes, n: int, events: Set[str]) -> None:
    """Of the events of pass ``n``, which were given up, do that alone without which time would start nothing more of
    the kind: segments and the age of consents are read, and what comes next is appointed."""
    _begin_after_history(passes, n, events)
    if passes.versions.watched.keeps_state:
        _keep_state(passes, n, events)
    keep_time(passes, n, events)


def _begin_after_history(passes: Passes, n: int, events: Set[str]) -> None:
    # At what is told of a segment none is read: before it they were.
    if passes.versions.watched.keeps_state and not events <= TELLING:
        begin_after_history(passes.connection, n, passes.versions.watched)


def _hearing(by_event: Mapping[str, Sequence[Version]], events: Set[str]) -> list[Version]:
    """The versions that hear one of the events, in the order in which versions act."""
    found = {version.id: version for name in events for version in by_event.get(name, ())}
    return sorted(found.values(), key=lambda version: (version.journey.name, version.id))


def _change_contacts(passes: Passes, n: int, events: Set[str]) -> None:
    watched = passes.versions.watched
    if IDENTIFIED in events:
        tell_of_identified(passes.connection, n, watched.attributes)
        apply_traits(passes.connection, n)
    if not events.isdisjoint(CONTACT_CHANGES):
        load_zones_of_pass(passes.connection, n)
    if events & FEEDBACK:
        heed_feedback(passes.connection, n)
    if CONSENT_GRANTED in events:
        for topic, version in passes.versions.asking_twice:
            mark_pending(version.sql, topic, passes.connection, n)
    if events & {CONSENT_GRANTED, CONSENT_WITHDRAWN}:
        tell_of_consents(passes.connection, n, watched.consents)
        record_consent(passes.connection, n)


def _keep_state(passes: Passes, n: int, events: Set[str]) -> None:
    """Read the segments that journeys are triggered by, and see when consents grow stale."""
    watched, connection = passes.versions.watched, passes.connection
    if not events.isdisjoint(HEARD):
        # A segment is appointed anew whatever the event.
        settle(connection, n, anew=[kept.key for kept in watched.segments if kept.turns])
    moved = read_segments(connection, n, watched.segments, events)
    if watched.stale and events & {CONSENT_GRANTED, CONSENT_WITHDRAWN, CONSENT_CHANGED}:
        watch_age(connection, n, watched.stale, of_events=True)
        moved = True
    if moved:
        withdraw(connection, n)
        tell_of_pass(connection, n, passes.now, passes.late_before)


def _count_goals(passes: Passes, n: int, events: Set[str]) -> None:
    stage, found = next(passes.stages), 0
    for version in _hearing(passes.versions.measured_by, events):
        goal = version.journey.goal
        counted = count_goals(version.sql, passes.connection, n)
        if counted and goal and goal.exits:
            found += exit_on_goal(version.sql, passes.connection, n, stage)
    passes.end(stage, found)


def _heed_presses(passes: Passes, n: int) -> None:
    """Do what the links say that readers have pressed, each as the version has it that wrote its message."""
    stage, found = next(passes.stages), 0
    pressed = pressed_messages(passes.connection, n)
    for version in passes.versions:
        for wrote in pressed.get(version.id, ()):
            for link in links_of(passes.connection, passes.versions, version.journey.name, wrote):
                printed = Printed(link=link, wrote=wrote)
                found += heed_presses(version.sql, printed, passes.connection, n, stage)
    passes.end(stage, found)


def _whereabouts(passes: Passes, n: int, events: Set[str]) -> Mapping[int, Set[int]]:
    """The nodes at which runs of the contacts of the pass stand, by version.

    Only versions that somebody here is in are asked about exits and waits, so that a pass costs what the journeys of
    its contacts cost, and not what all journeys in force cost.
    """
    versions = passes.versions
    if versions.heeds_all or not events.isdisjoint(versions.heeded):
        return nodes_stood_on(passes.connection, n)
    return {}


def _may_let_go(version: Version, events: Set[str]) -> bool:
    """Whether one of the events may end what keeps a message back: any may end a hold, and a change of the contact may
    move local times."""
    held = bool(version.sql.rules.policies.holds)
    return bool(version.standing_sends) and (held or not events.isdisjoint(CONTACT_CHANGES))


def _end_runs(passes: Passes, n: int, events: Set[str], here: Mapping[int, Set[int]]) -> None:
    versions = [version for version in passes.versions if version.id in here]
    stage, found = next(passes.stages), 0
    for version in versions:
        if any(rule.event in events for rule in version.journey.exits):
            found += exit_on_event(version.sql, passes.connection, n, stage)
    passes.end(stage, found)
    stage, found = next(passes.stages), 0
    for version in versions:
        if version.sql.may_exit:
            found += exit_on_condition_after_event(version.sql, passes.connection, n, stage)
    passes.end(stage, found)
    for version in versions:
        if version.sql.reads_time or not here[version.id].isdisjoint(version.sql.turning):
            plan_reviews(version.sql, passes.connection, n, after_event=True)


def _wake(passes: Passes, n: int, events: Set[str], here: Mapping[int, Set[int]]) -> None:
    for version in passes.versions if here else ():
        stood_on = here.get(version.id)
        if stood_on is None:
            continue
        hear = version.conditional.union(*(version.heard.get(name, ()) for name in events))
        woken = 0
        for index in sorted(hear & stood_on):
            node = version.program.nodes[index]
            woken += wake(version.sql, node, passes.connection, n, event_floor=passes.event_floor)
        if version.state is JourneyState.PAUSED:
            _stand_anew(passes, n, version, events, stood_on)
            continue
        if not events.isdisjoint(MOVES_WAITS):
            for node in version.contact_waits:
                if node.index in stood_on:
                    take_up_again(version.sql, node, passes.connection, n, some_woken=woken > 0)
        if _may_let_go(version, events):
            for node in version.standing_sends:
                if node.index in stood_on:
                    look_again(version.sql, node, passes.connection, n)


def _stand_anew(passes: Passes, n: int, version: Version, events: Set[str], stood_on: Set[int]) -> None:
    """The journey is paused, and contacts have changed: what hangs on them is computed anew, but nobody goes on."""
    for node in version.contact_waits if not events.isdisjoint(MOVES_WAITS) else ():
        if node.index in stood_on:
            round = passes.further()
            if stand_anew(version.sql, node, passes.connection, n, round):
                rest(version.sql, node, passes.connection, round)
                hold(version.sql, passes.connection, round)


def _enter(passes: Passes, n: int, version: Version) -> None:
    sql, connection = version.sql, passes.connection
    floors = Floors(
        since=EPOCH if passes.exact else version.since,
        received_since=EPOCH if passes.exact else version.entered_from,
        event=passes.event_floor,
    )
    if enters_at_once(sql):
        enter_at_once(sql, connection, n, floors)
        return
    if version.journey.entry.by_account:
        hold_accounts(sql, connection, n)
    if not trigger(sql, connection, n, floors):
        return
    match version.journey.entry.again:
        case Again.RESTART:
            stage = next(passes.stages)
            passes.end(stage, end_for_restart(sql, connection, n, stage))
        case Again.REFRESH:
            refresh(sql, connection, n)
    enter(sql, connection, n)

"""An event arrives: the contact itself, goals, exits, waits, triggers, in this order.

What an event ends, ends before triggers are looked at, so that one event can end a run and start the next.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime

from runner.engine.advance import Passes
from runner.engine.versions import Version
from runner.journey.catalog import CONSENT_GRANTED, CONSENT_WITHDRAWN, CONTACT_UPDATED, IDENTIFIED
from runner.journey.model import Again, WaitEvent
from runner.store.passes.entry import end_for_restart, enter, refresh, trigger
from runner.store.passes.exits import (
    exit_on_condition_after_event,
    exit_on_event,
    exit_on_goal,
    plan_reviews,
)
from runner.store.passes.goals import count_goals
from runner.store.passes.receive import apply_traits, load_zones_of_pass, mark_handled, record_consent
from runner.store.passes.waits import moves_with_contact, take_up_again, wake
from runner.store.tables import JourneyState
from runner.store.types import EPOCH


def receive(passes: Passes, n: int, events: Set[str]) -> None:
    """Handle the events of pass ``n``; ``events`` are their names."""
    mark_handled(passes.connection, n)
    _change_contacts(passes, n, events)
    _count_goals(passes, n, events)
    _end_runs(passes, n, events)
    _wake(passes, n, events)
    for version in passes.versions.current.values():
        if version.state is JourneyState.LIVE and any(
            found.event in events for found in version.journey.triggers
        ):
            _enter(passes, n, version)


def _change_contacts(passes: Passes, n: int, events: Set[str]) -> None:
    if IDENTIFIED in events:
        apply_traits(passes.connection, n)
    if events & {IDENTIFIED, CONTACT_UPDATED}:
        load_zones_of_pass(passes.connection, n)
    if events & {CONSENT_GRANTED, CONSENT_WITHDRAWN}:
        record_consent(passes.connection, n)


def _count_goals(passes: Passes, n: int, events: Set[str]) -> None:
    stage, found = next(passes.stages), 0
    for version in passes.versions.current.values():
        goal = version.journey.goal
        if goal is not None and goal.event in events:
            counted = count_goals(version.sql, passes.connection, n)
            if counted and goal.exits:
                found += exit_on_goal(version.sql, passes.connection, n, stage)
    passes.end(stage, found)


def _end_runs(passes: Passes, n: int, events: Set[str]) -> None:
    stage, found = next(passes.stages), 0
    for version in passes.versions:
        if any(rule.event in events for rule in version.journey.exits):
            found += exit_on_event(version.sql, passes.connection, n, stage)
    passes.end(stage, found)
    stage, found = next(passes.stages), 0
    for version in passes.versions:
        if version.sql.may_exit:
            found += exit_on_condition_after_event(version.sql, passes.connection, n, stage)
    passes.end(stage, found)
    for version in passes.versions:
        if version.sql.reads_time:
            plan_reviews(version.sql, passes.connection, n, after_event=True)


def _wake(passes: Passes, n: int, events: Set[str]) -> None:
    contact_changed = bool(events & {IDENTIFIED, CONTACT_UPDATED})
    for version in passes.versions:
        for node in version.program.nodes:
            if isinstance(node.verb, WaitEvent) and node.verb.event in events:
                wake(version.sql, node, passes.connection, n, event_floor=passes.event_floor)
            elif contact_changed and moves_with_contact(node):
                take_up_again(version.sql, node, passes.connection, n)


def _enter(passes: Passes, n: int, version: Version) -> None:
    sql, connection = version.sql, passes.connection
    since: datetime = EPOCH if passes.exact else version.since
    if not trigger(sql, connection, n, since=since, event_floor=passes.event_floor):
        return
    match version.journey.entry.again:
        case Again.RESTART:
            stage = next(passes.stages)
            passes.end(stage, end_for_restart(sql, connection, n, stage))
        case Again.REFRESH:
            refresh(sql, connection, n)
    enter(sql, connection, n)

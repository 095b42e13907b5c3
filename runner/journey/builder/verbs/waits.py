"""Waits: for a time, until a date, for an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.journey.builder.kinds import a_kind, may_be_missing
from runner.journey.builder.notes import fields_of
from runner.journey.duration import Duration
from runner.journey.model import Leave, Verb, WaitEvent, WaitFor, WaitUntil
from runner.journey.values import Kind
from runner.journey.yaml import Fields, Value

if TYPE_CHECKING:
    from runner.journey.builder.steps import StepBuilder


def wait(build: StepBuilder, value: Value, step_id: str | None) -> Verb | None:
    options = fields_of(value)
    if options is None:
        duration = build.notes.duration(value)
        return WaitFor(duration=duration) if duration else None
    if "event" in options:
        return _wait_event(build, options)
    if "until" in options:
        return _wait_until(build, options, step_id)
    local = build.local_times(options)
    # `{for: 0m, at: "10:00"}` is the next ten o'clock.
    duration = build.notes.duration(options.get("for"), zero=local is not None)
    return WaitFor(duration=duration, local=local) if duration else None


def _wait_until(build: StepBuilder, options: Fields, step_id: str | None) -> WaitUntil | None:
    until = options.get("until")
    date = build.notes.expression(until, build.scope)
    offset = build.notes.duration(options.get("offset"), negative=True, zero=True)
    local = build.local_times(options)
    if_past = build.leave(options.get("if_past"), step_id)
    if_missing = build.leave(options.get("if_missing"), step_id)
    if until is None or date is None:
        return None
    if date.type.kind not in (Kind.DATE, Kind.DATETIME):
        message = f"`until` must be a date, not {a_kind(date.type)}."
        build.notes.note("wait/no-date", message, until.span)
        return None
    if "if_missing" not in options and may_be_missing(date.tree):
        build.notes.note(
            "wait/if-missing",
            "This date may be missing; nothing says what happens then.",
            until.span,
            "Add `if_missing: continue`, `exit`, `wait` or `{goto: ID}`.",
        )
    return WaitUntil(
        date=date,
        offset=offset or Duration(),
        local=local,
        if_past=if_past or Leave.CONTINUE,
        if_missing=if_missing or Leave.CONTINUE,
    )


def _wait_event(build: StepBuilder, options: Fields) -> WaitEvent | None:
    event, where = build.event_and_where(options)
    up_to = build.notes.duration(options.get("up_to"))
    then, timeout = build.steps(options.get("then")), build.steps(options.get("timeout"))
    if event is None or up_to is None:
        return None
    return WaitEvent(event=event, where=where, up_to=up_to, then=then, timeout=timeout)

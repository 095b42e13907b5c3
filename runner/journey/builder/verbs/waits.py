"""Waits: for a time, until a date, for an event, until something is true, while events gather."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from runner.journey.builder.kinds import a_kind, may_be_missing
from runner.journey.builder.notes import fields_of, items_of, sentence, text_of
from runner.journey.duration import Duration
from runner.journey.expression import Expression, Scope, turn_problem
from runner.journey.expression.names import RUN_FIELDS
from runner.journey.model import (
    Leave,
    Option,
    SavedAs,
    UpToDate,
    Verb,
    WaitAny,
    WaitCollect,
    WaitEvent,
    WaitFor,
    WaitUntil,
    WaitWhen,
)
from runner.journey.values import BOOLEAN, Kind, ValueType
from runner.journey.yaml import Fields, Scalar, Value

if TYPE_CHECKING:
    from runner.journey.builder.steps import StepBuilder

TIMEOUT = "timeout"
NEWEST = 50
"""How many events a digest keeps unless it says."""


def wait(build: StepBuilder, value: Value, step_id: str | None) -> Verb | None:
    options = fields_of(value)
    if options is None:
        duration = build.notes.duration(value)
        return WaitFor(duration=duration) if duration else None
    if "until" in options:
        return _until(build, options, step_id)
    for key, form in _FORMS.items():
        if key in options:
            return form(build, options)
    return _for(build, options)


def saved_values(value: Value | None, scope: Scope) -> Iterator[tuple[str, ValueType | None]]:
    """Name and type of what a wait saves; the type is None where nobody knows the event."""
    wait = fields_of(value)
    waits = [wait, *map(fields_of, items_of(wait.get("any")))] if wait else []
    for options in waits:
        name = text_of(options.get("save_as")) if options else None
        if options is None or name is None:
            continue
        collected = text_of(options.get("collect"))
        event = collected or text_of(options.get("event"))
        properties = scope.event_properties(event) if event else None
        saved = ValueType(Kind.OBJECT, fields=dict(properties)) if properties is not None else None
        yield name, ValueType(Kind.LIST, items=saved) if saved and collected else saved


def _for(build: StepBuilder, options: Fields) -> WaitFor | None:
    local = build.local_times(options)
    # `{for: 0m, at: "10:00"}` is the next ten o'clock.
    duration = build.notes.duration(options.get("for"), zero=local is not None)
    return WaitFor(duration=duration, local=local) if duration else None


def _until(build: StepBuilder, options: Fields, step_id: str | None) -> WaitUntil | None:
    until = options.get("until")
    date = _date(build, until)
    offset = build.notes.duration(options.get("offset"), negative=True, zero=True)
    local = build.local_times(options)
    if_past = build.leave(options.get("if_past"), step_id)
    if_missing = build.leave(options.get("if_missing"), step_id)
    if until is None or date is None:
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


def _date(build: StepBuilder, value: Value | None) -> Expression | None:
    date = build.notes.expression(value, build.scope)
    if value is None or date is None:
        return None
    if date.type.kind not in (Kind.DATE, Kind.DATETIME):
        message = f"`until` must be a date, not {a_kind(date.type)}."
        build.notes.note("wait/no-date", message, value.span)
        return None
    return date


def _up_to(build: StepBuilder, options: Fields) -> Duration | UpToDate | None:
    """How long a wait lasts at most."""
    value = options.get("up_to")
    until = fields_of(value)
    if until is None:
        return build.notes.duration(value)
    date = _date(build, until.get("until"))
    offset = build.notes.duration(until.get("offset"), negative=True, zero=True)
    return UpToDate(date=date, offset=offset or Duration()) if date else None


def _event(build: StepBuilder, options: Fields) -> WaitEvent | None:
    event, where = build.event_and_where(options)
    up_to, save_as = _up_to(build, options), _save_as(build, options)
    then, timeout = build.steps(options.get("then")), build.steps(options.get(TIMEOUT))
    if event is None or up_to is None:
        return None
    return WaitEvent(
        event=event,
        where=where,
        up_to=up_to,
        since_entry=_since_entry(options),
        save_as=save_as,
        then=then,
        timeout=timeout,
    )


def _when(build: StepBuilder, options: Fields) -> WaitWhen | None:
    when, up_to = _condition(build, options), _up_to(build, options)
    then, timeout = build.steps(options.get("then")), build.steps(options.get(TIMEOUT))
    if when is None or up_to is None:
        return None
    return WaitWhen(when=when, up_to=up_to, then=then, timeout=timeout)


def _any(build: StepBuilder, options: Fields) -> WaitAny | None:
    items = [fields for item in items_of(options.get("any")) if (fields := fields_of(item))]
    made = [option for fields in items if (option := _option(build, fields))]
    up_to, timeout = _up_to(build, options), build.steps(options.get(TIMEOUT))
    seen: set[str] = {TIMEOUT}
    for fields in items:
        name = _option_name(fields)
        if name in seen:
            named = fields.get("name")
            span = named.span if named else fields.span
            message = f"Another outcome of this wait is `{name}` already."
            build.notes.note("wait/outcome", message, span, "Give each a `name` of its own.")
        seen.add(name)
    if up_to is None or not items or len(made) < len(items):
        return None
    return WaitAny(options=tuple(made), up_to=up_to, timeout=timeout)


def _option_name(fields: Fields) -> str:
    return text_of(fields.get("name")) or text_of(fields.get("event")) or "when"


def _option(build: StepBuilder, fields: Fields) -> Option | None:
    event, where = build.event_and_where(fields)
    when = _condition(build, fields)
    save_as = _save_as(build, fields)
    then = build.steps(fields.get("then"))
    if event is None and when is None:
        return None
    return Option(
        name=_option_name(fields),
        event=event,
        where=where,
        since_entry=_since_entry(fields),
        save_as=save_as,
        when=when,
        then=then,
    )


def _collect(build: StepBuilder, options: Fields) -> WaitCollect | None:
    event, where = build.event_and_where(options, "collect")
    local = build.local_times(options)
    duration = build.notes.duration(options.get("for"), zero=local is not None)
    save_as = _save_as(build, options)
    if_empty = build.steps(options.get("if_empty"))
    most = options.get("max")
    number = most.value if isinstance(most, Scalar) and isinstance(most.value, int) else NEWEST
    if event is None or duration is None or save_as is None:
        return None
    return WaitCollect(
        event=event,
        where=where,
        duration=duration,
        local=local,
        save_as=save_as,
        since_entry=_since_entry(options),
        most=number,
        if_empty=if_empty,
    )


_FORMS = {"event": _event, "when": _when, "any": _any, "collect": _collect}


def _since_entry(options: Fields) -> bool:
    return text_of(options.get("since")) == "entry"


def _condition(build: StepBuilder, options: Fields) -> Expression | None:
    value = options.get("when")
    when = build.notes.expression(value, build.scope, expect=BOOLEAN)
    if value is not None and when is not None and (problem := turn_problem(when)) is not None:
        hint = "Nobody could tell when it becomes true."
        build.notes.note("wait/no-turn", sentence(problem), value.span, hint)
    return when


def _save_as(build: StepBuilder, options: Fields) -> SavedAs | None:
    value = options.get("save_as")
    found = next(saved_values(options, build.scope), None)
    if value is None or found is None:
        return None
    name, type = found
    if name in RUN_FIELDS:
        build.notes.note("wait/save-as", f"`run.{name}` is the engine's own.", value.span)
    elif type is not None and build.scope.run_values.get(name, type) != type:
        message = f"Another step writes something else to `run.{name}`."
        build.notes.note("wait/save-as", message, value.span, "Give it a name of its own.")
    return SavedAs(name=name, type=type) if type is not None else None

"""The links of a journey, by which readers steer their runs."""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.builder.kinds import WRITABLE
from runner.journey.builder.notes import fields_of, items_of, text_of
from runner.journey.builder.steps import StepBuilder
from runner.journey.builder.verbs import acts, flow
from runner.journey.duration import parse_duration
from runner.journey.model.links import Ask, Asked, Link, LinkAction, Snooze
from runner.journey.values import Kind, ValueType
from runner.journey.words import listed
from runner.journey.yaml import Field, Fields, Value


def build_links(build: StepBuilder, value: Value | None) -> tuple[Link, ...]:
    """The links by which readers steer."""
    fields = fields_of(value)
    return tuple(link for field in (fields.fields if fields else ()) if (link := _link(build, field)))


def asked_values(value: Value | None) -> Iterator[tuple[str, ValueType]]:
    """Name and type of the values that readers may give."""
    fields = fields_of(value)
    for field in fields.fields if fields else ():
        options = fields_of(field.value)
        asked = fields_of(options.get("ask")) if options else None
        for each in asked.fields if asked else ():
            type = _type(each)
            if type is not None:
                yield each.key.removeprefix("run."), type


def _type(field: Field) -> ValueType | None:
    options = fields_of(field.value)
    name = text_of(options.get("type") if options else field.value)
    return ValueType(Kind(name)) if name in {kind.value for kind in WRITABLE} else None


def _link(build: StepBuilder, field: Field) -> Link | None:
    options = fields_of(field.value)
    if options is None:
        return None
    expires = build.notes.duration(options.get("expires"))
    action = _action(build, options)
    if action is None:
        return None
    made = Link(name=field.key, action=action)
    return Link(name=field.key, action=action, expires=expires) if expires else made


def _action(build: StepBuilder, options: Fields) -> LinkAction | None:
    for key, make in (("consent", acts.consent), ("emit", acts.emit), ("exit", flow.exit)):
        value = options.get(key)
        if value is not None:
            return make(build, value, None)
    asked = fields_of(options.get("ask"))
    if asked is None:
        return _snooze(build, options.get("snooze"))
    values = tuple(made for each in asked.fields if (made := _asked(build, each)))
    if "snooze" not in options:
        return Ask(values=values) if values else None
    until = _until(build, options.get("snooze"), values)
    return Ask(values=values, until=until) if until else None


def _until(build: StepBuilder, value: Value | None, values: tuple[Asked, ...]) -> Asked | None:
    """The value that is asked for, of that name, if it is a date."""
    name = (text_of(value) or "").removeprefix("run.")
    for asked in values:
        if asked.name == name and asked.type.kind is Kind.DATE:
            return asked
    if value is not None:
        dates = [f"run.{asked.name}" for asked in values if asked.type.kind is Kind.DATE]
        message = f"`{text_of(value)}` is no date that this link asks for."
        hint = (
            f"Write {listed(dates, 'or')}."
            if dates
            else "Ask for one: ask: {run.day: {type: date, min: = today}}."
        )
        build.notes.note("links/snooze", message, value.span, hint)
    return None


def _snooze(build: StepBuilder, value: Value | None) -> Snooze | None:
    made = []
    for item in items_of(value) or ((value,) if value is not None else ()):
        duration, text = build.notes.duration(item), text_of(item)
        if duration is not None and text is not None and parse_duration(text):
            made.append((text, duration))
    return Snooze(options=tuple(made)) if made else None


def _asked(build: StepBuilder, field: Field) -> Asked | None:
    name, type = field.key.removeprefix("run."), _type(field)
    if type is None:
        return None
    options = fields_of(field.value)
    bounds = {}
    for key in ("min", "max"):
        value = options.get(key) if options else None
        bounds[key] = build.notes.assigned(value, build.scope, type) if value is not None else None
    if any(bounds.values()) and type.kind in (Kind.BOOLEAN, Kind.STRING):
        message = "Only numbers and dates have bounds."
        build.notes.note("links/bounds", message, field.key_span)
        return None
    return Asked(name=name, type=type, least=bounds["min"], most=bounds["max"])

"""Steps by which a run acts beyond itself: events, other journeys, consents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from runner.journey.builder.kinds import WRITABLE, a_kind, literal_type
from runner.journey.builder.notes import fields_of, is_assigned_expression, text_of
from runner.journey.expression import Expression
from runner.journey.model import ChangeConsent, Emit, Enroll
from runner.journey.values import ValueType
from runner.journey.words import known
from runner.journey.yaml import Field, Scalar, Value

if TYPE_CHECKING:
    from runner.journey.builder.steps import StepBuilder


def emit(build: StepBuilder, value: Value, _: str | None) -> Emit | None:
    options = fields_of(value)
    event_value = options.get("event") if options else value
    event = text_of(event_value)
    if event_value is None or event is None:
        return None
    declared = build.scope.catalog.events.get(event)
    if declared is None and build.scope.event_properties(event) is not None:
        message = f"`{event}` is a reserved event; a step cannot record it."
        build.notes.note("emit/reserved", message, event_value.span)
        return None
    if declared is None:
        build.notes.unknown("event", event, list(build.scope.catalog.events), event_value.span)
        return None
    given = fields_of(options.get("properties")) if options else None
    fields = given.fields if given else ()
    return Emit(event=event, properties=tuple(_typed(build, event, declared.properties, fields)))


def _typed(
    build: StepBuilder, event: str, types: Mapping[str, ValueType], fields: tuple[Field, ...]
) -> Iterator[tuple[str, Expression]]:
    for field in fields:
        type = types.get(field.key)
        if type is None:
            hint = known("property", list(types), field.key) if types else "It has no properties."
            message = f"`{event}` has no property `{field.key}`."
            build.notes.note("emit/property", message, field.key_span, hint)
            continue
        written = build.notes.assigned(field.value, build.scope, type)
        if written is not None:
            yield field.key, written


def enroll(build: StepBuilder, value: Value, _: str | None) -> Enroll | None:
    """Whether there is such a journey, and what it takes, is not known here: a rule over the project asks."""
    options = fields_of(value)
    journey = text_of(options.get("journey") if options else value)
    if journey is None:
        return None
    given = fields_of(options.get("properties")) if options else None
    fields = given.fields if given else ()
    return Enroll(journey=journey, properties=tuple(_untyped(build, fields)))


def _untyped(build: StepBuilder, fields: tuple[Field, ...]) -> Iterator[tuple[str, Expression]]:
    for field in fields:
        if is_assigned_expression(field.value):
            written = build.notes.expression(field.value, build.scope)
            if written is not None and written.type.kind not in WRITABLE:
                message = f"`{field.key}` is {a_kind(written.type)}; only single values are handed on."
                build.notes.note("enroll/list", message, field.value.span)
                continue
        else:
            type = literal_type(field.value) if isinstance(field.value, Scalar) else None
            written = build.notes.assigned(field.value, build.scope, type) if type else None
        if written is not None:
            yield field.key, written


def consent(build: StepBuilder, value: Value, _: str | None) -> ChangeConsent | None:
    options = fields_of(value)
    if options is None:
        return None
    given = "give" in options
    topic_value, channel_value = options.get("give" if given else "withdraw"), options.get("channel")
    topic, channel = text_of(topic_value), text_of(channel_value)
    catalog = build.scope.catalog
    if channel_value is not None and channel is not None and channel not in catalog.channels:
        build.notes.unknown("channel", channel, list(catalog.channels), channel_value.span)
    if topic_value is None or topic is None:
        return None
    declared = catalog.topics.get(topic)
    if declared is None:
        build.notes.unknown("topic", topic, list(catalog.topics), topic_value.span)
    elif declared.transactional:
        message = f"`{topic}` needs no consent: it is transactional."
        build.notes.note("consent/transactional", message, topic_value.span)
    return ChangeConsent(topic=topic, given=given, channel=channel)

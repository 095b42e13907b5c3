"""Sends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from runner.journey.builder.notes import fields_of, text_of
from runner.journey.model import Send
from runner.journey.yaml import Value

if TYPE_CHECKING:
    from runner.journey.builder.steps import StepBuilder


def send(build: StepBuilder, value: Value, step_id: str | None) -> Send | None:
    options = fields_of(value)
    channel_value = options.get("channel") if options else value
    channel = text_of(channel_value)
    if channel_value is None or channel is None:
        return None
    if channel not in build.scope.catalog.channels:
        build.notes.unknown("channel", channel, list(build.scope.catalog.channels), channel_value.span)
    valid_for = build.notes.duration(options.get("valid_for")) if options else None
    template = text_of(options.get("template")) if options else None
    topic_value = options.get("topic") if options else None
    topic = text_of(topic_value)
    if topic_value is not None and topic is not None and topic not in build.scope.catalog.topics:
        build.notes.unknown("topic", topic, list(build.scope.catalog.topics), topic_value.span)
    if topic_value is None and not build.topic_said:
        build.notes.note(
            "send/no-topic",
            "This message belongs to no topic, so nobody can consent to it.",
            channel_value.span,
            "Add `topic:` to the journey, or write `send: {channel: …, topic: …}`.",
        )
    topic = topic or build.topic
    if step_id is None or topic is None:
        return None
    made = Send(channel=channel, template=template or step_id, topic=topic)
    return replace(made, valid_for=valid_for) if valid_for else made

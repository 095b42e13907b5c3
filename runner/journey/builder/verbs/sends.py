"""Sends: what leaves, when it may, and what becomes of the run where it may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.journey.builder.kinds import a_kind, days_of, parse_time
from runner.journey.builder.notes import fields_of, items_of, text_of
from runner.journey.catalog import OnUnknown
from runner.journey.duration import DAY, Duration
from runner.journey.expression import Expression
from runner.journey.model import BestHour, Cells, Rate, Send, Window
from runner.journey.policies import TRANSACTIONAL
from runner.journey.values import BOOLEAN, Kind
from runner.journey.words import did_you_mean
from runner.journey.yaml import Fields, Scalar, Value

if TYPE_CHECKING:
    from runner.journey.builder.steps import StepBuilder

_NAMES = (Kind.STRING, Kind.NUMBER, Kind.BOOLEAN, Kind.DATE)
"""What may tell cells apart."""


def send(build: StepBuilder, value: Value, step_id: str | None) -> Send | None:
    options = fields_of(value)
    channel_value = options.get("channel") if options else value
    channel = text_of(channel_value)
    if channel_value is None or channel is None:
        return None
    if channel not in build.scope.catalog.channels:
        build.notes.unknown("channel", channel, list(build.scope.catalog.channels), channel_value.span)
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
    if options is None:
        return Send(channel=channel, template=step_id, topic=topic) if step_id and topic else None
    cells = _cells(build, fields_of(options.get("template")))
    made = {
        "valid_for": build.notes.duration(options.get("valid_for")) or Duration(days=1),
        "window": _window(build, fields_of(options.get("window"))),
        "only_if": build.notes.expression(options.get("only_if"), build.scope, expect=BOOLEAN),
        "rate": _rate(build, fields_of(options.get("rate"))),
        "per_address": _count(options.get("per_address")),
        "priority": _priority(build, options.get("priority")),
        "if_blocked": build.steps(options.get("if_blocked")),
        "ignore_quiet_hours": _true(options.get("ignore_quiet_hours")),
        "on_unknown": _on_unknown(options.get("on_unknown")),
    }
    if topic is not None:
        _for_transactional_alone(build, options, topic)
    if step_id is None or topic is None:
        return None
    template = text_of(options.get("template")) or (cells.empty if cells else None) or step_id
    return Send(channel=channel, template=template, topic=topic, cells=cells, **made)  # type: ignore[arg-type]


def _window(build: StepBuilder, options: Fields | None) -> Window | BestHour | None:
    if options is None:
        return None
    if "best" in options:
        within = build.notes.duration(options.get("best"))
        fallback = parse_time(text_of(options.get("fallback")) or "")
        if within is not None and within.elapsed > DAY:
            message = "The best hour comes once a day; no window need be longer."
            build.notes.note("send/best-hour", message, options.key_span("best"), "Write `best: 24h`.")
        return BestHour(within=within, fallback=fallback) if within and fallback else None
    begins, ends = (
        parse_time(text_of(options.get("from")) or ""),
        parse_time(text_of(options.get("to")) or ""),
    )
    if begins is None or ends is None:
        return None
    if begins == ends:
        message = "A window that ends when it begins is none."
        build.notes.note("send/window", message, options.key_span("to"))
        return None
    return Window(begins=begins, ends=ends, days=days_of(options.get("days")))


def _rate(build: StepBuilder, options: Fields | None) -> Rate | None:
    most = options.get("max") if options else None
    per = build.notes.duration(options.get("per")) if options else None
    number = most.value if isinstance(most, Scalar) else None
    if not isinstance(number, int) or isinstance(number, bool) or number < 1 or per is None:
        return None
    return Rate(most=number, per=per)


def _count(value: Value | None) -> int | None:
    number = value.value if isinstance(value, Scalar) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else None


def _cells(build: StepBuilder, options: Fields | None) -> Cells | None:
    folder = text_of(options.get("from")) if options else None
    if options is None or folder is None:
        return None
    by: list[Expression] = []
    for item in items_of(options.get("by")):
        made = build.notes.expression(item, build.scope)
        if made is None:
            return None
        if made.type.kind not in _NAMES:
            message = f"Cells are told apart by single values, not by {a_kind(made.type)}."
            build.notes.note("send/cells", message, item.span)
            return None
        by.append(made)
    empty = text_of(options.get("empty"))
    return Cells(by=tuple(by), folder=folder, empty=None if empty == "skip" else empty) if by else None


def _priority(build: StepBuilder, value: Value | None) -> str | None:
    """A place in the order of the catalog: that of a topic, or of the transactional ones."""
    name = text_of(value)
    order = build.scope.catalog.policies.priority
    if value is None or name is None:
        return None
    if name not in order:
        message = f'The catalog gives "{name}" no place in `policies.priority`.'
        hint = did_you_mean(name, order) or "Add it there, or write one of its names."
        build.notes.note("send/priority", message, value.span, hint)
        return None
    return name


def _true(value: Value | None) -> bool:
    return isinstance(value, Scalar) and value.value is True


def _on_unknown(value: Value | None) -> OnUnknown | None:
    text = text_of(value)
    return OnUnknown(text) if text in set(OnUnknown) else None


def _for_transactional_alone(build: StepBuilder, options: Fields, topic: str) -> None:
    declared = build.scope.catalog.topics.get(topic)
    if declared is None or declared.transactional:
        return
    for key in ("ignore_quiet_hours", "on_unknown"):
        if key in options:
            build.notes.note(
                "send/transactional",
                f"`{key}` is for {TRANSACTIONAL} messages; `{topic}` needs consent.",
                options.key_span(key),
                "Send it to a topic with `opt_in: none`, or leave this out.",
            )

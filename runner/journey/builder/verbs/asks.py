"""Steps by which a run asks others: a pool of values, another system, a person, an advertising network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from runner.journey.builder.kinds import literal_type
from runner.journey.builder.notes import fields_of, is_assigned_expression, text_of
from runner.journey.expression import Expression
from runner.journey.model import AdAudience, Call, Draw, HandOff, SavedAs
from runner.journey.model.acts import JsonList, JsonObject, JsonValue
from runner.journey.values import NONE, STRING, Kind, ValueType
from runner.journey.words import did_you_mean, listed
from runner.journey.yaml import Fields, Items, Scalar, Value

if TYPE_CHECKING:
    from runner.journey.builder.steps import StepBuilder

CRM, AUDIENCES = "crm", "audiences"
"""The channels of tasks and of external audiences, unless the step names another."""
_URL = re.compile(r"https?://[^\s/?#]+\S*")


def draw(build: StepBuilder, value: Value, _: str | None) -> Draw | None:
    options = fields_of(value)
    pool_value = options.get("pool") if options else value
    pool = text_of(pool_value)
    if_empty = build.steps(options.get("if_empty")) if options else ()
    if pool_value is None or pool is None:
        return None
    pools = build.scope.catalog.pools
    if pool not in pools:
        build.notes.unknown("pool", pool, list(pools), pool_value.span)
        return None
    saved = text_of(options.get("save_as")) if options else None
    return Draw(pool=pool, save_as=saved or pool, if_empty=if_empty)


def call(build: StepBuilder, value: Value, _: str | None) -> Call | None:
    options = fields_of(value)
    url_value = options.get("url") if options else value
    on_error = build.steps(options.get("on_error")) if options else ()
    if text_of(url_value) is None or url_value is None:
        return None
    url = build.notes.assigned(url_value, build.scope, STRING)
    if not is_assigned_expression(url_value) and not _URL.fullmatch(text_of(url_value) or ""):
        build.notes.note("call/url", "This is no URL.", url_value.span, "Write https://host/path.")
    plain = Call(url=url, method="GET") if url is not None else None
    if options is None:
        return plain
    timeout = build.notes.duration(options.get("timeout"))
    up_to = build.notes.duration(options.get("up_to"))
    retry, json_value = options.get("retry"), options.get("json")
    json = _json(build, json_value) if json_value is not None else None
    headers, answer = tuple(_headers(build, options)), _answer(build, options)
    if plain is None or url is None:
        return None
    return Call(
        url=url,
        method=text_of(options.get("method")) or ("GET" if json_value is None else "POST"),
        json=json,
        headers=headers,
        timeout=timeout or plain.timeout,
        retry=retry.value if isinstance(retry, Scalar) and type(retry.value) is int else plain.retry,
        up_to=up_to or plain.up_to,
        answer=answer,
        on_error=on_error,
    )


def _json(build: StepBuilder, value: Value) -> JsonValue | None:
    if isinstance(value, Fields):
        members = ((each.key, _json(build, each.value)) for each in value.fields)
        return JsonObject(tuple((key, made) for key, made in members if made is not None))
    if isinstance(value, Items):
        return JsonList(tuple(made for item in value.items if (made := _json(build, item)) is not None))
    if not isinstance(value, Scalar):
        return None
    if is_assigned_expression(value):
        return build.notes.expression(value, build.scope)
    return build.notes.literal(value, literal_type(value) or NONE)


def _headers(build: StepBuilder, options: Fields) -> Iterator[tuple[str, Expression]]:
    fields = fields_of(options.get("headers"))
    for field in fields.fields if fields else ():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", field.key):
            build.notes.note("call/header", f'"{field.key}" is no name of a header.', field.key_span)
            continue
        written = build.notes.assigned(field.value, build.scope, STRING)
        if written is not None:
            yield field.key, written


def saved_by_asking(step: Fields, build: StepBuilder) -> Iterator[tuple[str, ValueType]]:
    """Name and type of what a ``draw`` or a ``call`` writes to the run."""
    from runner.journey.builder.catalog import property_types

    drawn = step.get("draw")
    options = fields_of(drawn)
    name = text_of(options.get("save_as") or options.get("pool")) if options else text_of(drawn)
    if name is not None:
        yield name, STRING
    called = fields_of(step.get("call"))
    name = text_of(called.get("save_as")) if called else None
    if called is not None and name is not None:
        declared = fields_of(called.get("answer"))
        yield name, ValueType(Kind.OBJECT, fields=property_types(build.notes, declared) if declared else {})


def _answer(build: StepBuilder, options: Fields) -> SavedAs | None:
    name, declared = text_of(options.get("save_as")), fields_of(options.get("answer"))
    if declared is not None and name is None:
        message = "Nothing keeps this answer."
        build.notes.note("call/answer", message, options.key_span("answer"), "Add `save_as: NAME`.")
    if name is None:
        return None
    type = build.scope.run_values.get(name)
    if type is None or type.kind is not Kind.OBJECT:
        message = f"Another step writes something else to `run.{name}`."
        build.notes.note("call/answer", message, options.key_span("save_as"), "Give it a name of its own.")
        return None
    return SavedAs(name=name, type=type)


def hand_off(build: StepBuilder, value: Value, _: str | None) -> HandOff | None:
    options = fields_of(value)
    if options is None:
        return None
    accepted, rejected, escalate = (
        build.steps(options.get(key)) for key in ("accepted", "rejected", "escalate")
    )
    channel = _channel(build, options, CRM)
    reason_value, hours_value = options.get("reason"), options.get("hours")
    reason = build.notes.assigned(reason_value, build.scope, STRING) if reason_value is not None else None
    hours_name = text_of(hours_value)
    known = build.scope.catalog.hours
    if hours_value is not None and hours_name is not None and hours_name not in known:
        hint = did_you_mean(hours_name, known) or "Declare them under `hours` of the catalog."
        message = f'There are no business hours "{hours_name}".'
        build.notes.note("hours/unknown", message, hours_value.span, hint)
        return None
    to, sla = text_of(options.get("to")), build.notes.duration(options.get("sla"))
    if hours_name is not None and sla is not None and sla.days:
        message = "How long a day is, is not said by business hours."
        build.notes.note("hand-off/sla", message, options.key_span("sla"), "Write the SLA in hours.")
        return None
    if to is None or sla is None:
        return None
    return HandOff(
        to=to,
        sla=sla,
        channel=channel,
        reason=reason,
        hours=known[hours_name] if hours_name is not None else None,
        accepted=accepted,
        rejected=rejected,
        escalate=escalate,
    )


def ad_audience(build: StepBuilder, value: Value, _: str | None) -> AdAudience | None:
    options = fields_of(value)
    if options is None:
        return None
    adds = "add" in options
    name = text_of(options.get("add" if adds else "remove"))
    channel = _channel(build, options, AUDIENCES)
    return AdAudience(audience=name, adds=adds, channel=channel) if name else None


def _channel(build: StepBuilder, options: Fields, usual: str) -> str:
    value = options.get("channel")
    name = text_of(value) or usual
    known = build.scope.catalog.channels
    if name not in known:
        hint = f"Declare it under `channels` (`{name}: {{uses: webhook}}`), or name one with `channel:`"
        there = f": there is {listed(sorted(known), 'and')}." if known else "."
        span = value.span if value is not None else options.span
        build.notes.note("channel/unknown", f"The catalog has no channel `{name}`.", span, hint + there)
    return name

"""The functions and methods of the language."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.journey.duration import parse_duration
from runner.journey.expression import tree
from runner.journey.expression.finding import did_you_mean, listing
from runner.journey.expression.literals import DESCRIPTIONS, stored_date, stored_datetime
from runner.journey.expression.pattern import PatternError, parse_pattern
from runner.journey.expression.tree import Node
from runner.journey.values import DATE, DATETIME, DURATION, Kind

if TYPE_CHECKING:
    from runner.journey.expression.build import Builder

_CENTURY = 36_525 * 86_400_000_000
_DURATION_HINT = (
    'write it like "90s", "15m", "2h", "3d", "1w", "1h30m" or "PT2H"; months and years have no fixed length'
)


@dataclass(frozen=True)
class Function:
    build: Callable[[Builder, ast.Call], Node | None]
    example: str


def build_call(builder: Builder, node: ast.Call) -> Node | None:
    """A call of a function of the language, or of a method of a string."""
    if isinstance(node.func, ast.Name):
        return _function(builder, node, node.func)
    if isinstance(node.func, ast.Attribute):
        return _method(builder, node, node.func)
    builder.report(node, "unsupported-syntax", f"{builder.quoted(node.func)} cannot be called")
    return None


def _function(builder: Builder, node: ast.Call, called: ast.Name) -> Node | None:
    function = FUNCTIONS.get(called.id)
    if function is not None:
        return function.build(builder, node)
    if called.id in ("now", "today", "weekday"):
        builder.report(
            node, "unknown-function", f"`{called.id}` is no function", f"write `{called.id}` without brackets"
        )
        return None
    if called.id in _METHODS:
        hint: str | None = f"it belongs to a string: {_METHODS[called.id].example}"
    else:
        hint = did_you_mean(called.id, [*FUNCTIONS, *_METHODS]) or f"there are: {listing(FUNCTIONS, 20)}"
    builder.report(called, "unknown-function", f"there is no function `{called.id}`", hint)
    return None


def _method(builder: Builder, node: ast.Call, called: ast.Attribute) -> Node | None:
    name = called.attr
    receiver = builder.build(called.value)
    if name not in _METHODS:
        hint = {
            "contains": 'write `"…" in …`',
            "upper": "compare in lower case: `.lower()`",
            "casefold": "write `.lower()`",
            "get": "read it with a dot; what is missing is `None`",
        }.get(name) or did_you_mean(name, _METHODS)
        hint = hint or f"strings have: {listing(_METHODS)}"
        builder.report_end(called, len(name), "unknown-function", f"there is no method `{name}`", hint)
        return None
    if receiver is None:
        return None
    if receiver.type.kind is not Kind.STRING:
        what = DESCRIPTIONS[receiver.type.kind]
        message = f"{builder.quoted(called.value)} is {what}; `{name}` belongs to strings"
        hint = 'write `"…" in …`' if receiver.type.kind is Kind.LIST else None
        builder.report(called.value, "type-mismatch", message, hint)
        return None
    return _METHODS[name].build_on(builder, node, receiver)


# Arguments ----------------------------------------------------------------------------------------------------


def _arguments(
    builder: Builder, node: ast.Call, count: int, keywords: tuple[str, ...] = (), *, example: str
) -> dict[str, ast.expr] | None:
    """The keyword arguments by name, once number and names of all arguments are right."""
    good = True
    if len(node.args) != count or any(isinstance(argument, ast.Starred) for argument in node.args):
        name = builder.quoted(node.func)
        wanted = {0: "no argument", 1: "one argument"}.get(count, f"{count} arguments")
        hint = f"write it like `{example}`"
        builder.report(
            node, "bad-arguments", f"{name} takes {wanted} without a name, and has {len(node.args)}", hint
        )
        good = False
    found: dict[str, ast.expr] = {}
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg not in keywords:
            what = f"`{keyword.arg}=`" if keyword.arg else "`**`"
            hint = (keyword.arg and did_you_mean(keyword.arg, keywords)) or f"write it like `{example}`"
            builder.report(keyword, "bad-arguments", f"{builder.quoted(node.func)} takes no {what}", hint)
            good = False
        else:
            found[keyword.arg] = keyword.value
    return found if good else None


def _text(builder: Builder, node: ast.expr, what: str) -> str | None:
    """The string that is written out at ``node``."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        literal = builder.build(node)
        return node.value if literal is not None else None
    hint = f'put it in quotes: "{node.id}"' if isinstance(node, ast.Name) else None
    builder.report(node, "bad-arguments", f"{what} must be written out as a string", hint)
    return None


def _duration(builder: Builder, node: ast.expr) -> int | None:
    """Microseconds, a day counted as 24 hours."""
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, (int, float))
        and not isinstance(node.value, bool)
    ):
        hint = f'a length of time has a unit: "{node.value}d"'
        builder.report(node, "bad-duration", f"`{node.value}` is no length of time", hint)
        return None
    text = _text(builder, node, "a length of time")
    if text is None:
        return None
    duration = parse_duration(text)
    if duration is None:
        builder.report(node, "bad-duration", f'"{text}" is no length of time', _DURATION_HINT)
        return None
    if abs(duration.elapsed) > _CENTURY:
        builder.report(node, "bad-duration", f'"{text}" is longer than a century')
        return None
    return duration.elapsed


# History ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Looked:
    event: str
    within: int | None
    where: Node | None


def _looked(builder: Builder, node: ast.Call, count: int, example: str) -> _Looked | None:
    """What every history function says: which events, how far back, and which of them."""
    keywords = _arguments(builder, node, count, ("within", "where"), example=example)
    if keywords is None:
        return None
    within: int | None = None
    where: Node | None = None
    good = True
    if "within" in keywords:
        within = _duration(builder, keywords["within"])
        if within is not None and within <= 0:
            builder.report(
                keywords["within"], "bad-duration", "`within` looks back, so it must be longer than nothing"
            )
            within = None
        good = within is not None
    event = _event(builder, node.args[0])
    if "where" in keywords and event is not None:
        properties = builder.scope.event_properties(event) or {}
        where = builder.about_event(properties).condition(keywords["where"])
        good = good and where is not None
    if event is None or not good:
        return None
    return _Looked(event, within, where)


def _event(builder: Builder, node: ast.expr) -> str | None:
    name = _text(builder, node, "the name of an event")
    if name is None:
        return None
    if builder.scope.event_properties(name) is None:
        known = builder.scope.event_names()
        hint = did_you_mean(name, known) or (
            f"events: {listing(known)}" if known else "declare it in the catalog"
        )
        builder.report(node, "unknown-event", f'the catalog has no event "{name}"', hint)
        return None
    return name


def _did(builder: Builder, node: ast.Call) -> Node | None:
    looked = _looked(builder, node, 1, FUNCTIONS["did"].example)
    if looked is None:
        return None
    return tree.Did(event=looked.event, within=looked.within, where=looked.where)


def _count(builder: Builder, node: ast.Call) -> Node | None:
    looked = _looked(builder, node, 1, FUNCTIONS["count"].example)
    if looked is None:
        return None
    return tree.Count(event=looked.event, within=looked.within, where=looked.where)


def _days_since(builder: Builder, node: ast.Call) -> Node | None:
    looked = _looked(builder, node, 1, FUNCTIONS["days_since"].example)
    if looked is None:
        return None
    return tree.DaysSince(event=looked.event, within=looked.within, where=looked.where)


def _total(builder: Builder, node: ast.Call) -> Node | None:
    looked = _looked(builder, node, 2, FUNCTIONS["total"].example)
    if looked is None:
        return None
    name = _text(builder, node.args[1], "the name of a property")
    if name is None:
        return None
    properties = builder.scope.event_properties(looked.event) or {}
    type = properties.get(name)
    if type is None or type.kind is not Kind.NUMBER:
        numbers = [key for key, value in properties.items() if value.kind is Kind.NUMBER]
        message = f'"{looked.event}" has no property "{name}"'
        if type is not None:
            message = f'"{name}" of "{looked.event}" is {DESCRIPTIONS[type.kind]}; only numbers have a total'
        hint = did_you_mean(name, numbers) or (f"its numbers: {listing(numbers)}" if numbers else None)
        builder.report(node.args[1], "unknown-property", message, hint)
        return None
    return tree.Total(event=looked.event, within=looked.within, where=looked.where, path=(name,))


def build_last(builder: Builder, node: ast.Call, parts: list[tuple[str, ast.expr]]) -> Node | None:
    """``last("X").property``, with further properties of objects and lists."""
    looked = _looked(builder, node, 1, FUNCTIONS["last"].example)
    if looked is None:
        return None
    properties = builder.scope.event_properties(looked.event) or {}
    name, place = parts[0]
    type = properties.get(name)
    if type is None:
        hint = did_you_mean(name, properties) or (f"known: {listing(properties)}" if properties else None)
        builder.report_end(
            place, len(name), "unknown-property", f'"{looked.event}" has no property `{name}`', hint
        )
        return None
    found = builder.follow(type, parts[1:], name)
    if found is None:
        return None
    path, inside, type = found
    return tree.Last(
        event=looked.event,
        within=looked.within,
        where=looked.where,
        path=(name, *path),
        inside=inside,
        type=type,
    )


def _last_alone(builder: Builder, node: ast.Call) -> Node | None:
    if _looked(builder, node, 1, FUNCTIONS["last"].example) is not None:
        hint = f"read one of its properties: `{FUNCTIONS['last'].example}`; whether there is one at all: `did(…)`"
        builder.report(node, "not-a-value", f"{builder.quoted(node)} is an event, not a value", hint)
    return None


# State and time -----------------------------------------------------------------------------------------------


def _sent(builder: Builder, node: ast.Call) -> Node | None:
    if _arguments(builder, node, 1, example=FUNCTIONS["sent"].example) is None:
        return None
    step = _text(builder, node.args[0], "the id of a step")
    if step is None:
        return None
    if builder.scope.trigger is None:
        builder.report(node, "not-here", "no run exists here, so nothing was `sent` by it")
        return None
    if step not in builder.scope.sends:
        known = builder.scope.sends
        hint = did_you_mean(step, sorted(known)) or (f"steps that send: {listing(known)}" if known else None)
        builder.report(node.args[0], "unknown-step", f'no step "{step}" of this journey sends', hint)
        return None
    return tree.Sent(step)


def _in_segment(builder: Builder, node: ast.Call) -> Node | None:
    if _arguments(builder, node, 1, example=FUNCTIONS["in_segment"].example) is None:
        return None
    name = _text(builder, node.args[0], "the name of a segment")
    if name is None:
        return None
    segment = builder.scope.catalog.segments.get(name)
    if segment is None:
        known = builder.scope.catalog.segments
        hint = did_you_mean(name, known) or (
            f"segments: {listing(known)}" if known else "declare it in the catalog"
        )
        builder.report(node.args[0], "unknown-segment", f'the catalog has no segment "{name}"', hint)
        return None
    return tree.InSegment(name, segment.when.tree)


def _consented(builder: Builder, node: ast.Call) -> Node | None:
    if _arguments(builder, node, 2, example=FUNCTIONS["consented"].example) is None:
        return None
    topic = _text(builder, node.args[0], "the name of a topic")
    channel = _text(builder, node.args[1], "the name of a channel")
    if topic is None or channel is None:
        return None
    catalog = builder.scope.catalog
    good = True
    for name, place, known, what in (
        (topic, node.args[0], list(catalog.topics), "topic"),
        (channel, node.args[1], list(catalog.channels), "channel"),
    ):
        if name not in known:
            hint = did_you_mean(name, known) or (
                f"known: {listing(known)}" if known else "declare it in the catalog"
            )
            builder.report(place, f"unknown-{what}", f'the catalog has no {what} "{name}"', hint)
            good = False
    return tree.Consented(topic, channel) if good else None


def _days(builder: Builder, node: ast.Call) -> Node | None:
    if _arguments(builder, node, 1, example=FUNCTIONS["days"].example) is None:
        return None
    elapsed = _duration(builder, node.args[0])
    return None if elapsed is None else tree.Literal(elapsed, DURATION)


def _date(builder: Builder, node: ast.Call) -> Node | None:
    if _arguments(builder, node, 1, example=FUNCTIONS["date"].example) is None:
        return None
    text = _text(builder, node.args[0], "a date")
    if text is None:
        return None
    stored = stored_date(text)
    if stored is None:
        builder.report(node.args[0], "bad-literal", f'"{text}" is no date', 'write it like "2026-03-01"')
        return None
    return tree.Literal(stored, DATE)


def _datetime(builder: Builder, node: ast.Call) -> Node | None:
    if _arguments(builder, node, 1, example=FUNCTIONS["datetime"].example) is None:
        return None
    text = _text(builder, node.args[0], "a date with time")
    if text is None:
        return None
    stored = stored_datetime(text)
    if stored is None:
        hint = 'write it with its offset, like "2026-03-01T10:00:00+04:00"'
        builder.report(node.args[0], "bad-literal", f'"{text}" is no date with time and offset', hint)
        return None
    return tree.Literal(stored, DATETIME)


FUNCTIONS: dict[str, Function] = {
    "did": Function(_did, 'did("Order Completed", within="30d", where=event.revenue > 50)'),
    "count": Function(_count, 'count("Order Completed", within="30d")'),
    "total": Function(_total, 'total("Order Completed", "revenue", within="365d")'),
    "last": Function(_last_alone, 'last("Order Completed").revenue'),
    "days_since": Function(_days_since, 'days_since("Order Completed")'),
    "sent": Function(_sent, 'sent("remind")'),
    "in_segment": Function(_in_segment, 'in_segment("vip")'),
    "consented": Function(_consented, 'consented("offers", "email")'),
    "days": Function(_days, 'days("14d")'),
    "date": Function(_date, 'date("2026-03-01")'),
    "datetime": Function(_datetime, 'datetime("2026-03-01T10:00:00+04:00")'),
}


# Methods ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Method:
    build_on: Callable[[Builder, ast.Call, Any], Node | None]
    example: str


def _lower(builder: Builder, node: ast.Call, receiver: Node) -> Node | None:
    if _arguments(builder, node, 0, example=_METHODS["lower"].example) is None:
        return None
    return tree.Lower(receiver)


def _affix(builder: Builder, node: ast.Call, receiver: Node) -> Node | None:
    assert isinstance(node.func, ast.Attribute)
    operator = node.func.attr
    if _arguments(builder, node, 1, example=_METHODS[operator].example) is None:
        return None
    affix = builder.build(node.args[0])
    if affix is None:
        return None
    if affix.type.kind is not Kind.STRING:
        what = DESCRIPTIONS[affix.type.kind]
        builder.report(node.args[0], "type-mismatch", f"`{operator}` wants a string; this is {what}")
        return None
    return tree.TextTest(operator, receiver, affix)


def _matches(builder: Builder, node: ast.Call, receiver: Node) -> Node | None:
    if _arguments(builder, node, 1, example=_METHODS["matches"].example) is None:
        return None
    text = _text(builder, node.args[0], "a pattern")
    if text is None:
        return None
    try:
        parse_pattern(text)
    except PatternError as error:
        builder.report(node.args[0], "bad-pattern", str(error), error.hint)
        return None
    return tree.Matches(receiver, text)


_METHODS: dict[str, Method] = {
    "lower": Method(_lower, "contact.locale.lower()"),
    "startswith": Method(_affix, 'contact.locale.startswith("pt")'),
    "endswith": Method(_affix, 'contact.email.endswith("@shop.example")'),
    "matches": Method(_matches, 'contact.phone.matches("^[+]995")'),
}

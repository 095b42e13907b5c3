"""The functions and methods of the language."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.journey.expression import history, state, tree
from runner.journey.expression.arguments import check_arguments, written_duration, written_text
from runner.journey.expression.finding import did_you_mean, listing
from runner.journey.expression.literals import DESCRIPTIONS, stored_date, stored_datetime
from runner.journey.expression.pattern import PatternError, parse_pattern
from runner.journey.expression.tree import Node
from runner.journey.values import DATE, DATETIME, DURATION, Kind

if TYPE_CHECKING:
    from runner.journey.expression.build import Builder


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
        hint = did_you_mean(called.id, [*FUNCTIONS, *_METHODS]) or f"there are: {listing(FUNCTIONS, 30)}"
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


# Time ---------------------------------------------------------------------------------------------------------


def _days(builder: Builder, node: ast.Call) -> Node | None:
    if check_arguments(builder, node, 1, example=FUNCTIONS["days"].example) is None:
        return None
    elapsed = written_duration(builder, node.args[0])
    return None if elapsed is None else tree.Literal(elapsed, DURATION)


def _date(builder: Builder, node: ast.Call) -> Node | None:
    if check_arguments(builder, node, 1, example=FUNCTIONS["date"].example) is None:
        return None
    written = written_text(builder, node.args[0], "a date")
    if written is None:
        return None
    stored = stored_date(written)
    if stored is None:
        builder.report(node.args[0], "bad-literal", f'"{written}" is no date', 'write it like "2026-03-01"')
        return None
    return tree.Literal(stored, DATE)


def _datetime(builder: Builder, node: ast.Call) -> Node | None:
    if check_arguments(builder, node, 1, example=FUNCTIONS["datetime"].example) is None:
        return None
    written = written_text(builder, node.args[0], "a date with time")
    if written is None:
        return None
    stored = stored_datetime(written)
    if stored is None:
        hint = 'write it with its offset, like "2026-03-01T10:00:00+04:00"'
        builder.report(node.args[0], "bad-literal", f'"{written}" is no date with time and offset', hint)
        return None
    return tree.Literal(stored, DATETIME)


FUNCTIONS: dict[str, Function] = {
    "did": Function(history.build_did, history.EXAMPLES["did"]),
    "count": Function(history.build_count, history.EXAMPLES["count"]),
    "total": Function(history.build_total, history.EXAMPLES["total"]),
    "last": Function(history.build_last_alone, history.EXAMPLES["last"]),
    "days_since": Function(history.build_days_since, history.EXAMPLES["days_since"]),
    "people": Function(state.build_people, state.EXAMPLES["people"]),
    "sent": Function(state.build_sent, state.EXAMPLES["sent"]),
    "opened": Function(state.build_opened, state.EXAMPLES["opened"]),
    "clicked": Function(state.build_clicked, state.EXAMPLES["clicked"]),
    "replied": Function(state.build_replied, state.EXAMPLES["replied"]),
    "in_segment": Function(state.build_in_segment, state.EXAMPLES["in_segment"]),
    "in_journey": Function(state.build_in_journey, state.EXAMPLES["in_journey"]),
    "completed": Function(state.build_completed, state.EXAMPLES["completed"]),
    "consented": Function(state.build_consented, state.EXAMPLES["consented"]),
    "consent_age": Function(state.build_consent_age, state.EXAMPLES["consent_age"]),
    "reachable": Function(state.build_reachable, state.EXAMPLES["reachable"]),
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
    if check_arguments(builder, node, 0, example=_METHODS["lower"].example) is None:
        return None
    return tree.Lower(receiver)


def _affix(builder: Builder, node: ast.Call, receiver: Node) -> Node | None:
    assert isinstance(node.func, ast.Attribute)
    operator = node.func.attr
    if check_arguments(builder, node, 1, example=_METHODS[operator].example) is None:
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
    if check_arguments(builder, node, 1, example=_METHODS["matches"].example) is None:
        return None
    written = written_text(builder, node.args[0], "a pattern")
    if written is None:
        return None
    try:
        parse_pattern(written)
    except PatternError as error:
        builder.report(node.args[0], "bad-pattern", str(error), error.hint)
        return None
    return tree.Matches(receiver, written)


_METHODS: dict[str, Method] = {
    "lower": Method(_lower, "contact.locale.lower()"),
    "startswith": Method(_affix, 'contact.locale.startswith("pt")'),
    "endswith": Method(_affix, 'contact.email.endswith("@shop.example")'),
    "matches": Method(_matches, 'contact.phone.matches("^[+]995")'),
}

"""The functions that look back at a contact's events."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner.journey.catalog import RESERVED_PROPERTIES
from runner.journey.expression import tree
from runner.journey.expression.arguments import check_arguments, written_duration, written_text
from runner.journey.expression.finding import did_you_mean, listing
from runner.journey.expression.literals import DESCRIPTIONS
from runner.journey.expression.paths import Parts, follow
from runner.journey.expression.tree import Node
from runner.journey.values import Kind

if TYPE_CHECKING:
    from runner.journey.expression.build import Builder

EXAMPLES = {
    "did": 'did("Order Completed", within="30d", where=event.revenue > 50)',
    "count": 'count("Order Completed", within="30d")',
    "total": 'total("Order Completed", "revenue", within="365d")',
    "last": 'last("Order Completed").revenue',
    "days_since": 'days_since("Order Completed")',
}


@dataclass(frozen=True)
class _Looked:
    event: str
    within: int | None
    where: Node | None
    by_account: bool


def _looked(builder: Builder, node: ast.Call, count: int, example: str) -> _Looked | None:
    """What every history function says: which events, how far back, and which of them."""
    keywords = check_arguments(builder, node, count, ("within", "where", "by"), example=example)
    if keywords is None:
        return None
    within: int | None = None
    where: Node | None = None
    good = True
    if "within" in keywords:
        within = written_duration(builder, keywords["within"])
        if within is not None and within <= 0:
            builder.report(
                keywords["within"], "bad-duration", "`within` looks back, so it must be longer than nothing"
            )
            within = None
        good = within is not None
    good = ("by" not in keywords or is_by_account(builder, keywords["by"])) and good
    event = _event(builder, node.args[0])
    if "where" in keywords and event is not None:
        properties = builder.scope.event_properties(event) or {}
        where = builder.within(replace(builder.scope, event=properties)).condition(keywords["where"])
        good = good and where is not None
    if event is None or not good:
        return None
    return _Looked(event, within, where, "by" in keywords)


def is_by_account(builder: Builder, node: ast.expr) -> bool:
    """Whether ``by`` says "account", the only thing that it can say; reported where it says something else."""
    by = written_text(builder, node, "what `by` counts by")
    if by is not None and by != "account":
        builder.report(node, "bad-arguments", f'nothing is counted by "{by}"', 'write `by="account"`')
    return by == "account"


def _event(builder: Builder, node: ast.expr) -> str | None:
    name = written_text(builder, node, "the name of an event")
    if name is None:
        return None
    if builder.scope.event_properties(name) is None:
        known = builder.scope.event_names()
        hint = did_you_mean(name, [*known, *RESERVED_PROPERTIES]) or (
            f"events: {listing(known)}" if known else "declare it in the catalog"
        )
        builder.report(node, "unknown-event", f'the catalog has no event "{name}"', hint)
        return None
    return name


def build_did(builder: Builder, node: ast.Call) -> Node | None:
    looked = _looked(builder, node, 1, EXAMPLES["did"])
    if looked is None:
        return None
    return tree.Did(**vars(looked))


def build_count(builder: Builder, node: ast.Call) -> Node | None:
    looked = _looked(builder, node, 1, EXAMPLES["count"])
    if looked is None:
        return None
    return tree.Count(**vars(looked))


def build_days_since(builder: Builder, node: ast.Call) -> Node | None:
    looked = _looked(builder, node, 1, EXAMPLES["days_since"])
    if looked is None:
        return None
    return tree.DaysSince(**vars(looked))


def build_total(builder: Builder, node: ast.Call) -> Node | None:
    looked = _looked(builder, node, 2, EXAMPLES["total"])
    if looked is None:
        return None
    name = written_text(builder, node.args[1], "the name of a property")
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
    return tree.Total(**vars(looked), path=(name,))


def build_last(builder: Builder, node: ast.Call, parts: Parts) -> Node | None:
    """``last("X").property``, with further properties of objects and lists."""
    looked = _looked(builder, node, 1, EXAMPLES["last"])
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
    found = follow(builder, type, parts[1:], name)
    if found is None:
        return None
    path, inside, type = found
    return tree.Last(**vars(looked), path=(name, *path), inside=inside, type=type)


def build_last_alone(builder: Builder, node: ast.Call) -> Node | None:
    if _looked(builder, node, 1, EXAMPLES["last"]) is not None:
        hint = f"read one of its properties: `{EXAMPLES['last']}`; whether there is one at all: `did(…)`"
        builder.report(node, "not-a-value", f"{builder.quoted(node)} is an event, not a value", hint)
    return None

"""The way from a value into it: through objects, and through the members of a list."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from runner.journey.expression.finding import did_you_mean
from runner.journey.expression.literals import DESCRIPTIONS
from runner.journey.values import Kind, ValueType

if TYPE_CHECKING:
    from runner.journey.expression.build import Builder

Parts = list[tuple[str, ast.expr]]
"""The names of a dotted expression, each with the node that ends with it."""
METHODS = ("lower", "startswith", "endswith", "matches")


def follow(
    builder: Builder, type: ValueType, parts: Parts, text: str
) -> tuple[tuple[str, ...], tuple[str, ...], ValueType] | None:
    """Where ``parts`` lead from a value of ``type``: path, path inside the members of a list, type at the end."""
    path: list[str] = []
    inside: list[str] = []
    current, in_list = type, False
    for name, node in parts:
        if current.kind is Kind.LIST and not in_list and current.items and current.items.kind is Kind.OBJECT:
            current, in_list = current.items, True
        if current.kind is not Kind.OBJECT or name not in current.fields:
            hint = did_you_mean(name, current.fields)
            message = f"`{text}` has no property `{name}`"
            if current.kind is not Kind.OBJECT:
                message = f"`{text}` is {DESCRIPTIONS[current.kind]} and has no property `{name}`"
                hint = f"write `.{name}(…)`" if name in METHODS else None
            builder.report_end(node, len(name), "unknown-property", message, hint)
            return None
        (inside if in_list else path).append(name)
        current, text = current.fields[name], f"{text}.{name}"
    if in_list:
        if current.kind in (Kind.LIST, Kind.OBJECT):
            builder.report(parts[-1][1], "unsupported-syntax", f"`{text}` is a list of lists or objects")
            return None
        current = ValueType(Kind.LIST, items=current)
    return tuple(path), tuple(inside), current

"""One text for all spellings of an expression: what version hashes are made from."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from runner.journey.expression import tree
from runner.journey.expression.tree import Node, Stored
from runner.journey.values import MILLIONTHS, Kind


def canonical(node: Node) -> str:
    """The expression as text, independent of formatting and quotes; what it refers to (a list of the catalog, the
    condition of a segment) is written out, so equal texts mean the same as long as types of names stay the same."""
    return _WRITERS[type(node)](node)


def literal_text(value: Stored, kind: Kind) -> str:
    """A literal as an author would write it."""
    if kind is Kind.NUMBER and isinstance(value, int):
        return number_text(value)
    if value is None or isinstance(value, bool):
        return str(value)
    quoted = json.dumps(value, ensure_ascii=False)
    return f"{kind.value}({quoted})" if kind in (Kind.DATE, Kind.DATETIME) else quoted


def number_text(millionths: int) -> str:
    """A number in plain decimal notation without superfluous zeros: ``12.5``, ``-3``."""
    whole, places = divmod(abs(millionths), MILLIONTHS)
    sign = "-" if millionths < 0 else ""
    return f"{sign}{whole}.{places:06}".rstrip("0").rstrip(".")


def _dotted(path: tuple[str, ...]) -> str:
    return "".join(f".{part}" if part.isidentifier() else f"[{json.dumps(part)}]" for part in path)


def _members(node: tree.Members) -> str:
    assert node.type.items is not None
    kind = node.type.items.kind
    return "[" + ", ".join(literal_text(value, kind) for value in node.values) + "]"


def _history(node: tree.History) -> str:
    parts = [json.dumps(node.event, ensure_ascii=False)]
    if isinstance(node, tree.Total):
        parts.append(json.dumps(_dotted(node.path)[1:], ensure_ascii=False))
    if node.within is not None:
        parts.append(f"within={node.within}us")
    if node.where is not None:
        parts.append(f"where={canonical(node.where)}")
    if node.by_account:
        parts.append('by="account"')
    name = {
        tree.Did: "did",
        tree.Count: "count",
        tree.Total: "total",
        tree.Last: "last",
        tree.DaysSince: "days_since",
        tree.HoursLeft: "hours_left",
    }[type(node)]
    tail = _dotted(node.path + node.inside) if isinstance(node, tree.Last) else ""
    return f"{name}({', '.join(parts)}){tail}"


def _step(node: tree.Sent | tree.Reaction) -> str:
    return json.dumps(node.step if node.journey is None else f"{node.journey}/{node.step}")


def _link(node: tree.Reaction) -> str:
    return "" if node.link is None else f", link={json.dumps(node.link, ensure_ascii=False)}"


_WRITERS: dict[type[Node], Callable[[Any], str]] = {
    tree.Literal: lambda n: literal_text(n.value, n.type.kind),
    tree.Members: _members,
    tree.Name: lambda n: n.source + _dotted(n.path + n.inside),
    tree.Clock: lambda n: n.reading,
    tree.Logic: lambda n: "(" + f" {n.operator} ".join(canonical(o) for o in n.operands) + ")",
    tree.Not: lambda n: f"(not {canonical(n.operand)})",
    tree.Comparison: lambda n: f"({canonical(n.left)} {n.operator} {canonical(n.right)})",
    tree.Membership: lambda n: (
        f"({canonical(n.item)} {'not in' if n.negated else 'in'} {canonical(n.container)})"
    ),
    tree.IsNone: lambda n: f"({canonical(n.operand)} {'is not' if n.negated else 'is'} None)",
    tree.TextTest: lambda n: f"{canonical(n.text)}.{n.operator}({canonical(n.affix)})",
    tree.Matches: lambda n: f"{canonical(n.text)}.matches({json.dumps(n.pattern, ensure_ascii=False)})",
    tree.Lower: lambda n: f"{canonical(n.text)}.lower()",
    tree.Concatenation: lambda n: f"({canonical(n.left)} + {canonical(n.right)})",
    tree.Arithmetic: lambda n: f"({canonical(n.left)} {n.operator} {canonical(n.right)})",
    tree.Negative: lambda n: f"(-{canonical(n.operand)})",
    tree.Shift: lambda n: f"({canonical(n.operand)} + {n.microseconds}us)",
    tree.Difference: lambda n: f"({canonical(n.left)} - {canonical(n.right)})",
    tree.Conditional: lambda n: f"({canonical(n.then)} if {canonical(n.test)} else {canonical(n.otherwise)})",
    tree.Did: _history,
    tree.Count: _history,
    tree.Total: _history,
    tree.Last: _history,
    tree.DaysSince: _history,
    tree.HoursLeft: _history,
    tree.Sent: lambda n: f"sent({_step(n)})",
    tree.Reaction: lambda n: f"{n.function}({_step(n)}{_link(n)})",
    tree.RunNumber: lambda _: "run",
    tree.InJourney: lambda n: f"{'completed' if n.completed else 'in_journey'}({json.dumps(n.journey)})",
    tree.InSegment: lambda n: f"in_segment({json.dumps(n.name)}: {canonical(n.condition)})",
    tree.Derived: lambda n: f"contact.{n.name}({canonical(n.value)})",
    tree.Consented: lambda n: f"consented({json.dumps(n.topic)}, {json.dumps(n.channel)})",
    tree.ConsentAge: lambda n: f"consent_age({json.dumps(n.topic)}, {json.dumps(n.channel)})",
    tree.AnyConsent: lambda n: f"consented({'' if n.channel is None else f'*, {json.dumps(n.channel)}'})",
    tree.Suppressed: lambda n: f"suppressed({json.dumps(n.channel)}, {n.address})",
    tree.Reachable: lambda n: f"reachable({json.dumps(n.channel)}: {canonical(n.condition)})",
    tree.People: lambda n: f'people({canonical(n.condition)}, by="account")',
}

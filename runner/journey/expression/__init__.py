"""Expressions: Python's expression syntax, parsed with ``ast`` and never evaluated, as a typed tree."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property

from runner.journey.expression import tree
from runner.journey.expression.build import Builder
from runner.journey.expression.canonical import canonical as canonical_text
from runner.journey.expression.canonical import literal_text
from runner.journey.expression.finding import ExpressionError, Finding
from runner.journey.expression.literals import DESCRIPTIONS, typed_literal
from runner.journey.expression.scope import Scope
from runner.journey.expression.syntax import Source
from runner.journey.expression.tree import Node
from runner.journey.expression.turns import depends_on_time, turns
from runner.journey.values import Kind, ValueType

__all__ = [
    "Expression",
    "ExpressionError",
    "Finding",
    "Node",
    "Reads",
    "Scope",
    "literal_expression",
    "parse_expression",
    "turn_problem",
]

LARGEST_TREE = 2_000
"""Nodes of the largest tree, segments written out."""


@dataclass(frozen=True, kw_only=True)
class Reads:
    """What an expression looks at. ``sends``: steps of its own journey; ``journeys``: others, by name. ``time``: time
    alone can turn its value. ``run``: it looks at the run, at what started it, or at its messages. ``account``: it
    looks at the account, or at those who share it."""

    attributes: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()
    segments: frozenset[str] = frozenset()
    sends: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    journeys: frozenset[str] = frozenset()
    time: bool = False
    run: bool = False
    account: bool = False


@dataclass(frozen=True)
class Expression:
    """One expression; equal to another that means the same, however it is spelt."""

    source: str = field(compare=False)
    tree: Node
    type: ValueType = field(hash=False)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Its tree and all below it, each node before its children."""
        return tuple(tree.walk(self.tree))

    @cached_property
    def reads(self) -> Reads:
        """What it looks at, the conditions of the segments that it names included."""
        found = self.nodes
        attributes = {n.path[0] for n in found if isinstance(n, tree.Name) and n.source == "contact"}
        if any(isinstance(n, tree.Clock) and n.reading != "now" for n in found):
            attributes.add("timezone")
        messages = [n for n in found if isinstance(n, tree.Sent | tree.Reaction)]
        runs = [n for n in found if isinstance(n, tree.InJourney)]
        return Reads(
            attributes=frozenset(attributes),
            events=frozenset(n.event for n in found if isinstance(n, tree.History)),
            segments=frozenset(n.name for n in found if isinstance(n, tree.InSegment)),
            sends=frozenset(n.step for n in messages if n.journey is None),
            topics=frozenset(n.topic for n in found if isinstance(n, tree.Consented | tree.ConsentAge)),
            journeys=frozenset(n.journey for n in (*messages, *runs) if n.journey is not None),
            time=depends_on_time(self.tree),
            run=any(
                isinstance(n, tree.RunNumber)
                or (isinstance(n, tree.Sent) and n.journey is None)
                or (isinstance(n, tree.Name) and n.source in ("run", "trigger"))
                for n in found
            ),
            account=any(
                isinstance(n, tree.People)
                or (isinstance(n, tree.History) and n.by_account)
                or (isinstance(n, tree.Name) and n.source == "account")
                for n in found
            ),
        )

    def canonical(self) -> str:
        """One text for all spellings: what version hashes are made from."""
        return canonical_text(self.tree)


def parse_expression(source: str, scope: Scope, *, expect: ValueType | None = None) -> Expression:
    """The expression that ``source`` writes. Raises ExpressionError with all that is wrong.

    ``expect`` is the type that its place wants; only the kind counts, but for the choices of a string. Where a
    condition is wanted, a missing boolean counts as false.
    """
    read = Source(source)
    builder = Builder(read, scope)
    wants_condition = expect is not None and expect.kind is Kind.BOOLEAN
    built = builder.condition(read.body) if wants_condition else builder.build(read.body)
    if built is not None and not wants_condition:
        _fit(builder, read, built, expect)
    if built is not None and tree.size(built) > LARGEST_TREE:
        message = "with its segments written out, the expression is too large"
        builder.report(read.body, "expression-too-large", message, "say less in one expression")
    for name in sorted(_unreadable(built)) if built is not None else ():
        message = (
            f"the name {name!r} holds a quotation mark, a backslash or a control character and cannot be read"
        )
        builder.report(read.body, "unreadable-name", message, "rename the property where it is sent")
    if builder.findings or built is None:
        raise ExpressionError(builder.findings)
    return Expression(source, built, built.type)


def _unreadable(node: Node) -> set[str]:
    """Names of properties that SQLite has no way to write in a path."""
    names: set[str] = set()
    for part in tree.walk(node):
        if isinstance(part, tree.Name | tree.Last):
            names.update(part.path + part.inside)
        elif isinstance(part, tree.Total):
            names.update(part.path)
    return {name for name in names if any(sign < " " or sign in '"\\' for sign in name)}


def _fit(builder: Builder, source: Source, built: Node, expect: ValueType | None) -> None:
    place, kind = source.body, built.type.kind
    if kind is Kind.DURATION:
        hint = "it moves a date: `today + days(…)`"
        builder.report(place, "type-mismatch", "a length of time is no value by itself", hint)
    elif isinstance(built, tree.Members):
        builder.report(
            place, "type-mismatch", "a list of the catalog is no value by itself", "it stands after `in`"
        )
    elif expect is not None and kind not in (expect.kind, Kind.NONE):
        what, wanted = DESCRIPTIONS[kind], DESCRIPTIONS[expect.kind]
        hint = None
        if expect.kind is Kind.DATE and isinstance(built, tree.Literal) and kind is Kind.STRING:
            hint = f"write `date({source.text.strip()})`"
        builder.report(
            place, "type-mismatch", f"{builder.quoted(place)} is {what}; {wanted} is wanted here", hint
        )
    elif expect is not None and expect.one_of:
        for value in _written(built):
            if value not in expect.one_of:
                choices = ", ".join(expect.one_of)
                builder.report(place, "unknown-choice", f'"{value}" is none of: {choices}')


def _written(node: Node) -> list[str]:
    """The strings among the values that are written out in ``node`` as its outcomes."""
    if isinstance(node, tree.Conditional):
        return _written(node.then) + _written(node.otherwise)
    return [node.value] if isinstance(node, tree.Literal) and isinstance(node.value, str) else []


def turn_problem(expression: Expression) -> str | None:
    """Why the instants at which time alone turns ``expression`` cannot be computed; None where they can, or where time
    cannot turn it. An expression with such a problem can be read, but nobody can wait for it to become true."""
    return turns(expression.tree)[1]


def literal_expression(value: str | int | Decimal | bool | date | None, type: ValueType) -> Expression:
    """A value of a YAML file as an expression of ``type``. Raises ExpressionError where it does not fit."""
    try:
        literal = typed_literal(value, type)
    except ValueError as error:
        raise ExpressionError([Finding(str(error), "bad-literal", 0, max(1, len(str(value))))]) from None
    return Expression(literal_text(literal.value, literal.type.kind), literal, literal.type)

"""What to give a contact, or an event, so that a condition holds, or does not: guesses for a scenario to try.

Pure. A guess is made of comparisons with what the author wrote out; what it gets wrong shows when the scenario is
played.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from runner.journey.expression import Expression, tree
from runner.journey.expression.tree import Node
from runner.journey.values import MILLIONTHS, Kind

Raw = str | int | float | bool | None
"""A value as a scenario writes it; None is a value that is missing."""


@dataclass(frozen=True)
class Value:
    """``source`` (``contact``, ``trigger`` or ``event``) has ``value`` as ``name``."""

    source: str
    name: str
    value: Raw


@dataclass(frozen=True)
class Tag:
    """The contact has the tag."""

    tag: str


@dataclass(frozen=True)
class Before:
    """The event ``event`` has happened before, with ``properties``: ``times``, the last one ``ago``."""

    event: str
    properties: tuple[tuple[str, Raw], ...] = ()
    times: int = 1
    ago: timedelta = timedelta(days=1)


@dataclass(frozen=True)
class Consent:
    """The contact has consented to the topic."""

    topic: str


@dataclass(frozen=True)
class Reacted:
    """The reader has ``what`` (``opened``, ``clicked``, ``replied``) the message of ``step`` of the run."""

    what: str
    step: str


Wish = Value | Tag | Before | Consent | Reacted

_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_SWAPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def wishes(expression: Expression | None, holds: bool) -> tuple[Wish, ...]:
    """What may make ``expression`` true, or false; nothing where that is not known, or nothing need be done."""
    return tuple(_wishes(expression.tree, holds)) if expression else ()


def _wishes(node: Node, holds: bool) -> Iterator[Wish]:
    match node:
        case tree.Not(operand=operand):
            yield from _wishes(operand, not holds)
        case tree.Logic(operator=operator, operands=operands):
            # One part is enough for an `or` to hold, and for an `and` not to.
            enough = (operator == "or") is holds
            for operand in operands[:1] if enough else operands:
                yield from _wishes(operand, holds)
        case tree.InSegment(condition=condition) | tree.Reachable(condition=condition):
            yield from _wishes(condition, holds)
        case tree.Consented(topic=topic):
            if holds:
                yield Consent(topic)
        case tree.Reaction(function=what, step=step, journey=None):
            if holds:
                yield Reacted(what, step)
        case tree.Name(type=type) if type.kind is Kind.BOOLEAN:
            yield from _named(node, holds)
        case tree.IsNone(operand=tree.Name() as name, negated=negated):
            given = negated is holds
            yield from _named(name, _sample(name) if given else None)
        case tree.Membership(item=item, container=container, negated=negated):
            yield from _member(item, container, negated is not holds)
        case tree.Did(event=event, within=within, where=where):
            if holds:
                yield _before(event, within, where, times=1)
        case tree.Comparison(operator=operator, left=left, right=right):
            wanted = operator if holds else _OPPOSITE[operator]
            yield from _compared(left, wanted, right)
            yield from _compared(right, _SWAPPED[wanted], left)


def _compared(one: Node, operator: str, other: Node) -> Iterator[Wish]:
    if not isinstance(other, tree.Literal) or other.value is None:
        return
    value = _raw(other)
    match one:
        case tree.Name():
            yield from _named(one, _beside(value, operator))
        case tree.Last(event=event, path=(name,), within=within, where=where):
            found = _before(event, within, where, times=1)
            wanted = (*found.properties, (name, _beside(value, operator)))
            yield Before(event, wanted, 1, found.ago)
        case tree.Count(event=event, within=within, where=where) if isinstance(value, int | float):
            least = int(value) + (operator in (">", "!="))
            if operator in (">", ">=", "==", "!=") and least > 0:
                yield _before(event, within, where, times=least)
        case tree.Total(event=event, path=(name,), within=within, where=where) if isinstance(
            value, int | float
        ):
            if operator in (">", ">=", "=="):
                found = _before(event, within, where, times=1)
                wanted = (*found.properties, (name, _beside(value, operator)))
                yield Before(event, wanted, 1, found.ago)
        case tree.DaysSince(event=event, where=where) if isinstance(value, int | float):
            if operator in (">", ">=", "=="):
                ago = timedelta(days=int(value) + (operator == ">"))
                yield Before(event, _before(event, None, where, times=1).properties, 1, ago)


def _member(item: Node, container: Node, inside: bool) -> Iterator[Wish]:
    match item, container:
        case tree.Name(), tree.Members(values=values):
            yield from _named(item, _stored(values[0]) if inside else "other")
        case tree.Literal(value=str() as text), tree.Name(source="contact", path=("tags",)):
            if inside:
                yield Tag(text)


def _named(name: tree.Name, value: Raw) -> Iterator[Wish]:
    if name.source in ("contact", "trigger", "event") and len(name.path) == 1:
        yield Value(name.source, name.path[0], value)


def _before(event: str, within: int | None, where: Node | None, *, times: int) -> Before:
    found = tuple(
        (wish.name, wish.value)
        for wish in (_wishes(where, True) if where is not None else ())
        if isinstance(wish, Value) and wish.source == "event"
    )
    ago = timedelta(days=1) if within is None else min(timedelta(days=1), timedelta(microseconds=within // 2))
    return Before(event, found, times, ago)


def _beside(value: Raw, operator: str) -> Raw:
    """A value that stands so to ``value``."""
    if operator in ("==", "<=", ">="):
        return value
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value - 1 if operator == "<" else value + 1
    return "other"


def _sample(name: tree.Name) -> Raw:
    samples: dict[Kind, Raw] = {Kind.NUMBER: 1, Kind.BOOLEAN: True, Kind.DATE: "2026-03-31"}
    one_of = name.type.one_of
    return one_of[0] if one_of else samples.get(name.type.kind, "something")


def _raw(literal: tree.Literal) -> Raw:
    return _stored(literal.value)


def _stored(value: object) -> Raw:
    """A value that the tree holds, as a scenario writes it: numbers are kept in millionths."""
    if isinstance(value, int) and not isinstance(value, bool):
        whole, rest = divmod(value, MILLIONTHS)
        return whole if not rest else value / MILLIONTHS
    return value if isinstance(value, str | bool) else None

"""The typed tree of an expression: frozen nodes, without positions, equal where they mean the same.

Every node answers ``type``. Literals hold values in their stored form (see ``runner.journey.values``): a number is
whole millionths, a date or datetime is ISO text. A node of type boolean is never missing, unless it is a ``Name``, a
``Literal``, a ``Last`` or a ``Conditional``. Those that look up what is recorded of the contact stand in
``recorded.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import get_args

from runner.journey.expression.recorded import (
    AnyConsent,
    Condition,
    ConsentAge,
    Consented,
    Count,
    DaysSince,
    Derived,
    Did,
    History,
    HoursLeft,
    InJourney,
    InSegment,
    Last,
    People,
    Reachable,
    Reaction,
    Recorded,
    RunNumber,
    Sent,
    Suppressed,
    Total,
)
from runner.journey.values import DATE, DATETIME, NUMBER, STRING, ValueType

__all__ = [
    "AnyConsent",
    "Arithmetic",
    "Clock",
    "Comparison",
    "Concatenation",
    "Conditional",
    "ConsentAge",
    "Consented",
    "Count",
    "DaysSince",
    "Derived",
    "Did",
    "Difference",
    "History",
    "HoursLeft",
    "InJourney",
    "InSegment",
    "IsNone",
    "Last",
    "Literal",
    "Logic",
    "Lower",
    "Matches",
    "Members",
    "Membership",
    "Name",
    "Negative",
    "Node",
    "Not",
    "People",
    "Reachable",
    "Reaction",
    "Recorded",
    "RunNumber",
    "Sent",
    "Shift",
    "Stored",
    "Suppressed",
    "TextTest",
    "Total",
    "children",
    "size",
    "walk",
]

Stored = str | int | bool | None
"""A single value in its stored form."""


@dataclass(frozen=True)
class Literal:
    """A value that the author wrote. Its type keeps ``True`` and ``1`` apart."""

    value: Stored
    type: ValueType = field(hash=False)


@dataclass(frozen=True)
class Members:
    """A list that the author wrote, or a list of the catalog: at least one member, all of one kind."""

    values: tuple[str | int | bool, ...]
    type: ValueType = field(hash=False)


@dataclass(frozen=True)
class Name:
    """A value read from ``source``: ``contact``, ``account``, ``trigger``, ``event`` or ``run``.

    ``path`` leads through objects. Where it ends at a list of objects, ``inside`` leads on within each of them, and the
    value is the list of what is found there.
    """

    source: str
    path: tuple[str, ...]
    type: ValueType = field(hash=False)
    inside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Clock:
    """``now`` (UTC), or ``today`` (a date) or ``weekday`` ("mon" to "sun") in the contact's zone."""

    reading: str

    @property
    def type(self) -> ValueType:
        return {"now": DATETIME, "today": DATE}.get(self.reading, STRING)


@dataclass(frozen=True)
class Logic(Condition):
    """``and`` or ``or`` over two or more conditions; a missing boolean counts as false."""

    operator: str
    operands: tuple[Node, ...]


@dataclass(frozen=True)
class Not(Condition):
    operand: Node


@dataclass(frozen=True)
class Comparison(Condition):
    """``== != < <= > >=`` between values of one kind; false where either is missing."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Membership(Condition):
    """``item in container``, or ``not in`` where ``negated``; false where either is missing.

    The container is ``Members``, a ``Name`` or ``Last`` of a list type, or a string (is ``item`` a part of it?).
    """

    item: Node
    container: Node
    negated: bool


@dataclass(frozen=True)
class IsNone(Condition):
    operand: Node
    negated: bool


@dataclass(frozen=True)
class TextTest(Condition):
    """``startswith`` or ``endswith``; false where either is missing."""

    operator: str
    text: Node
    affix: Node


@dataclass(frozen=True)
class Matches(Condition):
    """Whether ``pattern`` is found anywhere in ``text``; false where it is missing."""

    text: Node
    pattern: str


@dataclass(frozen=True)
class Lower:
    text: Node

    @property
    def type(self) -> ValueType:
        return STRING


@dataclass(frozen=True)
class Concatenation:
    left: Node
    right: Node

    @property
    def type(self) -> ValueType:
        return STRING


@dataclass(frozen=True)
class Arithmetic:
    """``+ - * /`` of numbers, rounded to six places, half away from zero; None on overflow and division by zero."""

    operator: str
    left: Node
    right: Node

    @property
    def type(self) -> ValueType:
        return NUMBER


@dataclass(frozen=True)
class Negative:
    operand: Node

    @property
    def type(self) -> ValueType:
        return NUMBER


@dataclass(frozen=True)
class Shift:
    """A date or datetime moved by ``microseconds`` (whole days for a date); None outside the years 1 to 9999."""

    operand: Node
    microseconds: int

    @property
    def type(self) -> ValueType:
        return self.operand.type


@dataclass(frozen=True)
class Difference:
    """``left - right`` of two dates (whole days) or two datetimes (days with six places)."""

    left: Node
    right: Node

    @property
    def type(self) -> ValueType:
        return NUMBER


@dataclass(frozen=True)
class Conditional:
    test: Node
    then: Node
    otherwise: Node
    type: ValueType = field(hash=False)


Node = (
    Literal
    | Members
    | Name
    | Clock
    | Logic
    | Not
    | Comparison
    | Membership
    | IsNone
    | TextTest
    | Matches
    | Lower
    | Concatenation
    | Arithmetic
    | Negative
    | Shift
    | Difference
    | Conditional
    | Recorded
)


_KINDS = frozenset(get_args(Node))


_PARTS = {kind: tuple(part.name for part in fields(kind)) for kind in _KINDS}


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below ``node``, in the order of the source."""
    found: list[Node] = []
    for name in _PARTS[type(node)]:
        value = getattr(node, name)
        members = value if isinstance(value, tuple) else (value,)
        found.extend(member for member in members if type(member) in _KINDS)
    return tuple(found)


def walk(node: Node) -> Iterator[Node]:
    """``node`` and all below it, each before its children."""
    left = [node]
    while left:
        found = left.pop()
        yield found
        left.extend(reversed(children(found)))


def size(node: Node) -> int:
    """How many nodes the tree has; a subtree that stands in several places counts in each."""
    return 1 + sum(size(child) for child in children(node))

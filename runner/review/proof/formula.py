"""What is asked: claims about one contact at one instant, joined by ``both`` and ``either``.

There is no negation: a claim says itself what it wants. What an expression reads is an atom here, known by its node:
equal nodes have equal values, since all of a question is read at one instant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from runner.journey.expression.tree import Node


@dataclass(frozen=True)
class Holds:
    """``node``, which is true or false by itself, is true; with ``wanted`` False it is false, or missing."""

    node: Node
    wanted: bool


@dataclass(frozen=True)
class Missing:
    """The value that ``node`` reads is missing, or, with ``wanted`` False, there."""

    node: Node
    wanted: bool


@dataclass(frozen=True)
class Fails:
    """``node`` computes with values that are there and comes to none: an overflow, a division by zero, the year
    10,000."""

    node: Node
    wanted: bool


@dataclass(frozen=True)
class Order:
    """Both values are there, and ``operator`` (``== != < <= > >=``) holds between them."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Both:
    """All of ``parts`` hold: always, where there are none."""

    parts: tuple[Formula, ...]
    extent: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extent", sum(map(extent, self.parts)))


@dataclass(frozen=True)
class Either:
    """One of ``parts`` holds, or several: never, where there are none."""

    parts: tuple[Formula, ...]
    extent: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extent", sum(map(extent, self.parts)))


Claim = Holds | Missing | Fails | Order
Formula = Claim | Both | Either


def extent(formula: Formula) -> int:
    """How many claims a formula has, those that stand in several places several times; answered at once."""
    return formula.extent if isinstance(formula, Both | Either) else 1


ALWAYS = Both(())
NEVER = Either(())


def both(parts: Iterable[Formula]) -> Formula:
    """All of ``parts``."""
    found: list[Formula] = []
    for part in parts:
        if part == NEVER:
            return NEVER
        found.extend(part.parts if isinstance(part, Both) else (part,))
    return found[0] if len(found) == 1 else Both(tuple(found))


def either(parts: Iterable[Formula]) -> Formula:
    """One of ``parts``."""
    found: list[Formula] = []
    for part in parts:
        if part == ALWAYS:
            return ALWAYS
        found.extend(part.parts if isinstance(part, Either) else (part,))
    return found[0] if len(found) == 1 else Either(tuple(found))


def claims(formula: Formula) -> Iterator[Claim]:
    """All claims of ``formula``, those that stand in several places several times."""
    if isinstance(formula, Both | Either):
        for part in formula.parts:
            yield from claims(part)
    else:
        yield formula

"""Who hears an event that has no contact: those for whom an equality of its listener's ``where`` holds."""

from __future__ import annotations

from dataclasses import dataclass

from runner.journey.expression import Expression
from runner.journey.expression.tree import Comparison, Logic, Name, Node


@dataclass(frozen=True)
class Ear:
    """``equality`` holds between a property of the event and a value of ``source``, contact or trigger. It need not be
    all of the condition: the rest is asked when the copy is handled."""

    equality: Comparison
    source: str


def ear_of(where: Expression | None, *sources: str) -> Ear | None:
    """The equality with a value of one of ``sources`` by which contacts are found; None where there is none."""
    for part in _parts(where.tree) if where is not None else ():
        if not isinstance(part, Comparison) or part.operator != "==":
            continue
        for one, other in ((part.left, part.right), (part.right, part.left)):
            if (
                isinstance(one, Name)
                and isinstance(other, Name)
                and one.source == "event"
                and other.source in sources
            ):
                return Ear(part, other.source)
    return None


def _parts(node: Node) -> tuple[Node, ...]:
    """The conditions that must all hold."""
    return node.operands if isinstance(node, Logic) and node.operator == "and" else (node,)

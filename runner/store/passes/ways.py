"""The ways through a program, numbered: an arrival at a node needs to say no more than which way it came.

A way is an edge of the program. A send that policy blocks has one for each reason, and each node one for the runs that
come to it without having left another: those that enter, and those that are taken up again where they stand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runner.journey.graph import Edge, Node, Program
from runner.journey.model import Send

LOOKED_AT = 0
"""The way of a run that is only looked at, and goes nowhere: its exit conditions are due for a review."""
BLOCKED = "blocked"
BLOCK_REASONS = ("no_address", "no_consent")
"""Why policy may block a message, in the order in which it is asked."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """``node`` is the node that was left, None for an arrival from nowhere; ``target`` where the way leads, the
    program's ``end`` included. ``detail`` tells the ways of one outcome apart."""

    number: int
    target: int
    node: Node | None = None
    edge: Edge | None = None
    detail: str | None = None


class Ways:
    """The ways of one program."""

    def __init__(self, program: Program) -> None:
        found = [Way(number=node.index + 1, target=node.index) for node in program.nodes]
        for node in program.nodes:
            for edge in node.edges:
                blocked = isinstance(node.verb, Send) and edge.outcome == BLOCKED
                for detail in BLOCK_REASONS if blocked else (None,):
                    found.append(
                        Way(
                            number=len(found) + 1,
                            target=edge.target,
                            node=node,
                            edge=edge,
                            detail=detail,
                        )
                    )
        self._all: Sequence[Way] = found
        into, behind = defaultdict(list), defaultdict(list)
        self._left: dict[tuple[int, str, str | None], int] = {}
        for way in found:
            into[way.target].append(way.number)
            if way.node is not None and way.edge is not None:
                behind[way.node.index].append(way.number)
                self._left[way.node.index, way.edge.outcome, way.detail] = way.number
        self._into: Mapping[int, Sequence[int]] = into
        self._behind: Mapping[int, Sequence[int]] = behind

    def __iter__(self) -> Iterator[Way]:
        return iter(self._all)

    def arriving(self, node: int) -> int:
        """The way of a run that comes to ``node`` without having left another."""
        return node + 1

    def leaving(self, node: Node, outcome: str, detail: str | None = None) -> int:
        """The way out of ``node`` with ``outcome``; KeyError where it has none."""
        return self._left[node.index, outcome, detail]

    def behind(self, node: int) -> Sequence[int]:
        """All ways out of a node."""
        return self._behind[node]

    def into(self, target: int) -> Sequence[int]:
        """All ways that lead to a node, or to the end of the program."""
        return self._into[target]

    def target(self, number: int) -> int | None:
        """Where a way leads; None for ``LOOKED_AT``."""
        return None if number == LOOKED_AT else self._all[number - 1].target

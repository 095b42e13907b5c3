"""The ways through a program, numbered: an arrival at a node needs to say no more than which way it came.

What a run does at decisions and at a send hangs on nothing but its own row. So one statement takes it through a whole
*stretch* of them, to the place where the engine has to look again; and a way is not an edge, but all the edges of one
path through a stretch. Waits, splits and updates are stretches of their own, and so are sends that are decided about
together with all others of their contact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runner.journey.graph import AGAIN, Edge, Node, Program
from runner.journey.model import Branch, ChangeConsent, Condition, Exit, Goto, Send, Update
from runner.journey.send_rules import SendRules

LOOKED_AT = 0
"""The way of a run that is only looked at, and goes nowhere: its exit conditions are due for a review."""
READY, BLOCKED = "ready", "blocked"
ALREADY = "already_sent"
"""How a run leaves a send whose message it has: by the edge of those that are ready, and without another one."""
LONGEST = 16
"""A stretch is not drawn out beyond so many ways: its statement asks for all of them."""


@dataclass(frozen=True, kw_only=True)
class Left:
    """A step on a way: a node that was left by an edge. ``detail`` tells apart the blocks of a send, and those who have
    its message already."""

    node: Node
    edge: Edge
    detail: str | None = None

    @property
    def outcome(self) -> str:
        """How the log says that the step was left."""
        return ALREADY if self.detail == ALREADY else self.edge.outcome


@dataclass(frozen=True, kw_only=True)
class Way:
    """``target`` is where the way leads, the program's ``end`` included. One without steps is an arrival from nowhere:
    of a run that enters, or is taken up again where it stands, or that comes to its step ``AGAIN``."""

    number: int
    target: int
    steps: tuple[Left, ...] = ()

    @property
    def reason(self) -> str | None:
        """Why a run that came this way has ended by an exit; None where it has not."""
        return self.steps[-1].edge.reason if self.steps else None


class Ways:
    """The ways of one program. The way that a timer sends a run from node n is -(n + 1), so that whoever fires timers
    of all programs need not ask."""

    def __init__(self, program: Program, rules: SendRules | None = None) -> None:
        rules = rules or SendRules()
        self.together = frozenset(
            node.index
            for node in program.nodes
            # Where a reader may put the run back before a send, it stands there, too.
            if isinstance(node.verb, Send) and (rules.together(node.verb) or program.snoozes)
        )
        """The sends at which runs stand until policy has decided."""
        self._rules = rules
        self._follows = program.journey.in_flight.follows
        found = [Way(number=node.index + 1, target=node.index) for node in program.nodes]
        found += [
            Way(number=-(node.index + 1), target=node.index)
            for node in program.nodes
            # Policies change while people stand: each send may be come to again.
            if node.timer_outcome == AGAIN or isinstance(node.verb, Send)
        ]
        self._from: dict[int, Sequence[Way]] = {}
        self.forks: dict[int, Sequence[Way]] = {}
        """By the first of them, the ways among which one statement chooses, where there are several."""
        number = len(found)
        reached = {0} | {
            node.index
            for node in program.nodes
            if node.timer_outcome is not None or isinstance(node.verb, Send)
        }
        for node in program.nodes:  # in the order of the file: every edge points forward
            if node.index in reached:
                ways = []
                for path in self._stretch(program, node):
                    by_timer = path[0].edge.outcome == node.timer_outcome
                    number += not by_timer
                    ways.append(
                        Way(
                            number=-(node.index + 1) if by_timer else number,
                            target=path[-1].edge.target,
                            steps=path,
                        )
                    )
                self._from[node.index] = ways
                if self._hangs_on_row_alone(node) and len(ways) > 1:
                    self.forks[ways[0].number] = ways
                found += ways
                reached.update(way.target for way in ways)
        self._by_number = {way.number: way for way in found}
        self._fork = {way.number: first for first, ways in self.forks.items() for way in ways}
        into, behind = defaultdict(list), defaultdict(list)
        for way in found:
            into[way.target].append(way.number)
            for left in way.steps:
                behind[left.node.index].append(way)
        self._into: Mapping[int, Sequence[int]] = into
        self._behind: Mapping[int, Sequence[Way]] = behind

    def __iter__(self) -> Iterator[Way]:
        return iter(self._by_number.values())

    def arriving(self, node: int) -> int:
        """The way of a run that comes to ``node`` without having left another."""
        return node + 1

    @property
    def beginnings(self) -> frozenset[int]:
        """The nodes at which stretches begin."""
        return frozenset(self._from)

    def beginning(self, node: int) -> Sequence[Way]:
        """The ways that a run at ``node`` may go from there."""
        return self._from[node]

    def fork(self, number: int) -> int:
        """The first of the ways among which one statement chooses where it chooses this one; else the way itself."""
        return self._fork.get(number, number)

    def leaving(self, node: Node, outcome: str) -> int:
        """The way out of a node that is a stretch of its own. KeyError where it has no such outcome."""
        for way in self._from[node.index]:
            if way.steps[0].edge.outcome == outcome:
                return way.number
        raise KeyError(outcome)

    @property
    def targets(self) -> frozenset[int]:
        """Where the runs come that leave a step, or come to it again."""
        return frozenset(way.target for way in self if way.steps or way.number < 0)

    def behind(self, node: int) -> Sequence[Way]:
        """All ways that lead through a node."""
        return self._behind[node]

    def into(self, target: int) -> Sequence[int]:
        """The numbers of all ways that lead to a node, or to the end of the program."""
        return self._into[target]

    def target(self, number: int) -> int | None:
        """Where a way leads; None for ``LOOKED_AT``."""
        return None if number == LOOKED_AT else self._by_number[number].target

    def _stretch(self, program: Program, start: Node) -> list[tuple[Left, ...]]:
        """The paths from ``start`` to where the engine has to look again."""
        paths = self._leaving(start)
        if not self._hangs_on_row_alone(start):
            return paths
        sends = [start.verb] if isinstance(start.verb, Send) else []
        # Steps act in the order of the file: what one writes to the contact is seen by all that stands behind it.
        first_write = min(
            (
                node.index
                for node in program.nodes[start.index :]
                if isinstance(node.verb, Update | ChangeConsent)
            ),
            default=program.end,
        )

        def following(path: tuple[Left, ...]) -> Node | None:
            """The node by which the path may grow."""
            target = path[-1].edge.target
            # Behind a send exit conditions are read again, and `sent` may be asked for.
            if isinstance(path[-1].node.verb, Send) or target >= first_write:
                return None
            node = program.nodes[target]
            if isinstance(node.verb, Send) and node.index not in self.together:
                # All sends of a stretch look for the same consent, which is joined once.
                alike = all(
                    (node.verb.topic, node.verb.channel) == (send.topic, send.channel) for send in sends
                )
                return node if alike else None
            return node if self._hangs_on_row_alone(node) else None

        grown = True
        while grown:  # a round for each step that the paths grow by
            grown = False
            for path in list(paths):
                node = following(path)
                if node is None:
                    continue
                longer = [(*path, left) for (left,) in self._leaving(node)]
                if len(paths) - 1 + len(longer) > LONGEST:
                    return paths
                place = paths.index(path)
                paths[place : place + 1] = longer
                sends += [node.verb] if isinstance(node.verb, Send) else []
                grown = True
        return paths

    def _hangs_on_row_alone(self, node: Node) -> bool:
        return (
            isinstance(node.verb, Condition | Branch | Goto | Exit | Send) and node.index not in self.together
        )

    def _leaving(self, node: Node) -> list[tuple[Left, ...]]:
        return [
            (Left(node=node, edge=edge, detail=detail),)
            for edge in node.edges
            for detail in self._details(node, edge)
        ]

    def _details(self, node: Node, edge: Edge) -> tuple[str | None, ...]:
        """What tells apart the ways by one edge: where a stretch decides about a message, why it is blocked; where runs
        come from other versions, whether they have it."""
        if isinstance(node.verb, Send) and edge.outcome == READY and self._follows:
            return (None, ALREADY)
        if isinstance(node.verb, Send) and edge.outcome == BLOCKED and node.index not in self.together:
            return self._rules.block_reasons(node.verb) or (None,)
        return (None,)

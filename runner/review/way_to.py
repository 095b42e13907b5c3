"""The shortest way through a journey to what a scenario is to reach."""

from __future__ import annotations

from collections import deque
from collections.abc import Set

from runner.journey.graph import SKIPPED, Node, Program
from runner.journey.model import Send
from runner.review.coverage import Item, Kind


def way_to(
    program: Program, item: Item, avoided: Set[tuple[int, str]]
) -> tuple[tuple[Node, str], ...] | None:
    """Steps, each with the outcome by which to leave it; the last one is that of ``item``, with its outcome, or any.

    No step is left by an outcome that is ``avoided``: the number of its node, and the outcome. None where there is no
    such way.
    """
    if not program.nodes:
        return None
    came: dict[int, tuple[int, str] | None] = {0: None}
    queue = deque([0])
    while queue:
        place = queue.popleft()
        node = program.nodes[place]
        last = _last(node, item)
        if last is not None:
            steps = [(node, last)]
            step = came[place]
            while step is not None:
                steps.insert(0, (program.nodes[step[0]], step[1]))
                step = came[step[0]]
            return tuple(steps)
        for edge in node.edges:
            way = (place, edge.outcome)
            if edge.outcome == SKIPPED or way in avoided or edge.target == program.end:
                continue
            if edge.target not in came:
                came[edge.target] = way
                queue.append(edge.target)
    return None


def _last(node: Node, item: Item) -> str | None:
    """The outcome by which ``node`` is to be left for ``item``; None where it is another step's."""
    if item.kind is Kind.RULE:
        return None
    if item.kind is Kind.TEXT:
        return "ready" if isinstance(node.verb, Send) and node.verb.sends(item.name) else None
    if node.step.id != item.name:
        return None
    return item.way or next(edge.outcome for edge in node.edges)

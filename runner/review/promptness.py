"""How soon runs may come to their messages when nothing on the way asks anything of them."""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.duration import Duration
from runner.journey.graph import Edge, Node, Program
from runner.journey.model import (
    Branch,
    Condition,
    HandOff,
    Send,
    WaitAny,
    WaitCollect,
    WaitEvent,
    WaitFor,
    WaitUntil,
    WaitWhen,
)


def unasked_sends(program: Program) -> Iterator[tuple[Node, int]]:
    """The nodes that send to whoever enters, each with the least time (microseconds) after which a run is there.

    Left out are those to which every way leads through a condition, a branch, a date, or something awaited: not all who
    enter come there.
    """
    times = _least(program, 0)
    yield from ((node, times[node.index]) for node in program.nodes if node.index in times and _sends(node))


def least_time_to_end(program: Program, start: Node) -> int | None:
    """The least time (microseconds) from a node to the end of the run; None where no way is without a question."""
    return _least(program, start.index).get(program.end)


def _sends(node: Node) -> bool:
    return isinstance(node.verb, Send)


def _least(program: Program, start: int) -> dict[int, int]:
    """The least time to each node from ``start``, through nodes that ask nothing."""
    times = {start: 0}
    for node in program.nodes[start:]:  # in topological order
        if node.index not in times:
            continue
        for edge, takes in _free(node):
            time = times[node.index] + takes
            times[edge.target] = min(time, times.get(edge.target, time))
    return times


def _free(node: Node) -> Iterator[tuple[Edge, int]]:
    """The edges by which a run may leave that fulfils nothing, and what time it takes."""
    match node.verb:
        case Condition() | Branch() | WaitUntil() | HandOff():
            return
        case WaitFor(duration=duration) | WaitCollect(duration=duration):
            yield node.edge("elapsed"), duration.elapsed
        case WaitEvent(up_to=up_to) | WaitWhen(up_to=up_to) | WaitAny(up_to=up_to):
            if isinstance(up_to, Duration):
                yield node.edge("timeout"), up_to.elapsed
        case _:
            yield from ((edge, 0) for edge in node.edges)

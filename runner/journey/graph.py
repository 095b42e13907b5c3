"""A journey as a program: flat nodes in topological order, joined by edges.

Steps nest in the file; the engine wants a list. A node's index is its place in the file, nested steps after the step
that holds them, and every edge points to a higher index: that makes a journey a DAG.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from runner.journey.model import (
    AdAudience,
    Branch,
    Call,
    ChangeConsent,
    Condition,
    Draw,
    Emit,
    Enroll,
    Exit,
    Goto,
    HandOff,
    Journey,
    Leave,
    Send,
    Split,
    Step,
    Update,
    Verb,
    WaitAny,
    WaitCollect,
    WaitEvent,
    WaitFor,
    WaitUntil,
    WaitWhen,
)

_Verb = TypeVar("_Verb")

AGAIN = "again"
"""The timer outcome of a step that runs come to once more when their time has come: what they do then hangs on more
than the clock."""

SKIPPED = "skipped"
"""How a run that is held out leaves a step that would have acted on the world."""


@dataclass(frozen=True)
class Edge:
    """Where a run goes that leaves a node with ``outcome``. ``target`` is a node's index, or the program's ``end``.
    ``reason`` is set where the run ends there by an exit."""

    outcome: str
    target: int
    reason: str | None = None


@dataclass(frozen=True)
class Node:
    """A step and the ways out of it. ``index`` counts from 0 in the order of the file; edges point to higher ones."""

    index: int
    step: Step
    edges: tuple[Edge, ...]

    @property
    def verb(self) -> Verb:
        return self.step.verb

    def edge(self, outcome: str) -> Edge:
        """The edge of ``outcome``; KeyError where the node has none."""
        for edge in self.edges:
            if edge.outcome == outcome:
                return edge
        raise KeyError(outcome)

    @property
    def timer_outcome(self) -> str | None:
        """How a run leaves that stood here until its timer: an edge, or ``AGAIN``. None where nobody stands here."""
        match self.verb:
            case WaitEvent() | WaitWhen() | WaitAny():
                return "timeout"
            case WaitFor() | WaitUntil():
                return "elapsed"
            case Call():
                return "failed"
            case HandOff():
                return "escalated"
            case WaitCollect():
                return AGAIN
        return None


@dataclass(frozen=True)
class Program:
    """A journey compiled: its steps as nodes, in the order of the file. A run begins at the first."""

    journey: Journey
    nodes: tuple[Node, ...]

    @property
    def snoozes(self) -> bool:
        """Whether a reader may put a run back before a step that it has left."""
        return any(link.puts_off for link in self.journey.links)

    @property
    def end(self) -> int:
        """The index behind the last node: a run that comes there has ended."""
        return len(self.nodes)

    def node(self, step: str) -> Node:
        """The node of a step id; KeyError where there is none."""
        for node in self.nodes:
            if node.step.id == step:
                return node
        raise KeyError(step)

    def ahead(self, node: Node) -> set[int]:
        """The indices, the ``end`` among them, to which a run may come from ``node``."""
        found: set[int] = set()
        for each in self.nodes[node.index :]:  # every edge points forward
            if each.index == node.index or each.index in found:
                found.update(edge.target for edge in each.edges)
        return found


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    """All steps in file order, each before the steps that it holds."""
    for step in steps:
        yield step
        for _, held in held_steps(step):
            yield from walk(held)


def steps_with(journey: Journey, verb: type[_Verb]) -> Iterator[tuple[Step, _Verb]]:
    """The steps of a journey that do ``verb``, nested ones too, in the order of the file."""
    for step in walk(journey.steps):
        if isinstance(step.verb, verb):
            yield step, step.verb


def held_steps(step: Step) -> tuple[tuple[str, tuple[Step, ...]], ...]:
    """The lists of steps inside a step, each with the outcome that leads into it."""
    match step.verb:
        case Branch(cases=cases):
            return tuple((case.name, case.steps) for case in cases)
        case Split(arms=arms):
            return tuple((arm.name, arm.steps) for arm in arms)
        case WaitEvent(then=then, timeout=timeout):
            return (("event", then), ("timeout", timeout))
        case WaitWhen(then=then, timeout=timeout):
            return (("true", then), ("timeout", timeout))
        case WaitAny(options=options, timeout=timeout):
            return (*((option.name, option.then) for option in options), ("timeout", timeout))
        case WaitCollect(if_empty=if_empty):
            return (("empty", if_empty),)
        case Condition(otherwise=otherwise) if otherwise is not None:
            return (("false", otherwise),)
        case Draw(if_empty=if_empty):
            return (("empty", if_empty),)
        case Call(on_error=on_error):
            return (("failed", on_error),)
        case HandOff(accepted=accepted, rejected=rejected, escalate=escalate):
            return (("accepted", accepted), ("rejected", rejected), ("escalated", escalate))
        case Send(if_blocked=if_blocked) if if_blocked:
            return (("blocked", if_blocked),)
    return ()


def compile_program(journey: Journey) -> Program:
    """The program of a checked journey. Raises KeyError for a ``goto`` to a step that does not exist."""
    index = {step.id: place for place, step in enumerate(walk(journey.steps))}
    end = len(index)
    nodes: list[Node] = []

    def lay(steps: tuple[Step, ...], after: int) -> None:
        for place, step in enumerate(steps):
            following = index[steps[place + 1].id] if place + 1 < len(steps) else after
            nodes.append(Node(index[step.id], step, _edges(step, following, index, end)))
            for _, held in held_steps(step):
                lay(held, following)

    lay(journey.steps, end)
    return Program(journey, tuple(sorted(nodes, key=lambda node: node.index)))


def _edges(step: Step, following: int, index: dict[str, int], end: int) -> tuple[Edge, ...]:
    into = tuple(
        Edge(outcome, index[held[0].id] if held else following) for outcome, held in held_steps(step)
    )
    match step.verb:
        case WaitFor():
            return (Edge("elapsed", following),)
        case WaitCollect():
            return (Edge("elapsed", following), *into)
        case WaitUntil(if_past=if_past, if_missing=if_missing):
            leaving = tuple(
                _leave(outcome, leave, following, index, end)
                for outcome, leave in (("past", if_past), ("missing", if_missing))
                if leave is not Leave.WAIT
            )
            return (Edge("elapsed", following), *leaving)
        case Condition(otherwise=None):
            return (Edge("true", following), Edge("false", end, reason="condition"))
        case Condition():
            return (Edge("true", following), *into)
        case Send():
            return (Edge("ready", following), *(into or (Edge("blocked", following),)))
        case Update():
            return (Edge("updated", following),)
        case ChangeConsent():
            return (Edge("done", following),)
        case Draw():
            return (Edge("drawn", following), *into, Edge(SKIPPED, following))
        case Call():
            return (Edge("answered", following), *into, Edge(SKIPPED, following))
        case HandOff():
            return (*into, Edge(SKIPPED, following))
        case Emit() | Enroll() | AdAudience():
            return (Edge("done", following), Edge(SKIPPED, following))
        case Goto(target=target):
            return (Edge("goto", index[target]),)
        case Exit(reason=reason):
            return (Edge(reason, end, reason=reason),)
    return into


def _leave(outcome: str, leave: Leave | Goto, following: int, index: dict[str, int], end: int) -> Edge:
    if isinstance(leave, Goto):
        return Edge(outcome, index[leave.target])
    return Edge(outcome, end, reason=outcome) if leave is Leave.EXIT else Edge(outcome, following)

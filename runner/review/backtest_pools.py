"""What a backtest, in which every pool is empty, does not show: the draws that found nothing, and the messages that
hang on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from runner.journey.graph import Node, Program, compile_program
from runner.journey.model import Draw, Journey, Send
from runner.journey.words import listed
from runner.review.reporters import counted


@dataclass(frozen=True, kw_only=True)
class Undrawn:
    """A step that found its pool empty so many ``times``; ``sends`` are the steps whose messages nobody gets who has
    drawn nothing there."""

    journey: str
    step: str
    pool: str
    times: int
    sends: tuple[str, ...]


def undrawn(journeys: Iterable[Journey], empty: Mapping[tuple[str, str], int]) -> Iterator[Undrawn]:
    """The steps of ``journeys`` that draw and found nothing. ``empty``: how often each step, by journey and id, was
    left so."""
    for journey in sorted(journeys, key=lambda each: each.name):
        program = compile_program(journey)
        for node in program.nodes:
            times = empty.get((journey.name, node.step.id), 0)
            if isinstance(node.verb, Draw) and times:
                sends = tuple(each.step.id for each in _only_drawn(program, node))
                yield Undrawn(
                    journey=journey.name, step=node.step.id, pool=node.verb.pool, times=times, sends=sends
                )


def _only_drawn(program: Program, draw: Node) -> Iterator[Node]:
    """The sends behind ``draw`` to which no run comes that has drawn nothing."""
    with_value = _behind(program, [draw.edge("drawn").target])
    without = _behind(program, [draw.edge("empty").target])
    for node in program.nodes:
        if isinstance(node.verb, Send) and node.index in with_value - without:
            yield node


def _behind(program: Program, todo: list[int]) -> set[int]:
    reached: set[int] = set()
    while todo:
        index = todo.pop()
        if index not in reached and index < len(program.nodes):
            reached.add(index)
            todo += [edge.target for edge in program.nodes[index].edges]
    return reached


def undrawn_text(steps: Sequence[Undrawn]) -> list[str]:
    """The same as lines for people."""
    if not steps:
        return []
    lines = ["  Pools are empty in a backtest. Without a value went on:"]
    for one in steps:
        missed = f", and did not get {listed(one.sends, 'and')}" if one.sends else ""
        lines.append(f"    {one.journey}: {one.step} ({one.pool}), {counted(one.times, 'time')}{missed}")
    return lines


def undrawn_json(one: Undrawn) -> dict[str, object]:
    """The same for programs."""
    return {
        "journey": one.journey,
        "step": one.step,
        "pool": one.pool,
        "times": one.times,
        "messages_missed": list(one.sends),
    }

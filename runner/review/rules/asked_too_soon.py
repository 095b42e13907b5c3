"""``opened("x")``, ``clicked("x")`` and ``replied("x")`` are false as long as nobody has had time for it: between the
message and the question there must be a wait.

Nothing is said where some way from the message to the question leads through a step at which time may pass: a wait, a
hand-off, a further message, which policy may defer. Nor of journeys whose readers may put a message off: their runs
come by again, later.

Passes:

    # journeys/demo/journey.yaml
    steps:
      - {id: hello, send: email}
      - {id: time-to-read, wait: 2d}
      - {id: gate, condition: 'opened("hello")'}

Fails:

    # journeys/demo/journey.yaml
    steps:
      - {id: hello, send: email}
      - {id: gate, condition: 'opened("hello")'}
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.journey.expression import Expression, tree
from runner.journey.graph import Program, compile_program, walk
from runner.journey.model import (
    Branch,
    Condition,
    HandOff,
    Send,
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
from runner.journey.project import Project
from runner.problem import Problem
from runner.review.places import text_in_step, value_span

_DONE = {"opened": "opened", "clicked": "clicked in", "replied": "replied to"}


def check(project: Project) -> Iterator[Problem]:
    for name, journey in project.journeys.items():
        asking = [(step, asked) for step in walk(journey.steps) if (asked := _asked(step))]
        program = compile_program(journey) if asking else None
        if program is None or program.snoozes:
            continue
        index = {node.step.id: node.index for node in program.nodes}
        for step, asked in asking:
            for function, send in sorted(asked):
                if send in index and _at_once(program, index[send], index[step.id]):
                    pattern = rf"{function}\(\s*[\"']{re.escape(send)}[\"']\s*\)?"
                    yield Problem(
                        code="opened/no-wait",
                        message=f"Nobody can have {_DONE[function]} `{send}` yet: it has just been sent.",
                        span=text_in_step(project, name, step.id, pattern)
                        or value_span(project, name, step.id),
                        hint=f'Wait for it: `wait: {{when: {function}("{send}"), up_to: 2d}}`.',
                    )


def _asked(step: Step) -> frozenset[tuple[str, str]]:
    """What the step asks of messages of its run: what people did, and with the message of which step."""
    return frozenset(
        (node.function, node.step)
        for expression in _read_on_arrival(step.verb)
        if expression.reads.sends
        for node in expression.nodes
        if isinstance(node, tree.Reaction) and node.journey is None
    )


def _read_on_arrival(verb: Verb) -> Iterator[Expression]:
    """The expressions that are read when a run comes to the step, and not later."""
    match verb:
        case Condition(test=test):
            yield test
        case Branch(cases=cases):
            yield from (case.when for case in cases if case.when)
        case Update(attributes=attributes, values=values):
            yield from (written for _, written in (*attributes, *values))


def _at_once(program: Program, send: int, asks: int) -> bool:
    """Whether runs come from one node to the other, and never through a node at which time passes."""
    at_once = {edge.target for edge in program.nodes[send].edges}
    later: set[int] = set()
    for node in program.nodes[send + 1 : asks]:  # in topological order
        targets = {edge.target for edge in node.edges}
        if node.index in later or (node.index in at_once and _takes_time(node.verb)):
            later |= targets
        if node.index in at_once and not _takes_time(node.verb):
            at_once |= targets
    return asks in at_once and asks not in later


def _takes_time(verb: Verb) -> bool:
    if isinstance(verb, WaitFor):
        return bool(verb.duration.elapsed) or verb.local is not None
    return isinstance(verb, WaitUntil | WaitEvent | WaitWhen | WaitAny | WaitCollect | HandOff | Send)

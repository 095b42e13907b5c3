"""A wait that ends inside the quiet hours of the message behind it: that message always leaves later than it says.

Passes:

    # journeys/catalog.yaml
    policies: {quiet_hours: {from: "21:00", to: "08:00"}}
    # journeys/demo/journey.yaml
    steps:
      - {id: morning, wait: {for: 1d, at: "08:00"}}
      - {id: hello, send: email}

Fails:

    # journeys/catalog.yaml
    policies: {quiet_hours: {from: "21:00", to: "08:00"}}
    # journeys/demo/journey.yaml
    steps:
      - {id: morning, wait: {for: 1d, at: "07:00"}}
      - {id: hello, send: email}
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time

from runner.journey.graph import Node, Program, compile_program, walk
from runner.journey.model import Send, Verb, WaitFor, WaitUntil
from runner.journey.project import Project
from runner.journey.send_rules import SendRules
from runner.problem import Problem, Severity
from runner.review.places import value_span
from runner.review.proof.longest import is_quiet, longest_stay


def check(project: Project) -> Iterator[Problem]:
    policies = project.catalog.policies
    if policies.quiet_hours is None:
        return
    rules = SendRules(topics=project.catalog.topics, policies=policies)
    for name, journey in project.journeys.items():
        if not any(_ends_at(step.verb) for step in walk(journey.steps)):
            continue
        program = compile_program(journey)
        for node in program.nodes:
            ends = _ends_at(node.verb)
            if ends is None:
                continue
            for found in _at_once(program, node, rules):
                assert isinstance(found.verb, Send)
                quiet = rules.quiet_hours(found.verb)
                if quiet is None or not is_quiet(quiet, ends):
                    continue
                yield Problem(
                    code="wait/in-quiet-hours",
                    message=f"This wait ends in quiet hours: `{found.step.id}` leaves at {quiet.ends:%H:%M}, not at"
                    f" {ends:%H:%M}.",
                    span=value_span(project, name, node.step.id, "wait", "at"),
                    hint=f"Write the time at which it shall leave, {quiet.ends:%H:%M} or later.",
                    severity=Severity.WARNING,
                )
                break


def _ends_at(verb: Verb) -> time | None:
    """The time of the contact's clock at which a wait ends; None where it says none, or one of a zone of its own."""
    local = verb.local if isinstance(verb, WaitFor | WaitUntil) else None
    return local.at if local is not None and local.timezone is None else None


def _at_once(program: Program, wait: Node, rules: SendRules) -> Iterator[Node]:
    """The sends to which a run comes at the very instant at which ``wait`` is over."""
    seen: set[int] = set()
    todo = [wait.edge("elapsed").target]
    while todo:
        index = todo.pop()
        if index in seen or index == program.end:
            continue
        seen.add(index)
        node = program.nodes[index]
        if isinstance(node.verb, Send):
            # One with a window of its own says itself when it leaves.
            if node.verb.window is None:
                yield node
        elif longest_stay(node, rules) == 0:
            todo += [edge.target for edge in node.edges]

"""A step that no run can come to: it stands behind an ``exit`` or a ``goto``, or behind a branch that never
goes on.

Passes:

    # journeys/demo/journey.yaml
    steps:
      - id: gate
        condition: {if: contact.vip, else: [{id: bye, exit: no-vip}]}
      - {id: hello, send: email}

Fails:

    # journeys/demo/journey.yaml
    steps:
      - {id: bye, exit: done}
      - {id: hello, send: email}
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.graph import compile_program
from runner.journey.project import Project
from runner.problem import Problem


def check(project: Project) -> Iterator[Problem]:
    for journey in project.journeys.values():
        nodes = compile_program(journey).nodes
        reached = {0}
        entered = set()
        for node in nodes:  # in topological order: all who lead to a node come before it
            targets = {edge.target for edge in node.edges}
            entered |= targets
            if node.index in reached:
                reached |= targets
        for node in nodes:
            # Of steps that follow one another only the first is reported.
            if node.index not in reached and node.index not in entered:
                yield Problem(
                    code="step/unreachable",
                    message=f"No run can come to the step `{node.step.id}`.",
                    span=node.step.span,
                    hint="Remove it, or look at the `exit` or `goto` before it.",
                )

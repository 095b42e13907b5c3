"""A value of the run is missing until a step writes it: read before, it says nothing.

Passes:

    # journeys/demo/journey.yaml
    steps:
      - {id: note, update: {run: {started: = today}}}
      - {id: gate, condition: run.started is not None}

Fails:

    # journeys/demo/journey.yaml
    steps:
      - {id: gate, condition: run.started is not None}
      - {id: note, update: {run: {started: = today}}}
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.expression.names import RUN_FIELDS
from runner.journey.expression.tree import Name
from runner.journey.graph import walk
from runner.journey.project import Project
from runner.journey.run_values import asked_of_readers, written_by
from runner.problem import Problem
from runner.review.places import text_in_step, value_span
from runner.review.rules.sent_too_early import expressions


def check(project: Project) -> Iterator[Problem]:
    for journey_name, journey in project.journeys.items():
        written = set(RUN_FIELDS)
        written |= set(asked_of_readers(journey))
        for step in walk(journey.steps):
            read = {
                node.path[0]
                for expression in expressions(step)
                for node in expression.nodes
                if isinstance(node, Name) and node.source == "run"
            }
            for name in sorted(read - written):
                span = text_in_step(project, journey_name, step.id, rf"run\.{name}\b")
                yield Problem(
                    code="run/too-early",
                    message=f"No step before this one writes `run.{name}`: it is missing here.",
                    span=span or value_span(project, journey_name, step.id),
                    hint="Write it with an `update` step further up.",
                )
            written |= {name for name, _ in written_by(step.verb)}

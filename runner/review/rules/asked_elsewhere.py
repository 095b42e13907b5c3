"""An expression that asks for another journey, or for a message of one, names what there is.

Passes:

    # journeys/demo/journey.yaml
    steps:
      - {id: gate, condition: 'completed("first") and opened("first/welcome")'}
    # journeys/first/journey.yaml
    journey: first
    language: 1
    title: What comes first
    topic: news
    trigger: {event: Signed Up}
    steps:
      - {id: welcome, send: email}
    # journeys/first/welcome.txt
    ---
    subject: Hello
    ---
    Hello

Fails:

    # journeys/demo/journey.yaml
    steps:
      - {id: gate, condition: 'completed("frist")'}
    # journeys/first/journey.yaml
    journey: first
    language: 1
    title: What comes first
    trigger: {event: Signed Up}
    steps:
      - {id: pause, wait: 1d}

Fails:

    # journeys/demo/journey.yaml
    steps:
      - {id: gate, condition: 'opened("first/welcom")'}
    # journeys/first/journey.yaml
    journey: first
    language: 1
    title: What comes first
    topic: news
    trigger: {event: Signed Up}
    steps:
      - {id: welcome, send: email}
    # journeys/first/welcome.txt
    ---
    subject: Hello
    ---
    Hello
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.journey.catalog import Catalog
from runner.journey.expression import Expression, tree
from runner.journey.graph import walk
from runner.journey.model import Journey, Send
from runner.journey.project import CATALOG, Project, journey_path
from runner.journey.words import called_now, did_you_mean, listed
from runner.problem import Problem, Span
from runner.review.places import text_in_tree
from runner.review.uses import parts_of


def check(project: Project) -> Iterator[Problem]:
    asked = {
        journey_path(name): (part for part in parts_of(journey) if isinstance(part, Expression))
        for name, journey in project.journeys.items()
    }
    for path, expressions in {CATALOG: _of_catalog(project.catalog), **asked}.items():
        names = {name for expression in expressions for name in _asked(expression)}
        for journey, step in sorted(names, key=lambda name: (name[0], name[1] or "")):
            trouble = _trouble(project, journey, step)
            # Of a segment, the catalog tells it once, not every journey that reads it.
            place = _place(project, path, journey if step is None else f"{journey}/{step}")
            if trouble and place:
                code, message, hint = trouble
                yield Problem(code=code, message=message, span=place, hint=hint)


def _of_catalog(catalog: Catalog) -> Iterator[Expression]:
    yield from (segment.when for segment in catalog.segments.values())
    yield from (stage.when for stage in catalog.stages)
    yield from (step.when for step in catalog.funnel)


def _asked(expression: Expression) -> Iterator[tuple[str, str | None]]:
    """The journeys that it asks for, each with the step whose message is meant."""
    for node in expression.nodes:
        if isinstance(node, tree.Sent | tree.Reaction) and node.journey is not None:
            yield node.journey, node.step
        elif isinstance(node, tree.InJourney):
            yield node.journey, None


def _trouble(project: Project, journey: str, step: str | None) -> tuple[str, str, str | None] | None:
    target = project.journeys.get(journey)
    if target is None:
        if journey_path(journey) in project.files:  # what is wrong with it is told there
            return None
        return (
            "journey/unknown",
            f'There is no journey "{journey}".',
            did_you_mean(journey, project.journeys),
        )
    if step is None or step in (sends := _sends(target)):
        return None
    renamed = target.in_flight.called_now(step)
    near = called_now(renamed if renamed in sends else None) or did_you_mean(step, sends)
    hint = near or (f"Steps that send: {listed(sends, 'and')}." if sends else None)
    return "step/unknown", f'No step "{step}" of `{journey}` sends.', hint


def _sends(journey: Journey) -> list[str]:
    return [step.id for step in walk(journey.steps) if isinstance(step.verb, Send)]


def _place(project: Project, path: str, name: str) -> Span | None:
    return (
        text_in_tree(project.trees[path], rf"(?<=[\"']){re.escape(name)}(?=[\"'])")
        if path in project.trees
        else None
    )

"""A goal of the catalog counts journeys that exist.

Passes:

    # journeys/catalog.yaml
    events: {Signed Up: {}}
    topics:
      news: {title: News, opt_in: explicit}
    attributes: {first_name: {type: string}}
    channels:
      email: {sender: {name: Shop, address: hello@shop.example}}
    goals:
      - {name: revenue, metric: revenue, journeys: [demo], target: 100, by: 2027-01-01}

Fails:

    # journeys/catalog.yaml
    events: {Signed Up: {}}
    topics:
      news: {title: News, opt_in: explicit}
    attributes: {first_name: {type: string}}
    channels:
      email: {sender: {name: Shop, address: hello@shop.example}}
    goals:
      - {name: revenue, metric: revenue, journeys: [dema], target: 100, by: 2027-01-01}
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.project import CATALOG, Project
from runner.journey.words import did_you_mean
from runner.journey.yaml import Fields, Items, Scalar, Value
from runner.problem import Problem


def check(project: Project) -> Iterator[Problem]:
    tree = project.trees.get(CATALOG)
    goals = tree.get("goals") if isinstance(tree, Fields) else None
    for name in _named(goals):
        if name.text not in project.templates:
            yield Problem(
                code="goal/journey",
                message=f"There is no journey `{name.text}`.",
                span=name.span,
                hint=did_you_mean(name.text, project.templates),
            )


def _named(goals: Value | None) -> Iterator[Scalar]:
    for goal in goals.items if isinstance(goals, Items) else ():
        journeys = goal.get("journeys") if isinstance(goal, Fields) else None
        for name in journeys.items if isinstance(journeys, Items) else ():
            if isinstance(name, Scalar):
                yield name

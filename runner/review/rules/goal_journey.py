"""A goal of the catalog counts journeys that exist, and that have a goal of their own to be counted; for revenue and
profit, one with a `value`.

Passes:

    # journeys/catalog.yaml
    goals:
      - {name: sign-ups, metric: conversions, journeys: [demo], target: 100, by: 2027-01-01}
    # journeys/demo/journey.yaml
    journey: demo
    language: 1
    title: A demonstration
    topic: news
    trigger: {event: Signed Up}
    goal: {event: Signed Up, within: 7d}
    steps:
      - {id: hello, send: email}

Fails:

    # journeys/catalog.yaml
    goals:
      - {name: revenue, metric: revenue, journeys: [dema], target: 100, by: 2027-01-01}

Fails:

    # journeys/catalog.yaml
    goals:
      - {name: revenue, metric: revenue, target: 100, by: 2027-01-01}
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.business import BusinessGoal, Metric
from runner.journey.model import Journey
from runner.journey.project import CATALOG, Project
from runner.journey.words import did_you_mean
from runner.journey.yaml import Fields, Items, Scalar, Value
from runner.problem import Problem, Severity


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
    told = any(problem.severity is Severity.ERROR for problem in project.problems)
    items = goals.items if isinstance(goals, Items) else ()
    # With an error in a journey, it is not known what would be counted.
    for goal, item in zip(project.catalog.goals, items, strict=False) if not told else ():
        journeys = [
            project.journeys[name] for name in goal.journeys or project.journeys if name in project.journeys
        ]
        if journeys and not any(_counts(journey, goal) for journey in journeys):
            worth = "" if goal.metric is Metric.CONVERSIONS else " with a `value`"
            yield Problem(
                code="goal/counts-nothing",
                message=f"Nothing counts towards `{goal.name}`: none of its journeys has a goal{worth}.",
                span=item.span,
                hint=f"Give a journey a `goal`{worth}, or remove this one.",
                severity=Severity.WARNING,
            )


def _counts(journey: Journey, goal: BusinessGoal) -> bool:
    return journey.goal is not None and (goal.metric is Metric.CONVERSIONS or journey.goal.value is not None)


def _named(goals: Value | None) -> Iterator[Scalar]:
    for goal in goals.items if isinstance(goals, Items) else ():
        journeys = goal.get("journeys") if isinstance(goal, Fields) else None
        for name in journeys.items if isinstance(journeys, Items) else ():
            if isinstance(name, Scalar):
                yield name

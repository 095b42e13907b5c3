"""A trigger that waits for the end of a journey names a journey of the project.

Passes:

    # journeys/demo/journey.yaml
    journey: demo
    language: 1
    title: What comes next
    trigger: {journey: first, outcome: completed}
    steps:
      - {id: pause, wait: 1d}
    # journeys/first/journey.yaml
    journey: first
    language: 1
    title: What comes first
    trigger: {event: Signed Up}
    steps:
      - {id: pause, wait: 1d}

Fails:

    # journeys/demo/journey.yaml
    journey: demo
    language: 1
    title: What comes next
    trigger: {journey: frist}
    steps:
      - {id: pause, wait: 1d}
    # journeys/first/journey.yaml
    journey: first
    language: 1
    title: What comes first
    trigger: {event: Signed Up}
    steps:
      - {id: pause, wait: 1d}
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.model.triggers import JourneyTrigger
from runner.journey.project import Project, journey_path
from runner.journey.words import did_you_mean
from runner.problem import Problem


def check(project: Project) -> Iterator[Problem]:
    for journey in project.journeys.values():
        for trigger in journey.triggers:
            if not isinstance(trigger, JourneyTrigger) or trigger.journey in project.journeys:
                continue
            if journey_path(trigger.journey) in project.files:  # what is wrong with it is told there
                continue
            message = f'There is no journey "{trigger.journey}".'
            hint = did_you_mean(trigger.journey, project.journeys)
            yield Problem(code="trigger/unknown-journey", message=message, span=trigger.span, hint=hint)

"""A trigger that waits for the end of a journey names a journey of the project, and an end that it may come to.

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

Fails:

    # journeys/demo/journey.yaml
    journey: demo
    language: 1
    title: What comes next
    trigger: {journey: first, outcome: bougt}
    steps:
      - {id: pause, wait: 1d}
    # journeys/first/journey.yaml
    journey: first
    language: 1
    title: What comes first
    trigger: {event: Signed Up}
    exit: [{event: Order Completed, reason: bought}]
    steps:
      - {id: pause, wait: 1d}
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.graph import compile_program
from runner.journey.model import Again, Journey, Retired
from runner.journey.model.jumps import Exit
from runner.journey.model.triggers import JourneyTrigger
from runner.journey.project import Project, journey_path
from runner.journey.words import did_you_mean, listed
from runner.problem import Problem, Severity


def check(project: Project) -> Iterator[Problem]:
    for journey in project.journeys.values():
        for trigger in journey.triggers:
            if not isinstance(trigger, JourneyTrigger):
                continue
            if trigger.journey in project.journeys:
                yield from _outcome(trigger, project.journeys[trigger.journey])
            elif journey_path(trigger.journey) not in project.files:  # what is wrong with one is told there
                message = f'There is no journey "{trigger.journey}".'
                hint = did_you_mean(trigger.journey, project.journeys)
                yield Problem(code="trigger/unknown-journey", message=message, span=trigger.span, hint=hint)


def _outcome(trigger: JourneyTrigger, ended: Journey) -> Iterator[Problem]:
    outcomes = _outcomes(ended)
    if trigger.outcome is None or trigger.outcome in outcomes:
        return
    yield Problem(
        code="trigger/unknown-outcome",
        message=f"`{ended.name}` never ends with `{trigger.outcome}`.",
        span=trigger.span,
        hint=did_you_mean(trigger.outcome, outcomes) or f"It may end with {listed(outcomes)}.",
        severity=Severity.WARNING,  # who ends runs by hand chooses the reason
    )


def _outcomes(journey: Journey) -> list[str]:
    """How runs of the journey may end by themselves."""
    reasons = {edge.reason for node in compile_program(journey).nodes for edge in node.edges if edge.reason}
    reasons.update(rule.reason for rule in journey.exits)
    reasons.update(link.action.reason for link in journey.links if isinstance(link.action, Exit))
    in_flight = journey.in_flight
    reasons.update(target.reason for target in in_flight.moved.values() if isinstance(target, Exit))
    if in_flight.retired is Retired.EXIT:
        reasons.add("retired")
    if journey.goal is not None and journey.goal.exits:
        reasons.add("goal")
    if journey.entry.again is Again.RESTART:
        reasons.add("restarted")
    return ["completed", *sorted(reasons)]

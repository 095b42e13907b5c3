"""A step that enrolls names a journey of the project that can be entered by hand, and hands over what it declares.

Passes:

    # journeys/demo/journey.yaml
    steps:
      - {id: pass-on, enroll: {journey: next, properties: {plan: pro}}}
    # journeys/next/journey.yaml
    journey: next
    language: 1
    title: What comes next
    trigger: {manual: true, properties: {plan: string}}
    steps:
      - {id: pause, wait: 1d}

Fails:

    # journeys/demo/journey.yaml
    steps:
      - {id: pass-on, enroll: nxt}
    # journeys/next/journey.yaml
    journey: next
    language: 1
    title: What comes next
    trigger: {manual: true}
    steps:
      - {id: pause, wait: 1d}

Fails:

    # journeys/demo/journey.yaml
    steps:
      - {id: pass-on, enroll: {journey: next, properties: {plann: pro}}}
      - {id: and-on, enroll: later}
    # journeys/next/journey.yaml
    journey: next
    language: 1
    title: What comes next
    trigger: {manual: true, properties: {plan: string}}
    steps:
      - {id: pause, wait: 1d}
    # journeys/later/journey.yaml
    journey: later
    language: 1
    title: What comes later
    trigger: {event: Signed Up}
    steps:
      - {id: pause, wait: 1d}
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.builder.kinds import a_kind
from runner.journey.graph import steps_with
from runner.journey.model import Enroll, ManualTrigger, Step
from runner.journey.project import Project, journey_path
from runner.journey.words import did_you_mean, listed
from runner.problem import Problem
from runner.review.places import value_span


def check(project: Project) -> Iterator[Problem]:
    for name, journey in project.journeys.items():
        for step, enroll in steps_with(journey, Enroll):
            yield from _problems(project, name, step, enroll)


def _problems(project: Project, journey: str, step: Step, verb: Enroll) -> Iterator[Problem]:
    target = project.journeys.get(verb.journey)
    if target is None:
        if journey_path(verb.journey) not in project.files:  # else what is wrong with it is told there
            hint = did_you_mean(verb.journey, project.journeys)
            message = f'There is no journey "{verb.journey}".'
            place = value_span(project, journey, step.id, "enroll", "journey")
            yield Problem(code="enroll/unknown", message=message, span=place, hint=hint)
        return
    manual = next((each for each in target.triggers if isinstance(each, ManualTrigger)), None)
    if manual is None:
        message = f"`{verb.journey}` cannot be entered by hand."
        hint = "Give it `trigger: {manual: true}`, beside its other triggers if it has some."
        place = value_span(project, journey, step.id, "enroll", "journey")
        yield Problem(code="enroll/not-manual", message=message, span=place, hint=hint)
        return
    for key, given in verb.properties:
        declared = manual.properties.get(key)
        if declared is not None and declared.kind is given.type.kind:
            continue
        span = value_span(project, journey, step.id, "enroll", "properties", key)
        if declared is None:
            there = listed(sorted(manual.properties), "and")
            hint = did_you_mean(key, manual.properties) or (f"It declares {there}." if there else None)
            message = f"The manual trigger of `{verb.journey}` declares no property `{key}`."
            yield Problem(code="enroll/property", message=message, span=span, hint=hint)
        else:
            message = f"`{key}` is {a_kind(declared)} in `{verb.journey}`, not {a_kind(given.type)}."
            yield Problem(code="enroll/property", message=message, span=span)

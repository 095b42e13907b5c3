"""Journeys that start each other in a circle: the engine sets a run aside that causes too much at one instant.

Passes:

    # journeys/demo/journey.yaml
    steps:
      - {id: trial, emit: Trial Started}
    # journeys/trial/journey.yaml
    journey: trial
    language: 1
    title: The trial
    trigger: {event: Trial Started}
    steps:
      - {id: pause, wait: 1d}

Fails:

    # journeys/demo/journey.yaml
    steps:
      - {id: trial, emit: Trial Started}
    # journeys/trial/journey.yaml
    journey: trial
    language: 1
    title: The trial
    trigger: {event: Trial Started}
    steps:
      - {id: sign-up, emit: Signed Up}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runner.journey.circles import circles
from runner.journey.graph import walk
from runner.journey.model import Emit, Enroll, EventTrigger, Journey, JourneyTrigger, ManualTrigger, Step
from runner.journey.project import Project
from runner.problem import Problem, Severity, Span


@dataclass(frozen=True, kw_only=True)
class _Cause:
    """Something in ``journey`` that starts ``other``: a step, or, where there is none, its end."""

    journey: str
    other: str
    how: str
    step: Step | None = None


@dataclass(frozen=True, kw_only=True)
class _Starts:
    """What starts a journey: events, the ends of other journeys, somebody by hand."""

    events: frozenset[str]
    journeys: frozenset[str]
    by_hand: bool


def check(project: Project) -> Iterator[Problem]:
    starts = {name: _starts(journey) for name, journey in project.journeys.items()}
    causes = {name: list(_causes(journey, starts)) for name, journey in sorted(project.journeys.items())}
    for circle in circles(causes, lambda cause: cause.other):
        first = circle[0]
        told = ", ".join(f"`{cause.journey}` {cause.how} `{cause.other}`" for cause in circle)
        yield Problem(
            code="journey/circle",
            message=f"These journeys start each other in a circle: {told}."
            if len(circle) > 1
            else f"This journey starts itself: it {first.how} `{first.other}`.",
            span=_place(project, first),
            hint="Let the last one only record an event that starts none of them, or end the circle by a condition of "
            "an entry. A run that causes more than 50 events at one instant is set aside.",
            severity=Severity.WARNING,
        )


def _causes(journey: Journey, starts: Mapping[str, _Starts]) -> Iterator[_Cause]:
    acting = [step for step in walk(journey.steps) if isinstance(step.verb, Emit | Enroll)]
    for name, other in starts.items():
        for step in acting:
            verb = step.verb
            if isinstance(verb, Emit) and verb.event in other.events:
                yield _Cause(
                    journey=journey.name, other=name, how=f"records {verb.event}, which starts", step=step
                )
            if isinstance(verb, Enroll) and verb.journey == name and other.by_hand:
                yield _Cause(journey=journey.name, other=name, how="enrolls into", step=step)
        if journey.name in other.journeys:
            yield _Cause(journey=journey.name, other=name, how="ends, which starts")


def _starts(journey: Journey) -> _Starts:
    return _Starts(
        events=frozenset(each.event for each in journey.triggers if isinstance(each, EventTrigger)),
        journeys=frozenset(each.journey for each in journey.triggers if isinstance(each, JourneyTrigger)),
        by_hand=any(isinstance(each, ManualTrigger) for each in journey.triggers),
    )


def _place(project: Project, cause: _Cause) -> Span:
    if cause.step is None:
        return project.journeys[cause.journey].span
    return cause.step.span

"""A condition that is true for nobody: its parts contradict each other, or ask for a value that there never is.

Passes:

    # journeys/demo/journey.yaml
    steps:
      - {id: gate, condition: 18 <= contact.lifetime_value < 65}
      - {id: hello, send: email}

Fails:

    # journeys/demo/journey.yaml
    steps:
      - {id: gate, condition: contact.lifetime_value < 18 and contact.lifetime_value >= 65}
      - {id: hello, send: email}

Fails:

    # journeys/demo/journey.yaml
    journey: demo
    language: 1
    title: Hello
    topic: news
    trigger: {event: Signed Up, where: event.plan == "pro"}
    steps:
      - {id: gate, condition: trigger.plan == "free"}
      - {id: hello, send: email}

Fails:

    # journeys/demo/journey.yaml
    steps:
      - id: gate
        condition: did("Order Completed", within="30d") and days_since("Order Completed") > 60
      - {id: hello, send: email}
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.project import Project
from runner.problem import Problem
from runner.review.proof.conditions import stated
from runner.review.proof.question import Prover


def check(project: Project) -> Iterator[Problem]:
    yield from proven(project, Prover())


def proven(project: Project, prover: Prover) -> Iterator[Problem]:
    """As ``check``, by another prover."""
    for each in stated(project, prover):
        if prover.can_be_true(each.condition, given=each.given) or (span := each.span(project)) is None:
            continue
        yield Problem(
            code="condition/always-false",
            message=f"{each.part} is true for nobody{each.whom}.",
            span=span,
            hint="Look at what it asks for at once: `or` where `and` stands, a limit the wrong way round.",
        )

"""A condition that is true for everybody decides nothing: what stands behind it always happens.

Passes:

    # journeys/demo/journey.yaml
    steps:
      - id: gate
        condition: contact.plan == "free" or contact.plan == "pro"
      - {id: hello, send: email}

Fails:

    # journeys/demo/journey.yaml
    steps:
      - id: gate
        condition: contact.plan == "free" or contact.plan == "pro" or contact.plan is None
      - {id: hello, send: email}
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.project import Project
from runner.problem import Problem, Severity
from runner.review.proof.conditions import stated
from runner.review.proof.question import Prover


def check(project: Project) -> Iterator[Problem]:
    yield from proven(project, Prover())


def proven(project: Project, prover: Prover) -> Iterator[Problem]:
    """As ``check``, by another prover."""
    for each in stated(project, prover):
        if prover.can_be_untrue(each.condition, given=each.given) or (span := each.span(project)) is None:
            continue
        yield Problem(
            code="condition/always-true",
            message=f"{each.part} is true for everybody{each.whom}.",
            span=span,
            hint="Remove it, or look at it again: what is missing makes a comparison false, and `not` of it true.",
            severity=Severity.WARNING,
        )

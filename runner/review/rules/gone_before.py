"""A condition to which nobody comes for whom it is true: an exit rule has taken them out of the journey before.

Passes:

    # journeys/demo/journey.yaml
    journey: demo
    language: 1
    title: Hello
    topic: news
    trigger: {event: Signed Up}
    exit:
      - {when: contact.plan == "free", reason: free}
    steps:
      - id: plan
        branch:
          - {name: pro, when: contact.plan == "pro", steps: [{id: hello, send: email}]}
          - {name: others, else: []}

Fails:

    # journeys/demo/journey.yaml
    journey: demo
    language: 1
    title: Hello
    topic: news
    trigger: {event: Signed Up}
    exit:
      - {when: contact.plan == "free" or contact.plan is None, reason: free}
    steps:
      - id: plan
        branch:
          - {name: free, when: contact.plan == "free" and contact.vip, steps: [{id: upgrade, exit: asked}]}
          - {name: others, else: [{id: hello, send: email}]}
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.expression import tree
from runner.journey.model import ExitRule, Journey
from runner.journey.project import Project
from runner.problem import Problem, Severity
from runner.review.proof.conditions import of_steps
from runner.review.proof.question import Prover


def check(project: Project) -> Iterator[Problem]:
    yield from proven(project, Prover())


def proven(project: Project, prover: Prover) -> Iterator[Problem]:
    """As ``check``, by another prover."""
    for name, journey in project.journeys.items():
        rules = _standing(journey)
        for each in of_steps(name, journey, prover) if rules else ():
            if prover.can_be_true(each.condition, [taken_out for _, taken_out in rules], given=each.given):
                continue
            # What is true for nobody by itself has a finding of its own.
            if not prover.can_be_true(each.condition, given=each.given) or not (span := each.span(project)):
                continue
            by = [
                rule.reason
                for rule, taken_out in rules
                if not prover.can_be_true(each.condition, (taken_out,), given=each.given)
            ]
            whom = f"the exit rule `{by[0]}` has" if by else "the exit rules have"
            yield Problem(
                code="condition/gone-before",
                message=f"{each.part} is true for nobody who is still in the journey: {whom} taken them out before.",
                span=span,
                hint="Remove what stands behind it, or say in the exit rule whom it leaves in the journey.",
                severity=Severity.WARNING,
            )


def _standing(journey: Journey) -> list[tuple[ExitRule, tree.Node]]:
    """The exit rules that are read before each step, with their conditions. Those about values of the run are left
    out: a step may write one on its way."""
    return [
        (rule, rule.when.tree)
        for rule in journey.exits
        if rule.when is not None
        and not any(
            isinstance(part, tree.Name) and part.source == "run" for part in tree.walk(rule.when.tree)
        )
    ]

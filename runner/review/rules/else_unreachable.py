"""The ``else`` of a branch, or of a condition, to which nobody comes: the cases before it leave nobody over.

Passes:

    # journeys/demo/journey.yaml
    steps:
      - id: plan
        branch:
          - {name: free, when: contact.plan == "free", steps: [{id: hello, send: email}]}
          - {name: pro, when: contact.plan == "pro", steps: []}
          - {name: unknown, else: []}

Fails:

    # journeys/demo/journey.yaml
    steps:
      - id: plan
        branch:
          - {name: free, when: contact.plan == "free", steps: [{id: hello, send: email}]}
          - {name: others, when: contact.plan is None or contact.plan == "pro", steps: []}
          - {name: rest, else: [{id: bye, exit: done}]}
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.project import Project
from runner.journey.words import listed
from runner.problem import Problem, Severity
from runner.review.proof.conditions import branches
from runner.review.proof.question import Prover


def check(project: Project) -> Iterator[Problem]:
    yield from proven(project, Prover())


def proven(project: Project, prover: Prover) -> Iterator[Problem]:
    """As ``check``, by another prover."""
    for _, _, branch, known in branches(project, prover):
        asked = [case for case in branch.cases if case.when is not None]
        rest = next((case for case in branch.cases if case.when is None), None)
        # An `else` without steps is only what the language asks for.
        if rest is None or not rest.steps:
            continue
        conditions = [case.when.tree for case in asked if case.when is not None]
        # A case that is true for everybody by itself has a finding of its own.
        if prover.can_all_be_untrue(conditions, given=known) or not all(
            prover.can_be_untrue(condition, given=known) for condition in conditions
        ):
            continue
        names = listed([case.name for case in asked], "and")
        yield Problem(
            code="branch/else-unreachable",
            message=f"Nobody comes to the case `{rest.name}`: {names} leave nobody over.",
            span=rest.steps[0].span,
            hint="Make the last of them the `else`, and leave out its `when`.",
            severity=Severity.WARNING,
        )

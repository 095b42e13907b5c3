"""A case of a branch to which nobody comes: whoever it is for falls into an earlier one.

Passes:

    # journeys/demo/journey.yaml
    steps:
      - id: value
        branch:
          - {name: high, when: contact.lifetime_value >= 1000, steps: [{id: hello, send: email}]}
          - {name: some, when: contact.lifetime_value >= 100, steps: []}
          - {name: rest, else: []}

Fails:

    # journeys/demo/journey.yaml
    steps:
      - id: value
        branch:
          - {name: some, when: contact.lifetime_value >= 100, steps: [{id: hello, send: email}]}
          - {name: high, when: contact.lifetime_value >= 1000, steps: []}
          - {name: rest, else: []}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.journey.expression.tree import Node
from runner.journey.model import Case
from runner.journey.project import Project, journey_path
from runner.journey.words import listed
from runner.problem import Problem
from runner.review.places import value_span
from runner.review.proof.conditions import branch_case, branches
from runner.review.proof.question import Prover


def check(project: Project) -> Iterator[Problem]:
    yield from proven(project, Prover())


def proven(project: Project, prover: Prover) -> Iterator[Problem]:
    """As ``check``, by another prover."""
    for name, step, branch, known in branches(project, prover):
        for place, covered, by in _covered(branch.cases, known, prover):
            names = listed([case.name for case in by], "and")
            own = branch_case(branch.cases, place, journey_path(name), step.id)
            yield Problem(
                code="branch/covered",
                message=f"Nobody comes to the case `{covered.name}`: whoever it is for is in {names} already.",
                span=own.span(project) or value_span(project, name, step.id, "branch"),
                hint="The first case that is true counts: put the narrower one first, or remove it.",
            )


def _covered(
    cases: Sequence[Case], known: Sequence[Node], prover: Prover
) -> Iterator[tuple[int, Case, list[Case]]]:
    """The cases that earlier ones cover, each with its place and with those that do: as few of them as are needed."""
    before: list[tuple[Case, Node]] = []
    for place, case in enumerate(cases):
        if case.when is None:
            continue
        condition = case.when.tree
        earlier = [node for _, node in before]
        # What is true for nobody has a finding of its own, as has what is true for everybody.
        if (
            before
            and not prover.can_be_true(condition, earlier, given=known)
            and prover.can_be_true(condition, given=known)
        ):
            by = list(before)
            for each in before:
                fewer = [other for other in by if other is not each]
                if fewer and not prover.can_be_true(condition, [node for _, node in fewer], given=known):
                    by = fewer
            yield place, case, [one for one, _ in by]
        else:
            before.append((case, condition))

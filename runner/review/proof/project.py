"""The prover of one project: what its catalog promises of stored values, and what its journeys write beside that."""

from __future__ import annotations

from runner.journey.expression import tree
from runner.journey.expression.tree import Node
from runner.journey.graph import walk
from runner.journey.model import Update
from runner.journey.project import Project
from runner.review.proof.intervals import possible
from runner.review.proof.question import Prover, Reasoner


def prover_of(project: Project, reasoner: Reasoner = possible) -> Prover:
    """A prover that relies on ``one_of`` of those attributes alone into which no journey writes anything else."""
    return Prover(reasoner, unsure=_unsure(project))


def _unsure(project: Project) -> frozenset[str]:
    """The attributes into which a step may write another text than their ``one_of`` has."""
    found: set[str] = set()
    for journey in project.journeys.values():
        for step in walk(journey.steps):
            for name, expression in step.verb.attributes if isinstance(step.verb, Update) else ():
                declared = project.catalog.attributes.get(name)
                if declared is not None and declared.type.one_of:
                    allowed = frozenset(declared.type.one_of)
                    found |= set() if _within(expression.tree, allowed) else {name}
    return frozenset(found)


def _within(node: Node, allowed: frozenset[str]) -> bool:
    """Whether ``node`` surely comes to one of ``allowed``, or to nothing."""
    match node:
        case tree.Literal(value=value):
            return value is None or value in allowed
        case tree.Conditional(then=then, otherwise=otherwise):
            return _within(then, allowed) and _within(otherwise, allowed)
        case tree.Derived(value=inner):
            return _within(inner, allowed)
        case tree.Name(source="contact" | "account"):
            return bool(node.type.one_of) and allowed.issuperset(node.type.one_of)
    return False

"""Whether a formula can hold for any contact, found by reasoning over intervals, choices and what is missing.

Sound, not complete: "no" is so, "yes" is a perhaps. Claims narrow what is known until they contradict each other; what
is joined by ``either`` is tried part by part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from runner.journey.expression import tree
from runner.journey.expression.tree import Node
from runner.journey.values import Kind
from runner.review.proof.arithmetic import compares
from runner.review.proof.differences import ZERO, Bound, Differences
from runner.review.proof.facts import (
    atoms,
    choices,
    computed_parts,
    literals,
    may_overflow,
    number_range,
)
from runner.review.proof.formula import Both, Claim, Either, Fails, Formula, Holds, Missing, Order, claims
from runner.review.proof.lines import Limit, constraints

MOST_TRIED = 400
"""Parts of ``either`` that are tried before the answer is a perhaps."""


def possible(formula: Formula) -> bool:
    """False where ``formula`` surely holds for nobody."""
    return _Search().succeeds(_Known(_ranks(formula)), [formula])


def _ranks(formula: Formula) -> Mapping[str, int]:
    """The texts that are written out, each with its place among them; the empty one comes first."""
    texts = {""}
    for claim in claims(formula):
        for node in (claim.left, claim.right) if isinstance(claim, Order) else ():
            texts.update(str(each.value) for each in literals(node) if each.type.kind is Kind.STRING)
    return {text: place for place, text in enumerate(sorted(texts))}


class _Known:
    """What is known about the contact. Each method that takes something in answers False where it contradicts."""

    def __init__(self, ranks: Mapping[str, int]) -> None:
        self.ranks = ranks
        self.states: dict[tuple[type, Node], bool] = {}
        self.choices: dict[Node, frozenset[str]] = {}
        self.differences = Differences()

    def copy(self) -> _Known:
        other = _Known(self.ranks)
        other.states, other.choices = dict(self.states), dict(self.choices)
        other.differences = self.differences.copy()
        return other

    def take(self, claim: Claim) -> bool:
        if isinstance(claim, Order):
            return self.take_order(claim)
        if isinstance(claim, Fails) and claim.wanted and not may_overflow(claim.node):
            return False
        return self.states.setdefault((type(claim), claim.node), claim.wanted) is claim.wanted

    def take_order(self, claim: Order) -> bool:
        if not all(self.take(each) for each in _presence(claim)) or not self.choose(claim):
            return False
        for found in constraints(claim, self.ranks):
            if not (self.meet(found.left) and self.meet(found.right)):
                return False
            good = (
                self.differences.limit(found.left, found.right, found.bound)
                if isinstance(found, Limit)
                else self.differences.part(found.left, found.right, found.value)
            )
            if not good:
                return False
        return True

    def choose(self, claim: Order) -> bool:
        """Narrows the choices of a text that is compared with one that is written out."""
        if isinstance(claim.right, tree.Literal) and (known := self.chosen(claim.left)):
            value = claim.right.value
            left = frozenset(each for each in known if compares(claim.operator, each, value))
        elif isinstance(claim.left, tree.Literal) and (known := self.chosen(claim.right)):
            value = claim.left.value
            left = frozenset(each for each in known if compares(claim.operator, value, each))
        else:
            return True
        self.choices[claim.left if isinstance(claim.right, tree.Literal) else claim.right] = left
        return bool(left)

    def chosen(self, node: Node) -> frozenset[str]:
        found = self.choices.get(node)
        return choices(node) if found is None else found

    def meet(self, key: object) -> bool:
        """Takes in what is known of a value that was not yet spoken of."""
        if self.differences.knows(key):
            return True
        assert not isinstance(key, int)
        node: Node = key  # type: ignore[assignment]
        kind = node.type.kind
        if kind is Kind.NUMBER:
            range = number_range(node)
            self.differences.add(node, range.step)
            return self.differences.limit(node, ZERO, Bound(range.high)) and self.differences.limit(
                ZERO, node, Bound(-range.low)
            )
        self.differences.add(node, None)
        return kind is not Kind.STRING or self.differences.limit(ZERO, node, Bound(0))

    def refutes(self, formula: Formula) -> bool:
        """Whether it is seen at once that ``formula`` contradicts what is known."""
        if isinstance(formula, Both):
            return any(self.refutes(part) for part in formula.parts if not isinstance(part, Either))
        if isinstance(formula, Either):
            return all(self.refutes(part) for part in formula.parts)
        if not isinstance(formula, Order):
            known = self.states.get((type(formula), formula.node))
            return known is not None and known is not formula.wanted
        return any(self.refutes(each) for each in _presence(formula)) or any(
            isinstance(each, Limit) and self.differences.refutes(each.left, each.right, each.bound)
            for each in constraints(formula, self.ranks)
        )

    def has(self, formula: Formula) -> bool:
        """Whether ``formula`` has been taken in already."""
        if isinstance(formula, Holds | Missing | Fails):
            return self.states.get((type(formula), formula.node)) is formula.wanted
        return False


def _presence(claim: Order) -> Iterator[Claim]:
    """That the values which ``claim`` compares are there."""
    for node in (claim.left, claim.right):
        yield from (Missing(atom, False) for atom in atoms(node))
        yield from (Fails(part, False) for part in computed_parts(node))


class _Search:
    def __init__(self) -> None:
        self.left = MOST_TRIED

    def succeeds(self, known: _Known, formulas: Iterable[Formula]) -> bool:
        """Whether ``formulas`` may hold beside what is ``known``, which is changed."""
        open = self.settled(known, list(formulas))
        if open is None:
            return False
        if not open:
            return True
        chosen = min(open, key=lambda each: len(each.parts))
        rest = [each for each in open if each is not chosen]
        for part in chosen.parts:
            self.left -= 1
            if self.left < 0 or self.succeeds(known.copy(), [part, *rest]):
                return True
        return False

    def settled(self, known: _Known, todo: list[Formula]) -> list[Either] | None:
        """Takes in all that is certain; what has still to be tried, or None where there is a contradiction."""
        open: list[Either] = []
        while todo:
            while todo:
                formula = todo.pop()
                if isinstance(formula, Both):
                    todo.extend(formula.parts)
                elif isinstance(formula, Either):
                    open.append(formula)
                elif not known.take(formula):
                    return None
            still: list[Either] = []
            for each in open:
                if any(known.has(part) for part in each.parts):
                    continue
                parts = tuple(part for part in each.parts if not known.refutes(part))
                if not parts:
                    return None
                if len(parts) == 1:
                    todo.append(parts[0])
                else:
                    still.append(each if len(parts) == len(each.parts) else Either(parts))
            open = still
        return open

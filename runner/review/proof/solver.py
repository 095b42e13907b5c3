"""The same questions, answered by Z3: it also sees through products, sums of several values and long alternatives.

Z3 is the optional extra ``prove``. A question that takes it longer than the limit counts as a perhaps. The reference is
de Moura and Bjørner 2008, "Z3: an efficient SMT solver".
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runner.journey.expression import tree
from runner.journey.expression.tree import Node
from runner.journey.values import LARGEST, MILLIONTHS, Kind
from runner.problem import JourneysError
from runner.review.proof.arithmetic import DAY, place
from runner.review.proof.facts import atoms, choices, computed_parts, literals, number_range, read
from runner.review.proof.formula import Both, Claim, Either, Fails, Formula, Holds, Missing, Order, claims
from runner.review.proof.intervals import possible

if TYPE_CHECKING:
    from runner.review.proof.question import Reasoner

SECONDS_A_QUESTION = 2.0


class SolverMissing(JourneysError):
    """`--prove` needs Z3, which is not installed. Install it: pip install 'journeys-as-code[prove]'"""

    exit_code = 2


def solver(seconds: float = SECONDS_A_QUESTION) -> Reasoner:
    """Z3 as a reasoner, with so long for each question that intervals leave open. Raises SolverMissing where it is not
    installed."""
    if importlib.util.find_spec("z3") is None:
        raise SolverMissing(SolverMissing.__doc__)
    return lambda formula: possible(formula) and solved(formula, seconds) is not False


def solved(formula: Formula, seconds: float) -> bool | None:
    """Whether ``formula`` can hold for anybody; None where so many seconds were not enough to know."""
    import z3

    translated = _Translator(z3, formula)
    asked = z3.Solver(ctx=translated.context)
    asked.set("timeout", round(seconds * 1000))
    asked.add(translated.formula(formula), *translated.facts)
    answer = asked.check()
    return None if answer == z3.unknown else bool(answer == z3.sat)


class _Translator:
    """Numbers become integers, millionths as they are; dates and texts become reals, since their order alone counts:
    between any two there may be a third."""

    def __init__(self, z3: Any, formula: Formula) -> None:
        self.z3 = z3
        self.context = z3.Context()
        self.ranks = _ranks(formula)
        self.facts: list[Any] = []
        self._names: dict[tuple[str, Node], Any] = {}

    def formula(self, formula: Formula) -> Any:
        if isinstance(formula, Both | Either):
            join = self.z3.And if isinstance(formula, Both) else self.z3.Or
            # With no parts, only a context says whose And it is.
            return join(
                *(self.formula(part) for part in formula.parts), self._bool(isinstance(formula, Both))
            )
        return self.claim(formula)

    def _bool(self, value: bool) -> Any:
        return self.z3.BoolVal(value, self.context)

    def claim(self, claim: Claim) -> Any:
        match claim:
            case Order(operator=operator, left=left, right=right):
                one, other = self.value(left), self.value(right)
                holds = {
                    "==": one == other,
                    "!=": one != other,
                    "<": one < other,
                    "<=": one <= other,
                    ">": one > other,
                    ">=": one >= other,
                }[operator]
                return self.z3.And(holds, *self.presence(left), *self.presence(right))
            case Fails(node=tree.Arithmetic() as node, wanted=wanted):
                return self.fails(node) if wanted else self.z3.Not(self.fails(node))
            case (
                Holds(node=node, wanted=wanted)
                | Missing(node=node, wanted=wanted)
                | Fails(node=node, wanted=wanted)
            ):
                named = self.state(type(claim).__name__, node)
                return named if wanted else self.z3.Not(named)

    def presence(self, node: Node) -> list[Any]:
        """That a value is there, and all that it is computed from."""
        there = [self.claim(Missing(atom, False)) for atom in atoms(node)]
        for part in computed_parts(node):
            there.append(self.claim(Fails(part, False)))
            # A date that can be moved or counted from is one of the calendar.
            if isinstance(part, tree.Shift):
                there.append(self.on_calendar(part.operand))
            elif isinstance(part, tree.Difference):
                there += [self.on_calendar(part.left), self.on_calendar(part.right)]
        return there

    def on_calendar(self, node: Node) -> Any:
        step = DAY if node.type.kind is Kind.DATE else 1
        count = self._name("calendar", node, self.z3.Int)
        return self.value(node) == self.z3.ToReal(step * count)

    def fails(self, node: tree.Arithmetic) -> Any:
        result = self.value(node)
        too_large = self.z3.Or(result > LARGEST, result < -LARGEST)
        return self.z3.Or(self.value(node.right) == 0, too_large) if node.operator == "/" else too_large

    def state(self, kind: str, node: Node) -> Any:
        return self._name(kind, node, self.z3.Bool)

    def _name(self, kind: str, node: Node, make: Any) -> Any:
        found = self._names.get((kind, node))
        if found is None:
            name = f"{kind} {len(self._names)}"
            found = self._names[kind, node] = make(name, self.context)
        return found

    # Values ---------------------------------------------------------------------------------------------------

    def value(self, node: Node) -> Any:
        match node:
            case tree.Literal():
                if node.type.kind is Kind.STRING:
                    return self.z3.RealVal(self.ranks[str(node.value)], self.context)
                if node.type.kind is Kind.NUMBER:
                    return self.z3.IntVal(place(node), self.context)
                return self.z3.RealVal(place(node), self.context)
            case tree.Shift(operand=operand, microseconds=microseconds):
                return self.value(operand) + microseconds
            case tree.Negative(operand=operand):
                return -self.value(operand)
            case tree.Difference(left=left, right=right):
                apart = self.z3.ToInt(self.value(left) - self.value(right))
                return self.rounded(apart, DAY // MILLIONTHS)
            case tree.Arithmetic(operator=operator, left=left, right=right):
                return self.computed(operator, self.value(left), self.value(right))
        return self.atom(node)

    def computed(self, operator: str, one: Any, other: Any) -> Any:
        match operator:
            case "+":
                return one + other
            case "-":
                return one - other
            case "*":
                return self.rounded(one * other, MILLIONTHS)
        return self.z3.If(
            other > 0, self.rounded(one * MILLIONTHS, other), self.rounded(-one * MILLIONTHS, -other)
        )

    def rounded(self, numerator: Any, denominator: Any) -> Any:
        """Half away from zero, by a denominator above zero."""
        return self.z3.If(
            numerator >= 0,
            (2 * numerator + denominator) / (2 * denominator),
            -((-2 * numerator + denominator) / (2 * denominator)),
        )

    def atom(self, node: Node) -> Any:
        known = ("value", node) in self._names
        kind = node.type.kind
        named = self._name("value", node, self.z3.Int if kind is Kind.NUMBER else self.z3.Real)
        if known:
            return named
        if kind is Kind.NUMBER:
            range = number_range(node)
            self.facts += [named >= range.low, named <= range.high]
            if range.step > 1:
                self.facts.append(named % range.step == 0)
        elif kind is Kind.STRING:
            self.facts.append(named >= 0)
            if allowed := choices(node):
                is_one = self.z3.Or(*(named == self.ranks[each] for each in allowed), self._bool(False))
                self.facts.append(self.z3.Or(self.state("Missing", node), is_one))
        return named


def _ranks(formula: Formula) -> Mapping[str, int]:
    """The texts that are written out or may be chosen, each with its place among them; the empty one comes first."""
    texts = {""}
    for node in read(formula):
        texts.update(choices(node))
    for claim in claims(formula):
        for node in (claim.left, claim.right) if isinstance(claim, Order) else ():
            texts.update(str(each.value) for each in literals(node) if each.type.kind is Kind.STRING)
    return {text: place for place, text in enumerate(sorted(texts))}

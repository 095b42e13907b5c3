"""From the typed tree of an expression to a formula: what must be so for it to be true, or for it not to be.

Missing values make comparisons false, and ``not`` of them true: so "not true" is no negation of "true" alone, but says
of each value whether it is there. Values chosen by ``x if c else y``, stages among them, are told apart here: no claim
holds one, unless there are too many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

from runner.journey.expression import tree
from runner.journey.expression.lower import lower
from runner.journey.expression.tree import Node
from runner.journey.values import MILLIONTHS, NUMBER, STRING, Kind
from runner.review.proof.arithmetic import compares, computed, distance, moment, shifted
from runner.review.proof.formula import (
    ALWAYS,
    NEVER,
    Fails,
    Formula,
    Holds,
    Missing,
    Order,
    both,
    either,
    extent,
)

MOST_OUTCOMES = 32
"""Values of one node that are told apart; with more, it is a value of which nothing is known."""

MOST_CLAIMS = 1_000
"""Claims that one condition makes; nothing is known of one that makes more."""

_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_REFLEXIVE = frozenset({"==", "<=", ">="})
_ALWAYS_THERE = (tree.Members, tree.Clock, tree.Count, tree.People, tree.HoursLeft)
_NAMED_ALWAYS = frozenset({("contact", ("id",)), ("contact", ("tags",)), ("run", ("entered_at",))})
_ONE = tree.Literal(MILLIONTHS, NUMBER)

Outcome = tuple[Formula, Node]
"""A value that a node may have, and when it does."""


class Encoder:
    """Encodes the conditions of one question, or of many: it keeps what it has encoded."""

    def __init__(self) -> None:
        self._true: dict[Node, Formula] = {}
        self._untrue: dict[Node, Formula] = {}

    def true(self, node: Node) -> Formula:
        """When the condition ``node`` is true."""
        found = self._true.get(node)
        if found is None:
            found = self._true[node] = _limited(self._condition(node, wanted=True))
        return found

    def untrue(self, node: Node) -> Formula:
        """When the condition ``node`` is false or missing."""
        found = self._untrue.get(node)
        if found is None:
            found = self._untrue[node] = _limited(self._condition(node, wanted=False))
        return found

    def _asked(self, node: Node, *, wanted: bool) -> Formula:
        return self.true(node) if wanted else self.untrue(node)

    def _condition(self, node: Node, *, wanted: bool) -> Formula:
        match node:
            case tree.Literal(value=value):
                return ALWAYS if (value is True) is wanted else NEVER
            case tree.Logic(operator=operator, operands=operands):
                join = both if (operator == "and") is wanted else either
                return join(self._asked(operand, wanted=wanted) for operand in operands)
            case tree.Not(operand=operand):
                return self._asked(operand, wanted=not wanted)
            case tree.Conditional(test=test, then=then, otherwise=otherwise):
                return either(
                    both((self._asked(test, wanted=chosen), self._asked(value, wanted=wanted)))
                    for chosen, value in ((True, then), (False, otherwise))
                )
            case tree.Comparison():
                return self._comparison(node, wanted=wanted)
            case tree.Membership():
                return self._membership(node, wanted=wanted)
            case tree.IsNone(operand=operand, negated=negated):
                return self._missing(operand, wanted=wanted is not negated)
            case tree.TextTest(operator=operator, text=text, affix=affix):
                return either(
                    both((when, self._text_test(tree.TextTest(operator, *parts), wanted=wanted)))
                    for when, parts in self._combined((text, affix))
                )
            case tree.Matches(text=text, pattern=pattern):
                return either(
                    both((when, self._opaque(tree.Matches(one, pattern), (one,), wanted=wanted)))
                    for when, one in self.outcomes(text)
                )
            case tree.Did(event=event, within=within, where=where, by_account=by_account):
                count = tree.Count(event=event, within=within, where=where, by_account=by_account)
                return Order(">=" if wanted else "<", count, _ONE)
            case (
                tree.Reaction(condition=inner)
                | tree.InSegment(condition=inner)
                | tree.Reachable(condition=inner)
            ):
                return self._asked(inner, wanted=wanted)
        return Holds(node, wanted)

    # Comparisons ----------------------------------------------------------------------------------------------

    def _comparison(self, node: tree.Comparison, *, wanted: bool) -> Formula:
        if node.left.type.kind is Kind.BOOLEAN:
            return self._same_truth(node.operator, node.left, node.right, wanted=wanted)
        return either(
            both((when, self._order(node.operator, one, other, wanted=wanted)))
            for when, (one, other) in self._combined((node.left, node.right))
        )

    def _order(self, operator: str, left: Node, right: Node, *, wanted: bool) -> Formula:
        """The comparison of two values among which nothing is to be chosen any more."""
        if not wanted:
            opposite = self._order(_OPPOSITE[operator], left, right, wanted=True)
            return either((self.missing(left), self.missing(right), opposite))
        if isinstance(left, tree.Literal) and isinstance(right, tree.Literal):
            there = left.value is not None and right.value is not None
            return ALWAYS if there and compares(operator, left.value, right.value) else NEVER
        if NEVER in (self.there(left), self.there(right)):
            return NEVER
        if left == right:
            return both((self.there(left), ALWAYS if operator in _REFLEXIVE else NEVER))
        return Order(operator, left, right)

    def _same_truth(self, operator: str, left: Node, right: Node, *, wanted: bool) -> Formula:
        """``==`` or ``!=`` of two booleans, each of which may be missing."""
        alike = (operator == "==") is wanted
        pairs = either(
            both((self._boolean(left, one), self._boolean(right, one is alike))) for one in (True, False)
        )
        if wanted:
            return pairs
        return either((self._missing(left, wanted=True), self._missing(right, wanted=True), pairs))

    def _boolean(self, node: Node, value: bool) -> Formula:
        """When ``node`` is there and is ``value``."""
        if value:
            return self.true(node)
        return both((self._missing(node, wanted=False), self.untrue(node)))

    def _membership(self, node: tree.Membership, *, wanted: bool) -> Formula:
        if isinstance(node.container, tree.Members):
            return self._among(node.item, node.container, negated=node.negated, wanted=wanted)
        if node.container.type.kind is Kind.STRING:
            combined = self._combined((node.item, node.container))
        else:
            combined = ((when, (one, node.container)) for when, one in self._values(node.item))
        return either(
            both((when, self._found_in(tree.Membership(one, other, node.negated), wanted=wanted)))
            for when, (one, other) in combined
        )

    def _values(self, node: Node) -> Iterator[Outcome]:
        """The outcomes of a value; a boolean is one by itself."""
        return iter([(ALWAYS, node)]) if node.type.kind is Kind.BOOLEAN else self.outcomes(node)

    def _among(self, item: Node, members: tree.Members, *, negated: bool, wanted: bool) -> Formula:
        """Whether ``item`` is one of the values that are written out."""
        type = members.type.items
        assert type is not None
        literals = [tree.Literal(value, type) for value in members.values]
        # Of what is missing, neither `in` nor `not in` is true.
        if negated is wanted:
            compared = both(self._compared("!=", item, literal) for literal in literals)
        else:
            compared = either(self._compared("==", item, literal) for literal in literals)
        return compared if wanted else either((self._missing(item, wanted=True), compared))

    def _compared(self, operator: str, item: Node, literal: tree.Literal) -> Formula:
        return self.true(tree.Comparison(operator, item, literal))

    def _found_in(self, node: tree.Membership, *, wanted: bool) -> Formula:
        parts = (node.item, node.container)
        if isinstance(node.item, tree.Literal) and isinstance(node.container, tree.Literal):
            item, text = node.item.value, node.container.value
            there = isinstance(item, str) and isinstance(text, str)
            is_so = there and (str(item) in str(text)) is not node.negated
            return ALWAYS if is_so is wanted else NEVER
        found = Holds(tree.Membership(*parts, negated=False), wanted is not node.negated)
        if wanted:
            return both((*(self._missing(part, wanted=False) for part in parts), found))
        return either((*(self._missing(part, wanted=True) for part in parts), found))

    # Texts ----------------------------------------------------------------------------------------------------

    def _text_test(self, node: tree.TextTest, *, wanted: bool) -> Formula:
        text, affix = node.text, node.affix
        if isinstance(text, tree.Literal) and isinstance(affix, tree.Literal):
            there = isinstance(text.value, str) and isinstance(affix.value, str)
            is_so = there and bool(getattr(text.value, node.operator)(affix.value))
            return ALWAYS if is_so is wanted else NEVER
        return self._opaque(node, (text, affix), wanted=wanted)

    def _opaque(self, node: Node, parts: tuple[Node, ...], *, wanted: bool) -> Formula:
        """A question to texts of which no more is known than that equal questions have equal answers."""
        if not wanted:
            return Holds(node, False)
        return both((*(self.there(part) for part in parts), Holds(node, True)))

    # Missing values -------------------------------------------------------------------------------------------

    def _missing(self, node: Node, *, wanted: bool) -> Formula:
        return either(
            both((when, self.missing(value) if wanted else self.there(value)))
            for when, value in self.outcomes(node)
        )

    def missing(self, node: Node) -> Formula:
        """When a value has none, among whose outcomes nothing is to be chosen any more."""
        match node:
            case tree.Literal(value=value):
                return ALWAYS if value is None else NEVER
            case tree.Lower(text=part) | tree.Negative(operand=part):
                return self.missing(part)
            case tree.Concatenation(left=left, right=right):
                return either((self.missing(left), self.missing(right)))
            case tree.Arithmetic(left=left, right=right) | tree.Difference(left=left, right=right):
                return either((self.missing(left), self.missing(right), Fails(node, True)))
            case tree.Shift(operand=part):
                return either((self.missing(part), Fails(node, True)))
        return Missing(node, True) if may_be_missing(node) else NEVER

    def there(self, node: Node) -> Formula:
        """When such a value is there."""
        match node:
            case tree.Literal(value=value):
                return NEVER if value is None else ALWAYS
            case tree.Lower(text=part) | tree.Negative(operand=part):
                return self.there(part)
            case tree.Concatenation(left=left, right=right):
                return both((self.there(left), self.there(right)))
            case tree.Arithmetic(left=left, right=right) | tree.Difference(left=left, right=right):
                return both((self.there(left), self.there(right), Fails(node, False)))
            case tree.Shift(operand=part):
                return both((self.there(part), Fails(node, False)))
        return Missing(node, False) if may_be_missing(node) else ALWAYS

    # Choices --------------------------------------------------------------------------------------------------

    def outcomes(self, node: Node) -> Iterator[Outcome]:
        """The values that ``node`` may have and when it has them: one of them, always."""
        found = list(self._outcomes(node))
        return iter(found if len(found) <= MOST_OUTCOMES else [(ALWAYS, node)])

    def _outcomes(self, node: Node) -> Iterator[Outcome]:
        match node:
            case tree.Conditional(test=test, then=then, otherwise=otherwise):
                for when, part in ((self.true(test), then), (self.untrue(test), otherwise)):
                    if when != NEVER:
                        yield from ((both((when, more)), value) for more, value in self.outcomes(part))
            case tree.Derived(value=inner):
                yield from self.outcomes(inner)
            case tree.Lower(text=part):
                yield from self._each(_lowered, part)
            case tree.Negative(operand=part):
                yield from self._each(_negated, part)
            case tree.Shift(operand=part, microseconds=microseconds):
                yield from self._each(lambda day: _shifted(day, microseconds), part)
            case tree.Concatenation(left=left, right=right):
                yield from self._each(_concatenated, left, right)
            case tree.Arithmetic(operator=operator, left=left, right=right):
                yield from self._each(lambda one, other: _computed(operator, one, other), left, right)
            case tree.Difference(left=left, right=right):
                yield from self._each(_difference, left, right)
            case _:
                yield ALWAYS, node

    def _each(self, build: Callable[..., Node], *parts: Node) -> Iterator[Outcome]:
        return ((when, build(*values)) for when, values in self._combined(parts))

    def _combined(self, parts: tuple[Node, ...]) -> Iterator[tuple[Formula, tuple[Node, ...]]]:
        """All outcomes of several nodes at once."""
        combined: list[tuple[Formula, tuple[Node, ...]]] = [(ALWAYS, ())]
        for part in parts:
            own = list(self.outcomes(part))
            if len(combined) * len(own) > MOST_OUTCOMES:
                own = [(ALWAYS, part)]
            combined = [
                (both((when, more)), (*before, value)) for when, before in combined for more, value in own
            ]
        return iter(combined)


def _limited(formula: Formula) -> Formula:
    """The formula, or, where it is too large, the claim that it may hold always: no proof comes of that."""
    return formula if extent(formula) <= MOST_CLAIMS else ALWAYS


def may_be_missing(node: Node) -> bool:
    """Whether an atom, a value that is read, may be missing; conditions never are, unless they are read."""
    if isinstance(node, tree.Name):
        return (node.source, node.path) not in _NAMED_ALWAYS
    if isinstance(node, _ALWAYS_THERE):
        return False
    return node.type.kind is not Kind.BOOLEAN or isinstance(node, tree.Last | tree.Conditional)


# What is written out is computed here and now ---------------------------------------------------------------------


def _lowered(text: Node) -> Node:
    if isinstance(text, tree.Literal):
        return tree.Literal(lower(text.value) if isinstance(text.value, str) else None, STRING)
    return tree.Lower(text)


def _negated(number: Node) -> Node:
    if isinstance(number, tree.Literal):
        return tree.Literal(None if number.value is None else -cast(int, number.value), NUMBER)
    return tree.Negative(number)


def _shifted(day: Node, microseconds: int) -> Node:
    if isinstance(day, tree.Literal):
        moved = None if day.value is None else shifted(str(day.value), day.type.kind, microseconds)
        return tree.Literal(moved, day.type)
    return tree.Shift(day, microseconds)


def _concatenated(left: Node, right: Node) -> Node:
    if _is_none(left) or _is_none(right):
        return tree.Literal(None, STRING)
    if isinstance(left, tree.Literal) and isinstance(right, tree.Literal):
        return tree.Literal(f"{left.value}{right.value}", STRING)
    return tree.Concatenation(left, right)


def _computed(operator: str, left: Node, right: Node) -> Node:
    by_zero = operator == "/" and isinstance(right, tree.Literal) and right.value == 0
    if _is_none(left) or _is_none(right) or by_zero:
        return tree.Literal(None, NUMBER)
    if isinstance(left, tree.Literal) and isinstance(right, tree.Literal):
        return tree.Literal(computed(operator, cast(int, left.value), cast(int, right.value)), NUMBER)
    return tree.Arithmetic(operator, left, right)


def _difference(left: Node, right: Node) -> Node:
    if _is_none(left) or _is_none(right):
        return tree.Literal(None, NUMBER)
    if isinstance(left, tree.Literal) and isinstance(right, tree.Literal):
        return tree.Literal(distance(moment(str(left.value)) - moment(str(right.value))), NUMBER)
    return tree.Difference(left, right)


def _is_none(node: Node) -> bool:
    return isinstance(node, tree.Literal) and node.value is None

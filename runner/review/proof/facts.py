"""What is known of every contact, whatever the question: where the values of an atom lie, and how atoms hang together.

Both ways of reasoning are given the same facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from runner.journey.expression import tree
from runner.journey.expression.tree import Node
from runner.journey.values import DATETIME, LARGEST, MILLIONTHS, NUMBER, Kind
from runner.review.proof.arithmetic import DAY, unbounded
from runner.review.proof.formula import Fails, Formula, Holds, Missing, Order, claims, either

_WEEKDAYS = frozenset({"mon", "tue", "wed", "thu", "fri", "sat", "sun"})
_LONGEST = 4_000_000
"""Days between any two dates are fewer."""
_COMPUTED = (tree.Lower, tree.Negative, tree.Shift, tree.Concatenation, tree.Arithmetic, tree.Difference)
_ENTERED = tree.Name("run", ("entered_at",), DATETIME)


@dataclass(frozen=True)
class Range:
    """From ``low`` to ``high``, both included, in whole multiples of ``step`` from 0."""

    low: int
    high: int
    step: int = 1


_ANY_NUMBER = Range(-LARGEST, LARGEST)
_COUNTED = Range(0, LARGEST, MILLIONTHS)


def number_range(node: Node) -> Range:
    """Where a number lies, if it is there."""
    match node:
        case tree.Literal(value=int(value)):
            return Range(value, value)
        case tree.Count() | tree.People() | tree.HoursLeft():
            return _COUNTED
        case tree.DaysSince(within=within):
            longest = _LONGEST if within is None else (within - 1) // DAY
            return Range(0, longest * MILLIONTHS, MILLIONTHS)
        case tree.ConsentAge():
            return Range(0, _LONGEST * MILLIONTHS, MILLIONTHS)
        case tree.Difference(left=left):
            step = MILLIONTHS if left.type.kind is Kind.DATE else 1
            return Range(-_LONGEST * MILLIONTHS, _LONGEST * MILLIONTHS, step)
        case tree.Negative(operand=operand):
            own = number_range(operand)
            return Range(-own.high, -own.low, own.step)
        case tree.Arithmetic(operator=operator, left=left, right=right):
            return _within_limits(_computed_range(operator, number_range(left), number_range(right)))
    return _ANY_NUMBER


def may_overflow(node: Node) -> bool:
    """Whether ``node`` may come to nothing though all that it is computed from is there."""
    if not isinstance(node, tree.Arithmetic):
        return True  # the years of a date that is moved; a date of no calendar
    reached = _computed_range(node.operator, number_range(node.left), number_range(node.right))
    return reached == _ENDLESS or reached.low < -LARGEST or reached.high > LARGEST


_ENDLESS = Range(-(10**40), 10**40)


def _computed_range(operator: str, left: Range, right: Range) -> Range:
    """Where the result lies, were there no largest number; for a division by what may be 0, anywhere."""
    if operator == "/" and right.low <= 0 <= right.high:
        return _ENDLESS
    corners = [
        unbounded(operator, one, other) for one in (left.low, left.high) for other in (right.low, right.high)
    ]
    # Between the corners each operation is monotone, rounding included.
    return Range(min(corners), max(corners))


def _within_limits(range: Range) -> Range:
    return Range(max(range.low, -LARGEST), min(range.high, LARGEST))


def choices(node: Node) -> frozenset[str]:
    """The texts that an atom may be; empty where it may be any."""
    if isinstance(node, tree.Clock) and node.reading == "weekday":
        return _WEEKDAYS
    if isinstance(node, tree.Name) and node.source in ("contact", "account"):
        return frozenset(node.type.one_of)
    return frozenset()


def atoms(node: Node) -> Iterator[Node]:
    """What ``node`` is computed from: the values that are read."""
    if isinstance(node, _COMPUTED):
        for child in tree.children(node):
            yield from atoms(child)
    elif not isinstance(node, tree.Literal | tree.Members):
        yield node


def computed_parts(node: Node) -> Iterator[Node]:
    """``node`` and what it is computed from, as far as that may come to nothing."""
    if isinstance(node, _COMPUTED):
        if isinstance(node, tree.Arithmetic | tree.Shift | tree.Difference):
            yield node
        for child in tree.children(node):
            yield from computed_parts(child)


def literals(node: Node) -> Iterator[tree.Literal]:
    """What is written out in ``node`` as a part of what it computes."""
    if isinstance(node, tree.Literal):
        yield node
    elif isinstance(node, _COMPUTED):
        for child in tree.children(node):
            yield from literals(child)


def read(formula: Formula) -> dict[Node, None]:
    """The atoms that a formula speaks of, each once, in their order."""
    found: dict[Node, None] = {}
    for claim in claims(formula):
        nodes = (claim.left, claim.right) if isinstance(claim, Order) else (claim.node,)
        for node in nodes:
            if isinstance(claim, Order | Fails):
                found.update(dict.fromkeys(atoms(node)))
            else:
                found[node] = None
    return found


def lemmas(read: Iterable[Node]) -> Iterator[Formula]:
    """How the atoms of a question hang together."""
    asked = list(read)
    counts = [node for node in asked if isinstance(node, tree.Count)]
    for node in asked:
        if isinstance(node, tree.Name | tree.Last) and node.type.kind is Kind.BOOLEAN:
            yield either((Missing(node, False), Holds(node, False)))
        if isinstance(node, tree.Last | tree.DaysSince):
            count = _count(node)
            counts += [count] if count not in counts else []
            yield either((Missing(node, True), Order(">=", count, _number(1))))
            if isinstance(node, tree.DaysSince):
                yield either((Missing(node, False), Order("<", count, _number(1))))
        if isinstance(node, tree.ConsentAge):
            given = Holds(tree.Consented(node.topic, node.channel), True)
            yield either((Missing(node, True), given))
            yield either((Missing(node, False), Holds(given.node, False)))
        if isinstance(node, tree.Consented):
            for any_topic in (tree.AnyConsent(node.channel), tree.AnyConsent()):
                if any_topic in asked:
                    yield either((Holds(node, False), Holds(any_topic, True)))
    for one, other in _nearest_wholes(counts):
        yield Order("<=", one, other)
    for since in asked:
        if isinstance(since, tree.DaysSince):
            yield from _days_and_counts(since, counts)
    if _ENTERED in asked and _NOW in asked:
        yield Order("<=", _ENTERED, _NOW)


_NOW = tree.Clock("now")


def _number(whole: int) -> tree.Literal:
    return tree.Literal(whole * MILLIONTHS, NUMBER)


def _count(node: tree.History) -> tree.Count:
    """How many events ``node`` looks at."""
    return tree.Count(event=node.event, within=node.within, where=node.where, by_account=node.by_account)


def _is_part(one: tree.History, other: tree.History) -> bool:
    """Whether every event that ``one`` looks at is one that ``other`` looks at."""
    return (
        one.event == other.event
        and one.by_account == other.by_account
        and (other.within is None or (one.within is not None and one.within <= other.within))
        and (other.where is None or one.where == other.where)
    )


def _nearest_wholes(counts: Sequence[tree.Count]) -> Iterator[tuple[tree.Count, tree.Count]]:
    """Each count with those whose events include its own, without any that another of them is between: what is at most
    the one is at most the other."""
    wholes = {one: [other for other in counts if other != one and _is_part(one, other)] for one in counts}
    for one, others in wholes.items():
        further = {far for near in others for far in wholes[near]}
        yield from ((one, other) for other in others if other not in further)


def _days_and_counts(since: tree.DaysSince, counts: Iterable[tree.Count]) -> Iterator[Formula]:
    """An event within so long is one since which so many days have passed at most, and none is one of more."""
    for count in counts:
        same = (count.event, count.where, count.by_account) == (since.event, since.where, since.by_account)
        if same and count.within is not None and (since.within is None or count.within <= since.within):
            none, some = Order("<", count, _number(1)), Order(">=", count, _number(1))
            yield either((none, Order("<=", since, _number((count.within - 1) // DAY))))
            yield either((Missing(since, True), some, Order(">=", since, _number(count.within // DAY))))

"""When time alone may turn the value of an expression: the instants to compute, so that nothing has to be polled.

A turn is a way to compute an instant. Between the earliest one that lies ahead and the present, the value cannot change
unless something happens to the contact. A turn may turn out to change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from runner.journey.duration import DAY
from runner.journey.expression import tree
from runner.journey.expression.tree import Node
from runner.journey.values import MILLIONTHS, Kind

_FARTHEST = 4_000_000
"""Days between any two dates are fewer; a comparison with more never turns."""


@dataclass(frozen=True)
class WindowEnds:
    """An event leaves the window of ``history``: the latest of them, or the first to go."""

    history: tree.History
    latest: bool


@dataclass(frozen=True)
class DayAfterLast:
    """So many whole days of 24 hours after the latest event of ``history``; the next whole day where None."""

    history: tree.DaysSince
    days: int | None


@dataclass(frozen=True)
class NextHour:
    """The next whole hour since one of the events of ``history``."""

    history: tree.History


@dataclass(frozen=True)
class DayOfConsent:
    """So many whole days of 24 hours after the consent was given; the next whole day where None."""

    consent: tree.ConsentAge
    days: int | None


@dataclass(frozen=True)
class OfColleagues:
    """The earliest ``turn`` of all who share the contact's account."""

    turn: Turn


@dataclass(frozen=True)
class NextMidnight:
    """The next beginning of a day in the contact's zone."""


@dataclass(frozen=True)
class MidnightOf:
    """The beginning, in the contact's zone, of the day ``days`` after ``date``."""

    date: Node
    days: int


@dataclass(frozen=True)
class MomentOf:
    """``microseconds`` after ``moment``, a datetime."""

    moment: Node
    microseconds: int


Turn = (
    WindowEnds | DayAfterLast | NextHour | DayOfConsent | OfColleagues | NextMidnight | MidnightOf | MomentOf
)


def turns(node: Node, *, becomes: bool | None = None) -> tuple[tuple[Turn, ...], str | None]:
    """The turns of ``node``, each once, and why there are none that could be computed for a part of it, if so.

    With ``becomes``, those that may make a condition so that is not so at present: a score that fades rises to no
    threshold by itself."""
    finder = _Finder()
    finder.look(node, inside=False, becomes=becomes)
    return tuple(dict.fromkeys(finder.found)), finder.problem


def depends_on_time(node: Node) -> bool:
    """Whether time alone can turn the value of ``node``."""
    return any(
        isinstance(part, tree.Clock | tree.DaysSince | tree.ConsentAge)
        or (isinstance(part, tree.History) and part.within is not None)
        for part in tree.walk(node)
    )


class _Finder:
    def __init__(self) -> None:
        self.found: list[Turn] = []
        self.problem: str | None = None

    def look(self, node: Node, *, inside: bool, becomes: bool | None = None) -> None:
        """Collects the turns of ``node``. ``inside`` a ``where``, ``event`` is not the event of the moment."""
        if isinstance(node, tree.Comparison) and (
            (becomes is not None and _only_leaves(node, becomes)) or self.comparison(node, inside=inside)
        ):
            return
        if isinstance(node, tree.Clock):
            if node.reading == "now":
                self.problem = (
                    "`now` turns a value at an instant that can be computed only where it is compared with another"
                    " date and time, or its distance in days with a number"
                )
            else:
                self.found.append(NextMidnight())
            return
        if isinstance(node, tree.ConsentAge):
            self.found.append(DayOfConsent(node, None))
            return
        if isinstance(node, tree.People):
            self.colleagues(node, inside=inside)
            return
        if isinstance(node, tree.DaysSince):
            self.found.append(DayAfterLast(self.stripped(node), None))
        if isinstance(node, tree.History):
            self.window(node)
            if node.where is not None:
                self.look(node.where, inside=True)
            return
        if isinstance(node, tree.InSegment | tree.Derived):
            inside = False
        # Of all else than what stands for a condition as it is, it hangs on both what begins to hold and what ends.
        if isinstance(node, tree.Not):
            becomes = None if becomes is None else not becomes
        elif not isinstance(node, tree.Logic | tree.InSegment):
            becomes = None
        for child in tree.children(node):
            self.look(child, inside=inside, becomes=becomes)

    def window(self, node: tree.History) -> None:
        if node.within is not None:
            steady = node.where is None or not depends_on_time(node.where)
            if isinstance(node, tree.HoursLeft):
                self.found.append(NextHour(_bare(node, keep_where=steady)))
                return
            latest = steady and isinstance(node, tree.Did | tree.Last | tree.DaysSince)
            self.found.append(WindowEnds(_bare(node, keep_where=steady), latest))

    def colleagues(self, node: tree.People, *, inside: bool) -> None:
        finder = _Finder()
        finder.look(node.condition, inside=inside)
        self.found += [OfColleagues(turn) for turn in finder.found]
        self.problem = finder.problem or self.problem

    def stripped(self, node: tree.DaysSince) -> tree.DaysSince:
        """``node``; one whose ``where`` turns with time has no latest event to count from."""
        if node.where is not None and depends_on_time(node.where):
            self.problem = "the `where` of `days_since` depends on the time itself"
        return node

    def comparison(self, node: tree.Comparison, *, inside: bool) -> bool:
        """Whether the comparison is one whose turns are known exactly; they are collected then."""
        mirrored = node.operator.translate(_MIRRORED)
        for one, operator, other in (
            (node.left, node.operator, node.right),
            (node.right, mirrored, node.left),
        ):
            if depends_on_time(other) or (inside and _speaks_of_event(other)):
                continue
            moved = _moved_clock(one)
            if moved is not None:
                reading, shift = moved
                if reading == "now":
                    self.found += [MomentOf(other, -shift), MomentOf(other, 1 - shift)]
                else:
                    self.found += [MidnightOf(other, -shift // DAY), MidnightOf(other, 1 - shift // DAY)]
                return True
            number = other.value if isinstance(other, tree.Literal) else None
            if isinstance(number, int) and other.type.kind is Kind.NUMBER:
                if isinstance(one, tree.DaysSince):
                    counted = self.stripped(one)
                    self.found += [DayAfterLast(counted, day) for day in _days_at(operator, number)]
                    self.window(one)
                    if one.where is not None:
                        self.look(one.where, inside=True)
                    return True
                if isinstance(one, tree.ConsentAge):
                    self.found += [DayOfConsent(one, day) for day in _days_at(operator, number)]
                    return True
                if isinstance(one, tree.Difference) and self.distance(one, number, inside=inside):
                    return True
        return False

    def distance(self, node: tree.Difference, number: int, *, inside: bool) -> bool:
        """The turns of a distance in days that is compared with ``number`` millionths of a day."""
        for one, other, sign in ((node.left, node.right, 1), (node.right, node.left, -1)):
            moved = _moved_clock(one)
            if moved is None or depends_on_time(other) or (inside and _speaks_of_event(other)):
                continue
            reading, shift = moved
            # The distance from `other` to the clock grows; it is the node's value, or that value's negative.
            target = sign * number
            if reading == "today":
                self.found += [MidnightOf(other, day - shift // DAY) for day in _days_at("==", target)]
                return True
            # A millionth of a day is 86,400 µs; rounding half away from zero turns half of that before each, or 1 µs
            # later below zero.
            for millionth in (target, target + 1) if abs(target) < _FARTHEST * MILLIONTHS else ():
                begin = millionth * 86_400 - 43_200 - shift
                self.found += [MomentOf(other, begin), MomentOf(other, begin + 1)]
            return True
        return False


def _only_leaves(node: tree.Comparison, becomes: bool) -> bool:
    """Whether time alone can never make the comparison ``becomes``, since one side falls while the other stands."""
    for one, other, above in ((node.left, node.right, ">"), (node.right, node.left, "<")):
        if _falls(one) and not depends_on_time(other) and node.operator[0] in "<>":
            return (node.operator[0] == above) is becomes
    return False


def _falls(node: Node) -> bool:
    """Whether time alone can only make the number smaller, and never make it missing, or there."""
    match node:
        case tree.HoursLeft(where=where):
            return where is None or not depends_on_time(where)
        case tree.Arithmetic(operator="+"):
            return _falls(node.left) and _falls(node.right)
        case tree.Arithmetic(operator="*" | "/"):
            factor = node.right.value if isinstance(node.right, tree.Literal) else None
            return _falls(node.left) and isinstance(factor, int) and factor > 0
        case tree.Conditional():
            return not depends_on_time(node.test) and _falls(node.then) and _falls(node.otherwise)
        case tree.Derived():
            return all(_falls(child) for child in tree.children(node))
    return not depends_on_time(node)


_MIRRORED = str.maketrans("<>", "><")


def _days_at(operator: str, number: int) -> tuple[int, ...]:
    """The whole days at which a growing number of days turns its comparison with ``number`` millionths."""
    reaches, passes = -(-number // MILLIONTHS), number // MILLIONTHS + 1
    days = {"<": (reaches,), ">=": (reaches,), "<=": (passes,), ">": (passes,)}
    return tuple(day for day in days.get(operator, (reaches, passes)) if abs(day) < _FARTHEST)


def _moved_clock(node: Node) -> tuple[str, int] | None:
    """``now`` or ``today``, and the microseconds by which it is moved."""
    shift = 0
    while isinstance(node, tree.Shift):
        shift += node.microseconds
        node = node.operand
    if isinstance(node, tree.Clock) and node.reading != "weekday":
        return node.reading, shift
    return None


def _speaks_of_event(node: Node) -> bool:
    return any(isinstance(part, tree.Name) and part.source == "event" for part in tree.walk(node))


def _bare(node: tree.History, *, keep_where: bool) -> tree.History:
    """The events that ``node`` looks at, whatever it asks about them."""
    where = node.where if keep_where else None
    return tree.Did(event=node.event, within=node.within, where=where, by_account=node.by_account)

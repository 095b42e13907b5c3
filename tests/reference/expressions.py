"""What an expression means, read for one contact at a time in plain Python: slow, short, and without SQL.

The databases are compared with it. It walks the same typed tree and shares nothing else with them but the table of
lower-case letters, which is part of the language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfo

from runner.journey.expression import Expression, tree
from runner.journey.expression.lower import lower
from runner.journey.values import LARGEST, Kind, ValueType

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
HOUR = 3_600_000_000
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DATE = re.compile(r"[0-9]{4}-[01][0-9]-[0-3][0-9]")
DATETIME = re.compile(DATE.pattern + r"T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z")


@dataclass(frozen=True, kw_only=True)
class Situation:
    """A contact at an instant, all values in their stored form and all instants in microseconds since 1970 UTC.

    ``columns`` holds id, email, phone, timezone and locale; ``events`` the handled events (name, at, properties) in
    order of arrival, ``pending`` those that arrived after them and have still to be handled; ``sent`` the steps of this
    run whose message was let go, ``sent_by`` those of other journeys as (journey, step); ``runs`` (journey, status) of
    all runs; ``consents`` whether (topic, channel) is given, where that is recorded, ``*`` being every channel without
    a record of its own, and ``consents_since`` since when; ``suppressed`` (channel, address). ``account`` holds the
    attributes of the contact's account and ``members`` all who share it, the contact too; they are empty without one.
    ``asking`` is the id of the contact for whom a colleague is looked at.
    """

    instant: int
    zone: str = "UTC"
    columns: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    tags: Sequence[str] = ()
    trigger: Mapping[str, Any] | None = None
    event: Mapping[str, Any] | None = None
    run: Mapping[str, Any] | None = None
    entered_at: int | None = None
    events: Sequence[tuple[str, int, Mapping[str, Any]]] = ()
    pending: Sequence[tuple[str, int, Mapping[str, Any]]] = ()
    sent: frozenset[str] = frozenset()
    sent_by: frozenset[tuple[str, str]] = frozenset()
    run_number: int | None = None
    runs: Sequence[tuple[str, str]] = ()
    consents: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    consents_since: Mapping[tuple[str, str], int] = field(default_factory=dict)
    suppressed: frozenset[tuple[str, str]] = frozenset()
    account: Mapping[str, Any] | None = None
    members: list[Situation] = field(default_factory=list, repr=False, compare=False)
    asking: str | None = None


def evaluate(expression: Expression, situation: Situation) -> Any:
    """The value of ``expression`` in its stored form, or None."""
    return value(expression.tree, situation)


def holds(expression: Expression, situation: Situation) -> bool:
    """Whether the condition is true; a missing one is not."""
    return evaluate(expression, situation) is True


def value(node: tree.Node, at: Situation) -> Any:
    match node:
        case tree.Literal(value=written):
            return written
        case tree.Members(values=values):
            return list(values)
        case tree.Name():
            return name(node, at)
        case tree.Clock(reading="now"):
            return moment_text(at.instant)
        case tree.Clock(reading="today"):
            return local_day(at).isoformat()
        case tree.Clock():
            return WEEKDAYS[local_day(at).weekday()]
        case tree.Logic(operator="and", operands=operands):
            return all(value(operand, at) is True for operand in operands)
        case tree.Logic(operands=operands):
            return any(value(operand, at) is True for operand in operands)
        case tree.Not(operand=operand):
            return value(operand, at) is not True
        case tree.Comparison(operator=operator):
            left, right = value(node.left, at), value(node.right, at)
            return left is not None and right is not None and COMPARE[operator](left, right)
        case tree.Membership(item=item, container=container, negated=negated):
            one, many = value(item, at), value(container, at)
            if one is None or many is None:
                return False
            if isinstance(many, str):
                return (one in many) is not negated
            return any(type(member) is type(one) and member == one for member in many) is not negated
        case tree.IsNone(operand=operand, negated=negated):
            return (value(operand, at) is None) is not negated
        case tree.TextTest(operator=operator):
            text, affix = value(node.text, at), value(node.affix, at)
            return text is not None and affix is not None and bool(getattr(text, operator)(affix))
        case tree.Matches(pattern=pattern):
            text = value(node.text, at)
            return text is not None and re.search(python_pattern(pattern), text, re.DOTALL) is not None
        case tree.Lower():
            text = value(node.text, at)
            return None if text is None else lower(text)
        case tree.Concatenation():
            left, right = value(node.left, at), value(node.right, at)
            return None if left is None or right is None else left + right
        case tree.Arithmetic(operator=operator):
            return computed(operator, value(node.left, at), value(node.right, at))
        case tree.Negative(operand=operand):
            return computed("-", 0, value(operand, at))
        case tree.Shift():
            return shifted(value(node.operand, at), node.microseconds)
        case tree.Difference():
            return difference(value(node.left, at), value(node.right, at))
        case tree.Conditional():
            return value(node.then if value(node.test, at) is True else node.otherwise, at)
        case _:
            return recorded(node, at)


def recorded(node: tree.Node, at: Situation) -> Any:
    match node:
        case tree.Sent(step=step, journey=journey):
            return step in at.sent if journey is None else (journey, step) in at.sent_by
        case tree.Reaction(condition=condition) | tree.Reachable(condition=condition):
            return value(condition, at) is True
        case tree.RunNumber():
            return None if at.run_number is None else at.run_number * 1_000_000
        case tree.InJourney(journey=journey, completed=completed):
            return (journey, "completed" if completed else "active") in at.runs
        case tree.InSegment(condition=condition):
            return value(condition, outside(at)) is True
        case tree.Derived(value=inner):
            return value(inner, outside(at))
        case tree.Consented(topic=topic, channel=channel):
            return at.consents.get(consent(at, topic, channel), False)
        case tree.ConsentAge(topic=topic, channel=channel):
            found = consent(at, topic, channel)
            return whole_days(at.instant - at.consents_since[found]) if at.consents.get(found) else None
        case tree.AnyConsent(channel=None):
            return any(at.consents.values())
        case tree.AnyConsent(channel=channel):
            topics = {topic for topic, _ in at.consents}
            return any(at.consents.get(consent(at, topic, str(channel)), False) for topic in topics)
        case tree.Suppressed(channel=channel, address=address):
            return (channel, at.columns.get(address or "id")) in at.suppressed
        case tree.People(condition=condition):
            asking = at.asking or at.columns["id"]
            return 1_000_000 * sum(
                value(condition, colleague(member, at, asking)) is True for member in at.members
            )
        case _:
            return history(node, at)


def outside(at: Situation) -> Situation:
    """The contact as segments, stages and scores see it: outside of any run."""
    return replace(at, trigger=None, event=None, run=None, entered_at=None, run_number=None, sent=frozenset())


def colleague(member: Situation, at: Situation, asking: str) -> Situation:
    """Somebody who shares the account, looked at from where the contact stands."""
    return replace(
        member,
        instant=at.instant,
        trigger=at.trigger,
        event=at.event,
        run=at.run,
        entered_at=at.entered_at,
        run_number=None,
        sent=frozenset(),
        asking=asking,
    )


def consent(at: Situation, topic: str, channel: str) -> tuple[str, str]:
    """The record that says whether ``topic`` is consented to on ``channel``."""
    return (topic, channel if (topic, channel) in at.consents else "*")


def whole_days(elapsed: int) -> int:
    """In millionths, of microseconds that are not negative."""
    return elapsed // (24 * HOUR) * 1_000_000


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


# Reading --------------------------------------------------------------------------------------------------------


def name(node: tree.Name, at: Situation) -> Any:
    if node.source == "contact":
        first = node.path[0]
        if first in ("id", "email", "phone", "timezone", "locale", "account"):
            return at.columns.get(first)
        if first == "tags":
            return list(at.tags)
        return found_in(at.attributes, node.path, node.inside, node.type)
    if node.source == "run" and node.path == ("entered_at",):
        return None if at.entered_at is None else moment_text(at.entered_at)
    holder = {"account": at.account, "trigger": at.trigger, "event": at.event, "run": at.run}[node.source]
    return found_in(holder, node.path, node.inside, node.type)


def found_in(holder: Any, path: Sequence[str], inside: Sequence[str], type: ValueType) -> Any:
    for key in path:
        holder = holder.get(key) if isinstance(holder, dict) else None
    if not inside:
        return holder if fits(holder, type.kind) else None
    if not isinstance(holder, list):
        return None
    return [found_in(member, inside, (), ValueType(Kind.NONE)) for member in holder]


def fits(stored: Any, kind: Kind) -> bool:
    match kind:
        case Kind.STRING:
            return isinstance(stored, str)
        case Kind.NUMBER:
            return isinstance(stored, int) and not isinstance(stored, bool)
        case Kind.BOOLEAN:
            return isinstance(stored, bool)
        case Kind.DATE:
            return isinstance(stored, str) and DATE.fullmatch(stored) is not None
        case Kind.DATETIME:
            return isinstance(stored, str) and DATETIME.fullmatch(stored) is not None
        case Kind.LIST:
            return isinstance(stored, list)
        case Kind.OBJECT:
            return isinstance(stored, dict)
    return True


def python_pattern(pattern: str) -> str:
    """The portable pattern for Python, where ``$`` alone would also match before a newline at the end."""
    written, in_class, escaped = "", False, False
    for character in pattern:
        if character == "$" and not in_class and not escaped:
            written += r"\Z"
            continue
        if not escaped:
            in_class = character != "]" if in_class else character == "["
        written += character
        escaped = character == "\\" and not escaped
    return written


# Numbers --------------------------------------------------------------------------------------------------------


def computed(operator: str, left: int | None, right: int | None) -> int | None:
    """Millionths. Fractions are exact here, rounded once, half away from zero."""
    if left is None or right is None or (operator == "/" and right == 0):
        return None
    with localcontext() as context:
        context.prec = 60
        one, other = Decimal(left).scaleb(-6), Decimal(right).scaleb(-6)
        result = {
            "+": lambda: one + other,
            "-": lambda: one - other,
            "*": lambda: one * other,
            "/": lambda: one / other,
        }[operator]()
        millionths = int(result.scaleb(6).to_integral_value(ROUND_HALF_UP))
    return millionths if abs(millionths) <= LARGEST else None


# Time -----------------------------------------------------------------------------------------------------------


def moment_text(microseconds: int) -> str:
    return (EPOCH + microseconds * MICROSECOND).isoformat(timespec="microseconds").replace("+00:00", "Z")


def local_day(at: Situation) -> date:
    return (EPOCH + at.instant * MICROSECOND).astimezone(ZoneInfo(at.zone)).date()


def parsed(stored: str) -> datetime | None:
    """A date as the midnight that begins it, a datetime as it stands; None for 31 February."""
    try:
        instant = datetime.fromisoformat(stored)
    except ValueError:
        return None
    return instant.replace(tzinfo=UTC)


def shifted(stored: str | None, microseconds: int) -> str | None:
    instant = parsed(stored) if stored else None
    if instant is None or stored is None:
        return None
    try:
        moved = instant + microseconds * MICROSECOND
    except OverflowError:
        return None
    if len(stored) == 10:
        return moved.date().isoformat()
    return moved.isoformat(timespec="microseconds").replace("+00:00", "Z")


def difference(left: str | None, right: str | None) -> int | None:
    one, other = parsed(left) if left else None, parsed(right) if right else None
    if one is None or other is None:
        return None
    elapsed = (one - other) // MICROSECOND
    quotient = Decimal(elapsed) / Decimal(86_400)  # microseconds of a day, in millionths
    return int(quotient.to_integral_value(ROUND_HALF_UP))


# History --------------------------------------------------------------------------------------------------------


def history(node: tree.Node, at: Situation) -> Any:
    assert isinstance(node, tree.History)
    seen = list(looked_at(node, at))
    match node:
        case tree.Did():
            return bool(seen)
        case tree.Count():
            return len(seen) * 1_000_000
        case tree.Total(path=path, type=type):
            numbers = [found_in(properties, path, (), type) for *_, properties in seen]
            total = sum(number for number in numbers if number is not None)
            return total if abs(total) <= LARGEST else None
        case tree.HoursLeft(within=within):
            hours = [(within or 0) // HOUR - (at.instant - when) // HOUR for when, *_ in seen]
            return sum(hours) * 1_000_000
    if not seen:
        return None
    when, *_, properties = max(seen, key=lambda entry: entry[:3])
    if isinstance(node, tree.DaysSince):
        return whole_days(at.instant - when)
    return found_in(properties, node.path, node.inside, node.type)


def looked_at(node: tree.History, at: Situation) -> Iterator[tuple[int, int, int, Mapping[str, Any]]]:
    """The events that a history function looks at: instant, place in the order of arrival, whose, properties. At the
    very instant only those that the contact itself has had, and that have been handled."""
    asking = at.asking or at.columns.get("id")
    for whose, person in enumerate(at.members if node.by_account else [at]):
        own = person.columns.get("id") == asking
        for arrival, (event, when, properties) in enumerate((*person.events, *person.pending)):
            handled = arrival < len(person.events)
            if event != node.event or when > at.instant or (when == at.instant and not (own and handled)):
                continue
            if node.within is not None and when <= at.instant - node.within:
                continue
            if node.where is not None and value(node.where, replace(at, event=properties)) is not True:
                continue
            yield when, arrival, whose, properties

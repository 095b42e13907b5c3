"""From the typed tree to SQL, node by node. Authors' literals become bound parameters.

Conditions come out true or false, never NULL. Values come out NULL where they are missing. No operand is written into
the SQL twice, unless it is read from a column: nesting makes a statement longer, never exponentially.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Integer,
    Numeric,
    Text,
    cast,
    collate,
    func,
    literal,
    null,
)
from sqlalchemy.types import TypeEngine

from runner.journey.expression import tree
from runner.journey.expression.tree import Node
from runner.journey.values import MILLIONTHS, Kind
from runner.store.composed import composed, condition
from runner.store.local_time.localtime import local_microseconds
from runner.store.predicates import recorded
from runner.store.predicates.history import history_value
from runner.store.predicates.read import read_name, sql_type, unguarded_text, unguarded_value
from runner.store.predicates.row import Row
from runner.store.predicates.search import postgresql_pattern
from runner.store.types import constant, microseconds_of

Sql = ColumnElement[Any]
_DAY = 86_400_000_000
_SHIFT_DAYS = 7 * 200_000
"""Added before dividing, since division truncates and days before 1970 are negative; a multiple of seven."""
_COMPARE = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_WHOLE = BigInteger()
_ARITHMETIC = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}


class Compiler:
    """Compiles the nodes of one expression for one row."""

    def __init__(self, row: Row, dialect: str) -> None:
        self.row = row
        self.dialect = dialect
        self.postgresql = dialect == "postgresql"
        self.true, self.false = ("true", "false") if self.postgresql else ("1", "0")

    def condition(self, node: Node) -> Sql:
        """True or false; a missing boolean is false."""
        built = self.value(node)
        return self.holds(built) if may_be_missing(node) else built

    def holds(self, found: Sql) -> Sql:
        """True where the condition is, false where it is false or NULL."""
        return condition(f"(({{0}}) IS {self.true})", found)

    def value(self, node: Node) -> Sql:
        """The value in its stored form; NULL where it is missing."""
        return _HANDLERS[type(node)](self, node)

    def typed(self, name: str, *arguments: Any, kind: Kind) -> Sql:
        """A call of one of our functions."""
        return _call(sql_type(kind, self.dialect), name, arguments)

    def microseconds(self, name: str, *arguments: Any) -> Sql:
        """A call of one of our functions that answers whole days or microseconds."""
        return _call(_WHOLE, name, arguments)

    def instant(self) -> Sql:
        """Microseconds of the instant at which the expression is read."""
        return microseconds_of(self.row.instant)

    def comparable(self, node: Node) -> Sql:
        """The value; a string with the collation that compares by code point."""
        built = self.value(node)
        if self.postgresql and node.type.kind is Kind.STRING:
            return collate(built, "C")
        return built

    # Values ---------------------------------------------------------------------------------------------------

    def literal(self, node: tree.Literal) -> Sql:
        return self.bound(node.value, node.type.kind)

    def bound(self, value: object, kind: Kind) -> Sql:
        if value is None:
            return null()
        return literal(value, sql_type(kind, self.dialect))

    def members(self, node: tree.Members) -> list[Sql]:
        assert node.type.items is not None
        return [self.bound(value, node.type.items.kind) for value in node.values]

    def name(self, node: tree.Name) -> Sql:
        if node.source == "account":
            return recorded.account_value(self, node)
        return read_name(node, self.row, self.dialect)

    def clock(self, node: tree.Clock) -> Sql:
        if node.reading == "now":
            return self.typed("datetime_text", self.instant(), kind=Kind.DATETIME)
        day = self.local_day
        if node.reading == "today":
            return self.typed("date_text", day - constant(_SHIFT_DAYS), kind=Kind.DATE)
        # 1 January 1970 was a Thursday, and the days are of three letters.
        weekday = (day + constant(3)) % constant(7)
        place = weekday * constant(3) + constant(1)
        if self.postgresql:
            place = cast(place, Integer())
        return func.substr(constant("montuewedthufrisatsun"), place, constant(3), type_=Text())

    @cached_property
    def local_day(self) -> Sql:
        """The number of the contact's day, counted from 1970, plus ``_SHIFT_DAYS``. It is asked for often."""
        shown = local_microseconds(self.instant(), self.row.zone) + constant(_SHIFT_DAYS * _DAY)
        return shown.op("/", precedence=8, return_type=BigInteger())(constant(_DAY))

    def lower(self, node: tree.Lower) -> Sql:
        return self.typed("lower", self.value(node.text), kind=Kind.STRING)

    def concatenation(self, node: tree.Concatenation) -> Sql:
        left, right = self.value(node.left), self.value(node.right)
        return left.op("||", return_type=Text())(right)

    def arithmetic(self, node: tree.Arithmetic) -> Sql:
        left, right = self.value(node.left), self.value(node.right)
        return self.typed(_ARITHMETIC[node.operator], left, right, kind=Kind.NUMBER)

    def negative(self, node: tree.Negative) -> Sql:
        return -self.value(node.operand)

    def shift(self, node: tree.Shift) -> Sql:
        moved = self.value(node.operand)
        if node.type.kind is Kind.DATE:
            day = self.microseconds("day_number", moved) + constant(node.microseconds // _DAY)
            return self.typed("date_text", day, kind=Kind.DATE)
        instant = self.microseconds("microseconds", moved) + constant(node.microseconds)
        return self.typed("datetime_text", instant, kind=Kind.DATETIME)

    def difference(self, node: tree.Difference) -> Sql:
        left, right = self.value(node.left), self.value(node.right)
        if node.left.type.kind is Kind.DATE:
            days = self.microseconds("day_number", left) - self.microseconds("day_number", right)
            return self.number(days * constant(MILLIONTHS))
        elapsed = self.microseconds("microseconds", left) - self.microseconds("microseconds", right)
        # Both are in microseconds: their quotient, in millionths, is the number of days.
        return self.typed("divide", self.number(elapsed), self.bound(_DAY, Kind.NUMBER), kind=Kind.NUMBER)

    def number(self, integer: Sql) -> Sql:
        """A 64-bit integer as a number."""
        return cast(integer, Numeric()) if self.postgresql else integer

    def conditional(self, node: tree.Conditional) -> Sql:
        then, otherwise = self.value(node.then), self.value(node.otherwise)
        pattern = "CASE WHEN {0} THEN {1} ELSE {2} END"
        return composed(
            sql_type(node.type.kind, self.dialect), pattern, self.condition(node.test), then, otherwise
        )

    # Conditions -----------------------------------------------------------------------------------------------

    def logic(self, node: tree.Logic) -> Sql:
        joined = f" {node.operator.upper()} ".join(f"{{{place}}}" for place in range(len(node.operands)))
        return condition(f"({joined})", *[self.condition(operand) for operand in node.operands])

    def negation(self, node: tree.Not) -> Sql:
        return condition("(NOT {0})", self.condition(node.operand))

    def comparison(self, node: tree.Comparison) -> Sql:
        sign = _COMPARE[node.operator]
        if not self.postgresql or node.operator == "==":
            unguarded = unguarded_text if self.postgresql else unguarded_value
            for one, other in ((node.left, node.right), (node.right, node.left)):
                value = unguarded(one, self.row) if isinstance(other, tree.Literal) else None
                if value is not None:
                    # Whether it is of the type at all is asked only where the comparison holds.
                    found, fits, parts = value
                    left, right = (
                        found if side is one else f"{{{len(parts)}}}" for side in (node.left, node.right)
                    )
                    if self.postgresql:
                        left = f'{left} COLLATE "C"'
                    pattern = f"(({left} {sign} {right}) IS {self.true} AND ({fits}) IS {self.true})"
                    return condition(pattern, *parts, self.value(other))
        collated = ' COLLATE "C"' if self.postgresql and node.left.type.kind is Kind.STRING else ""
        pattern = f"((({{0}}){collated} {sign} ({{1}})) IS {self.true})"
        return condition(pattern, self.value(node.left), self.value(node.right))

    def membership(self, node: tree.Membership) -> Sql:
        if isinstance(node.container, tree.Members):
            members = self.members(node.container)
            item = self.comparable(node.item)
            return self.holds(item.not_in(members) if node.negated else item.in_(members))
        within = self.within_text(node) if node.container.type.kind is Kind.STRING else self.within_list(node)
        return condition(f"(({{0}}) IS {self.false if node.negated else self.true})", within)

    def within_text(self, node: tree.Membership) -> Sql:
        item, container = self.value(node.item), self.value(node.container)
        place = func.strpos(container, item) if self.postgresql else func.instr(container, item)
        return place > constant(0)

    def within_list(self, node: tree.Membership) -> Sql:
        item, container = self.value(node.item), self.value(node.container)
        if self.postgresql:
            return container.op("@>", return_type=Boolean())(func.to_jsonb(item))
        name = "in_booleans" if node.item.type.kind is Kind.BOOLEAN else "in_list"
        return self.typed(name, item, container, kind=Kind.BOOLEAN)

    def is_none(self, node: tree.IsNone) -> Sql:
        operand = self.value(node.operand)
        return condition(f"(({{0}}) IS {'NOT ' if node.negated else ''}NULL)", operand)

    def text_test(self, node: tree.TextTest) -> Sql:
        text = self.value(node.text)
        starts = node.operator == "startswith"
        if isinstance(node.affix, tree.Literal) and isinstance(node.affix.value, str) and node.affix.value:
            length = constant(len(node.affix.value))
            affix = self.comparable(node.affix)
            if self.postgresql:
                part = func.left(text, length) if starts else func.right(text, length)
            else:
                part = func.substr(text, constant(1), length) if starts else func.substr(text, -length)
            return self.holds(part == affix)
        return self.holds(self.typed(node.operator, text, self.value(node.affix), kind=Kind.BOOLEAN))

    def matches(self, node: tree.Matches) -> Sql:
        text = self.value(node.text)
        if self.postgresql:
            pattern = literal(postgresql_pattern(node.pattern), Text())
            return self.holds(collate(text, "C").op("~", return_type=Boolean())(pattern))
        return self.holds(self.typed("matches", text, literal(node.pattern, Text()), kind=Kind.BOOLEAN))

    # What is recorded -----------------------------------------------------------------------------------------

    def in_segment(self, node: tree.InSegment) -> Sql:
        return self.for_row(self.row.without_run()).condition(node.condition)

    def derived(self, node: tree.Derived) -> Sql:
        return self.for_row(self.row.without_run()).value(node.value)

    def described(self, node: tree.Reaction | tree.Reachable) -> Sql:
        return self.condition(node.condition)

    def history(self, node: tree.History) -> Sql:
        return history_value(self, node)

    def for_row(self, row: Row) -> Compiler:
        """A compiler of the same expression's parts that are read for another row."""
        return Compiler(row, self.dialect)


def _call(type: TypeEngine[Any], name: str, arguments: Sequence[Sql]) -> Sql:
    places = ", ".join(f"{{{place}}}" for place, _ in enumerate(arguments))
    return composed(type, f"journeys_{name}({places})", *arguments)


def may_be_missing(node: Node) -> bool:
    """Whether a boolean node can be None."""
    return isinstance(node, tree.Name | tree.Literal | tree.Last | tree.Conditional)


_HANDLERS: dict[type[Node], Callable[[Compiler, Any], Sql]] = {
    tree.Literal: Compiler.literal,
    tree.Name: Compiler.name,
    tree.Clock: Compiler.clock,
    tree.Logic: Compiler.logic,
    tree.Not: Compiler.negation,
    tree.Comparison: Compiler.comparison,
    tree.Membership: Compiler.membership,
    tree.IsNone: Compiler.is_none,
    tree.TextTest: Compiler.text_test,
    tree.Matches: Compiler.matches,
    tree.Lower: Compiler.lower,
    tree.Concatenation: Compiler.concatenation,
    tree.Arithmetic: Compiler.arithmetic,
    tree.Negative: Compiler.negative,
    tree.Shift: Compiler.shift,
    tree.Difference: Compiler.difference,
    tree.Conditional: Compiler.conditional,
    tree.Did: Compiler.history,
    tree.Count: Compiler.history,
    tree.Total: Compiler.history,
    tree.Last: Compiler.history,
    tree.DaysSince: Compiler.history,
    tree.HoursLeft: Compiler.history,
    tree.Sent: recorded.sent,
    tree.Reaction: Compiler.described,
    tree.RunNumber: recorded.run_number,
    tree.InJourney: recorded.in_journey,
    tree.InSegment: Compiler.in_segment,
    tree.Derived: Compiler.derived,
    tree.Consented: recorded.consented,
    tree.ConsentAge: recorded.consent_age,
    tree.AnyConsent: recorded.any_consent,
    tree.Suppressed: recorded.suppressed,
    tree.Reachable: Compiler.described,
    tree.People: recorded.people,
}

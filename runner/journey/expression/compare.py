"""Comparisons, membership and ``is None``."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from runner.journey.expression import tree
from runner.journey.expression.finding import did_you_mean, listing
from runner.journey.expression.literals import DESCRIPTIONS
from runner.journey.expression.tree import Node
from runner.journey.values import Kind, ValueType

if TYPE_CHECKING:
    from runner.journey.expression.build import Builder

_OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_ORDERED = (Kind.NUMBER, Kind.STRING, Kind.DATE, Kind.DATETIME)
_COMPARABLE = (*_ORDERED, Kind.BOOLEAN)
_LISTS = (ast.List, ast.Tuple, ast.Set)


def build_compare(builder: Builder, node: ast.Compare) -> Node | None:
    """One comparison, or a chain of them joined by ``and``."""
    sides = [node.left, *node.comparators]
    built = [_side(builder, side, node, place) for place, side in enumerate(sides)]
    parts = [
        _pair(builder, operator, (sides[place], sides[place + 1]), (built[place], built[place + 1]))
        for place, operator in enumerate(node.ops)
    ]
    whole = tuple(part for part in parts if part is not None)
    if len(whole) < len(parts):
        return None
    return whole[0] if len(whole) == 1 else tree.Logic("and", whole)


def _side(builder: Builder, side: ast.expr, node: ast.Compare, place: int) -> Node | None:
    if place and isinstance(side, _LISTS) and isinstance(node.ops[place - 1], (ast.In, ast.NotIn)):
        return _members(builder, side)
    return builder.build(side)


def _members(builder: Builder, node: ast.List | ast.Tuple | ast.Set) -> Node | None:
    if not node.elts:
        builder.report(node, "empty-list", "the list has no members, so nothing is in it")
        return None
    values: list[str | int | bool] = []
    types: list[ValueType] = []
    for element in node.elts:
        member = builder.build(element)
        if member is None:
            continue
        if (
            not isinstance(member, tree.Literal)
            or member.value is None
            or member.type.kind not in _COMPARABLE
        ):
            message = f"{builder.quoted(element)} is not a value that is written out"
            hint = "a list holds strings, numbers or dates; compare with other values by `==` and `or`"
            builder.report(element, "bad-list", message, hint)
        elif types and member.type.kind is not types[0].kind:
            one, other = DESCRIPTIONS[types[0].kind], DESCRIPTIONS[member.type.kind]
            builder.report(element, "bad-list", f"the list begins with {one}, and this is {other}")
        else:
            values.append(member.value)
            types.append(member.type)
    if len(values) < len(node.elts):
        return None
    return tree.Members(tuple(values), ValueType(Kind.LIST, items=types[0]))


def _pair(
    builder: Builder,
    operator: ast.cmpop,
    sides: tuple[ast.expr, ast.expr],
    built: tuple[Node | None, Node | None],
) -> Node | None:
    left, right = built
    if left is None or right is None:
        return None
    if isinstance(operator, (ast.Is, ast.IsNot)):
        return _is_none(builder, isinstance(operator, ast.IsNot), sides, (left, right))
    if isinstance(operator, (ast.In, ast.NotIn)):
        return _membership(builder, isinstance(operator, ast.NotIn), sides, (left, right))
    symbol = _OPERATORS[type(operator)]
    for side, node in zip(sides, (left, right), strict=True):
        if node.type.kind is Kind.NONE:
            wanted = "is not" if symbol == "!=" else "is"
            message = f"a comparison with None by `{symbol}` is never true"
            builder.report(side, "compared-with-none", message, f"write `{wanted} None`")
            return None
    kinds = (left.type.kind, right.type.kind)
    allowed = _COMPARABLE if symbol in ("==", "!=") else _ORDERED
    if kinds[0] is kinds[1] and kinds[0] in allowed:
        known = _known_choice(builder, sides, (left, right))
        return tree.Comparison(symbol, left, right) if known else None
    _mismatch(builder, symbol, sides, (left, right))
    return None


def _is_none(
    builder: Builder, negated: bool, sides: tuple[ast.expr, ast.expr], built: tuple[Node, Node]
) -> Node | None:
    left, right = built
    if right.type.kind is not Kind.NONE:
        hint = "write `!=`" if negated else "write `==`"
        builder.report(sides[1], "type-mismatch", "`is` only asks for `None`", hint)
        return None
    if isinstance(left, (tree.Literal, tree.Members)) or left.type.kind is Kind.DURATION:
        builder.report(
            sides[0], "type-mismatch", f"{builder.quoted(sides[0])} is written out, so it is never missing"
        )
        return None
    return tree.IsNone(left, negated)


def _membership(
    builder: Builder, negated: bool, sides: tuple[ast.expr, ast.expr], built: tuple[Node, Node]
) -> Node | None:
    item, container = built
    kind = container.type.kind
    if kind is Kind.STRING and item.type.kind is Kind.STRING:
        return tree.Membership(item, container, negated)
    if kind is Kind.LIST:
        members = container.type.items
        if members is not None and members.kind is item.type.kind and item.type.kind in _COMPARABLE:
            if isinstance(container, tree.Members):
                for value in container.values:
                    if not _is_choice(builder, sides[1], item, value, builder.quoted(sides[0])):
                        return None
            return tree.Membership(item, container, negated)
        of = DESCRIPTIONS[members.kind] if members else "something"
        hint = None
        if members is not None and members.kind is Kind.OBJECT:
            hint = f"name a property of its members: {builder.quoted(sides[1])[:-1]}.{next(iter(members.fields), '…')}`"
        what = DESCRIPTIONS[item.type.kind]
        message = f"{builder.quoted(sides[0])} is {what}, each member of {builder.quoted(sides[1])} is {of}"
        builder.report(sides[0], "type-mismatch", message, hint)
        return None
    what = DESCRIPTIONS[kind]
    message = f"{builder.quoted(sides[1])} is {what}, so nothing can be `in` it"
    builder.report(
        sides[1], "type-mismatch", message, "`in` wants a list or, between strings, a longer string"
    )
    return None


def _known_choice(builder: Builder, sides: tuple[ast.expr, ast.expr], built: tuple[Node, Node]) -> bool:
    """Whether neither side is a literal that the other can never be; reported where one is."""
    for here, there in ((0, 1), (1, 0)):
        literal = built[here]
        if isinstance(literal, tree.Literal) and literal.value is not None:
            other = builder.quoted(sides[there])
            if not _is_choice(builder, sides[here], built[there], literal.value, other):
                return False
    return True


def _is_choice(builder: Builder, place: ast.expr, node: Node, value: str | int | bool, name: str) -> bool:
    choices = node.type.one_of
    if not choices or not isinstance(value, str) or value in choices:
        return True
    hint = did_you_mean(value, choices)
    builder.report(
        place, "unknown-choice", f'{name} is never "{value}"; it is one of: {listing(choices)}', hint
    )
    return False


def _mismatch(
    builder: Builder, symbol: str, sides: tuple[ast.expr, ast.expr], built: tuple[Node, Node]
) -> None:
    kinds = [node.type.kind for node in built]
    one, other = (DESCRIPTIONS[kind] for kind in kinds)
    names = [builder.quoted(side) for side in sides]
    hint = None
    if kinds[0] is kinds[1]:
        message = f"{names[0]} and {names[1]} are each {one}, which `{symbol}` does not compare"
        if kinds[0] is Kind.LIST:
            hint = "ask for a member with `in`"
        builder.report(sides[1], "type-mismatch", message, hint)
        return
    for here, there in ((0, 1), (1, 0)):
        literal = built[here]
        if (
            isinstance(literal, tree.Literal)
            and isinstance(literal.value, str)
            and kinds[here] is Kind.STRING
        ):
            text = builder.source.segment(sides[here])
            if kinds[there] is Kind.DATE:
                hint = f"write `date({text})`"
            elif kinds[there] is Kind.DATETIME:
                hint = f"write `datetime({text})`, with time and offset: 2026-03-01T10:00:00+04:00"
            elif kinds[there] is Kind.NUMBER:
                hint = (
                    f"write the number without quotes: {literal.value}" if literal.value.isdigit() else None
                )
            elif kinds[there] is Kind.BOOLEAN:
                hint = f"write `{names[there][1:-1]}` or `not {names[there][1:-1]}` alone"
        elif isinstance(literal, tree.Literal) and (kinds[here], kinds[there]) == (Kind.NUMBER, Kind.STRING):
            quoted = f'write it in quotes: "{builder.source.segment(sides[here])}"'
            hint = quoted if symbol in ("==", "!=") else "if it is a number, declare it as one in the catalog"
        if kinds[here] is Kind.DURATION and kinds[there] is Kind.NUMBER:
            hint = "a difference of dates is a number of days: compare it with a number"
    if set(kinds) == {Kind.DATE, Kind.DATETIME}:
        hint = "compare a date with `today`, a date with time with `now`"
    if Kind.LIST in kinds:
        hint = "ask for a member with `in`"
    message = f"{names[0]} is {one}, {names[1]} is {other}: they cannot be compared"
    builder.report(sides[1], "type-mismatch", message, hint)

"""From Python's syntax tree to the typed tree: the closed set of what an expression may hold."""

from __future__ import annotations

import ast
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from runner.journey.expression import tree
from runner.journey.expression.calls import build_call
from runner.journey.expression.compare import build_compare
from runner.journey.expression.finding import Finding
from runner.journey.expression.literals import DESCRIPTIONS, stored_number, text_problem
from runner.journey.expression.names import build_dotted, build_name
from runner.journey.expression.scope import Scope
from runner.journey.expression.syntax import Source
from runner.journey.expression.tree import Node
from runner.journey.values import BOOLEAN, NONE, NUMBER, STRING, Kind

_ARITHMETIC: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_DATES = (Kind.DATE, Kind.DATETIME)
_UNSUPPORTED = {
    ast.Lambda: "a lambda",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.Dict: "a dictionary",
    ast.JoinedStr: "an f-string",
    ast.NamedExpr: "an assignment",
    ast.Starred: "a star",
    ast.Await: "await",
    ast.Yield: "yield",
    ast.YieldFrom: "yield",
    ast.Slice: "a slice",
}


class Builder:
    """Builds one source. A method that answers None has reported why, so that one reading finds all that is wrong."""

    def __init__(self, source: Source, scope: Scope, findings: list[Finding] | None = None) -> None:
        self.source = source
        self.scope = scope
        self.findings: list[Finding] = [] if findings is None else findings

    def within(self, scope: Scope) -> Builder:
        """A builder for a part of the source that may speak of something else: a ``where``, a colleague."""
        return Builder(self.source, scope, self.findings)

    def report(self, node: ast.AST, code: str, message: str, hint: str | None = None) -> None:
        self.findings.append(Finding(message, code, *self.source.place(node), hint))

    def report_end(
        self, node: ast.AST, length: int, code: str, message: str, hint: str | None = None
    ) -> None:
        """Reports the last ``length`` code points of ``node``: the name at the end of a dotted one."""
        begin, whole = self.source.place(node)
        length = min(length, whole)
        self.findings.append(Finding(message, code, begin + whole - length, length, hint))

    def quoted(self, node: ast.AST) -> str:
        text = " ".join(self.source.segment(node).split())
        return f"`{text if len(text) <= 40 else text[:39] + '…'}`"

    def build(self, node: ast.expr) -> Node | None:
        """The typed node for ``node``, or None where something in it was reported."""
        handler = _HANDLERS.get(type(node))
        if handler is None:
            what = _UNSUPPORTED.get(type(node), "this")
            self.report(node, "unsupported-syntax", f"{what} is not part of the expression language")
            return None
        return handler(self, node)

    def condition(self, node: ast.expr) -> Node | None:
        """As ``build``, for a place that wants true or false."""
        built = self.build(node)
        if built is None or built.type.kind is Kind.BOOLEAN:
            return built
        hint = {
            Kind.STRING: "compare it with something, or ask whether it `is not None`",
            Kind.LIST: f'ask for a member: `"…" in {self.source.segment(node)[:40]}`',
        }.get(built.type.kind, "compare it with something, as in `… > 0`")
        what = DESCRIPTIONS[built.type.kind]
        self.report(node, "not-a-condition", f"{self.quoted(node)} is {what}, not a condition", hint)
        return None

    # Literals ---------------------------------------------------------------------------------------

    def constant(self, node: ast.Constant) -> Node | None:
        value = node.value
        if value is None:
            return tree.Literal(None, NONE)
        if isinstance(value, bool):
            return tree.Literal(value, BOOLEAN)
        if isinstance(value, str):
            if problem := text_problem(value):
                self.report(node, "bad-literal", problem)
                return None
            return tree.Literal(value, STRING)
        if isinstance(value, (int, float)):
            return self.number(node, value)
        self.report(node, "unsupported-syntax", f"{self.quoted(node)} is not part of the expression language")
        return None

    def number(self, node: ast.Constant, value: float) -> Node | None:
        try:
            # The text, not Python's float: floats hold 15 to 17 digits, our numbers 19.
            exact = (
                Decimal(value)
                if isinstance(value, int)
                else Decimal(self.source.segment(node).replace("_", ""))
            )
            return tree.Literal(stored_number(exact), NUMBER)
        except InvalidOperation:
            self.report(node, "bad-literal", f"{self.quoted(node)} is no number")
        except ValueError as error:
            self.report(node, "bad-literal", str(error))
        return None

    # Operators ------------------------------------------------------------------------------------------------

    def logic(self, node: ast.BoolOp) -> Node | None:
        operands = [self.condition(value) for value in node.values]
        built = tuple(operand for operand in operands if operand is not None)
        if len(built) < len(operands):
            return None
        return tree.Logic("and" if isinstance(node.op, ast.And) else "or", built)

    def unary(self, node: ast.UnaryOp) -> Node | None:
        if isinstance(node.op, ast.Not):
            operand = self.condition(node.operand)
            return None if operand is None else tree.Not(operand)
        operand = self.build(node.operand)
        if operand is None:
            return None
        if operand.type.kind is not Kind.NUMBER or isinstance(node.op, ast.Invert):
            what = DESCRIPTIONS[operand.type.kind]
            self.report(
                node, "type-mismatch", f"{self.quoted(node.operand)} is {what}; a sign needs a number"
            )
            return None
        if isinstance(node.op, ast.UAdd):
            return operand
        if isinstance(operand, tree.Literal) and isinstance(operand.value, int):
            return tree.Literal(-operand.value, NUMBER)
        return tree.Negative(operand)

    def arithmetic(self, node: ast.BinOp) -> Node | None:
        left, right = self.build(node.left), self.build(node.right)
        operator = _ARITHMETIC.get(type(node.op))
        if operator is None:
            self.report(
                node,
                "unsupported-syntax",
                "this operator is not part of the expression language",
                "there are + - * /",
            )
            return None
        if left is None or right is None:
            return None
        kinds = (left.type.kind, right.type.kind)
        if kinds == (Kind.NUMBER, Kind.NUMBER):
            return tree.Arithmetic(operator, left, right)
        if kinds == (Kind.STRING, Kind.STRING) and operator == "+":
            return tree.Concatenation(left, right)
        if operator == "-" and kinds in ((Kind.DATE, Kind.DATE), (Kind.DATETIME, Kind.DATETIME)):
            return tree.Difference(left, right)
        if operator == "+" and kinds[0] is Kind.DURATION and kinds[1] in _DATES:
            left, right, kinds = right, left, (kinds[1], kinds[0])
        if operator in "+-" and kinds[0] in _DATES and kinds[1] is Kind.DURATION:
            return self.shift(node, left, right, 1 if operator == "+" else -1)
        one, other = (
            f"{self.quoted(n)} is {DESCRIPTIONS[k]}"
            for n, k in zip((node.left, node.right), kinds, strict=True)
        )
        hint = None
        if operator in "+-" and kinds[0] in _DATES and kinds[1] is Kind.NUMBER:
            hint = 'a date moves by a length of time: write `days("14d")`'
        elif operator == "-" and set(kinds) == set(_DATES):
            hint = "take `today` from a date, `now` from a date with time"
        self.report(node, "type-mismatch", f"{one}, {other}: `{operator}` does not join them", hint)
        return None

    def shift(self, node: ast.BinOp, operand: Node, duration: Node, sign: int) -> Node | None:
        if not isinstance(duration, tree.Literal) or not isinstance(duration.value, int):
            self.report(node, "type-mismatch", "a date moves by `days(…)` only")
            return None
        if operand.type.kind is Kind.DATE and duration.value % 86_400_000_000:
            self.report(node, "bad-duration", "a date moves by whole days", "use `now` where hours matter")
            return None
        return tree.Shift(operand, sign * duration.value)

    def conditional(self, node: ast.IfExp) -> Node | None:
        test, then, otherwise = self.condition(node.test), self.build(node.body), self.build(node.orelse)
        if test is None or then is None or otherwise is None:
            return None
        kinds = {then.type.kind, otherwise.type.kind} - {Kind.NONE}
        bad = kinds & {Kind.LIST, Kind.OBJECT, Kind.DURATION}
        if len(kinds) != 1 or bad:
            one, other = DESCRIPTIONS[then.type.kind], DESCRIPTIONS[otherwise.type.kind]
            message = f"the two values of `if … else` are {one} and {other}"
            self.report(node, "type-mismatch", message, "both must be single values of one type")
            return None
        type = then.type if then.type.kind is not Kind.NONE else otherwise.type
        if then.type.kind is otherwise.type.kind and then.type != otherwise.type:
            type = STRING
        return tree.Conditional(test, then, otherwise, type)

    def call(self, node: ast.Call) -> Node | None:
        return build_call(self, node)


def _loose_list(builder: Builder, node: ast.expr) -> Node | None:
    if builder.source.segment(node).startswith("{{"):
        hint = "names stand by themselves here, without braces"
        builder.report(node, "unsupported-syntax", "`{{` belongs into templates", hint)
        return None
    hint = 'as in `contact.plan in ["free", "pro"]`'
    builder.report(node, "unsupported-syntax", "a list stands only to the right of `in`", hint)
    return None


_HANDLERS: dict[type[ast.expr], Callable[[Builder, Any], Node | None]] = {
    ast.Constant: Builder.constant,
    ast.Name: build_name,
    ast.Attribute: build_dotted,
    ast.Subscript: build_dotted,
    ast.BoolOp: Builder.logic,
    ast.UnaryOp: Builder.unary,
    ast.BinOp: Builder.arithmetic,
    ast.IfExp: Builder.conditional,
    ast.Call: Builder.call,
    ast.Compare: build_compare,
    ast.List: _loose_list,
    ast.Tuple: _loose_list,
    ast.Set: _loose_list,
}

"""From Python's syntax tree to the typed tree: the closed set of what an expression may hold."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from runner.journey.catalog import CONTACT_FIELDS
from runner.journey.expression import tree
from runner.journey.expression.calls import FUNCTIONS, build_call
from runner.journey.expression.compare import build_compare
from runner.journey.expression.finding import Finding, did_you_mean, listing
from runner.journey.expression.history import build_last
from runner.journey.expression.literals import DESCRIPTIONS, stored_number, text_problem
from runner.journey.expression.scope import Scope
from runner.journey.expression.syntax import Source
from runner.journey.expression.tree import Node
from runner.journey.values import BOOLEAN, DATETIME, NONE, NUMBER, STRING, Kind, ValueType

ROOTS = ("contact", "trigger", "event", "run")
CLOCKS = ("now", "today", "weekday")
_ARITHMETIC: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_DATES = (Kind.DATE, Kind.DATETIME)
_METHODS = {"lower", "startswith", "endswith", "matches"}
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

    def about_event(self, properties: Mapping[str, ValueType]) -> Builder:
        """A builder for the ``where`` of a history function, in which ``event`` is the event looked at."""
        return Builder(self.source, replace(self.scope, event=properties), self.findings)

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

    # Literals and names ---------------------------------------------------------------------------------------

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

    def name(self, node: ast.Name) -> Node | None:
        name = node.id
        if name in CLOCKS:
            return tree.Clock(name)
        if name in self.scope.catalog.lists:
            members = self.scope.catalog.lists[name]
            if members:
                return tree.Members(tuple(members), ValueType(Kind.LIST, items=STRING))
            self.report(node, "empty-list", f"the list `{name}` of the catalog has no members")
            return None
        message = f"there is no name `{name}`"
        hint: str | None = None
        if name in ROOTS:
            message, hint = f"`{name}` is not a value by itself", f"read something of it: `{name}.…`"
        elif name in FUNCTIONS:
            message, hint = f"`{name}` is a function", f"call it: `{FUNCTIONS[name].example}`"
        elif name.lower() in ("true", "false", "none", "null"):
            hint = f"write `{ {'true': 'True', 'false': 'False'}.get(name.lower(), 'None') }`"
        elif self.scope.contact_type(name):
            hint = f"write `contact.{name}`"
        elif self.scope.event and name in self.scope.event:
            hint = f"write `event.{name}`"
        elif self.scope.trigger and name in self.scope.trigger:
            hint = f"write `trigger.{name}`"
        else:
            known = [*ROOTS, *CLOCKS, *FUNCTIONS, *self.scope.catalog.lists]
            hint = did_you_mean(name, known, cutoff=0.75) or f'a string stands in quotes: "{name}"'
        self.report(node, "unknown-name", message, hint)
        return None

    def dotted(self, node: ast.Attribute | ast.Subscript) -> Node | None:
        """``contact.plan``, ``event["Order ID"]``, ``last("X").revenue``."""
        parts: list[tuple[str, ast.expr]] = []
        root: ast.expr = node
        while True:
            if isinstance(root, ast.Attribute):
                parts.insert(0, (root.attr, root))
                root = root.value
            elif (
                isinstance(root, ast.Subscript)
                and isinstance(root.slice, ast.Constant)
                and isinstance(root.slice.value, str)
            ):
                parts.insert(0, (root.slice.value, root))
                root = root.value
            else:
                break
        if (
            isinstance(root, ast.Call)
            and isinstance(root.func, ast.Name)
            and root.func.id == "last"
            and parts
        ):
            return build_last(self, root, parts)
        if isinstance(root, ast.Name) and root.id in ROOTS and parts:
            return self.read(root, parts)
        if isinstance(node, ast.Attribute) and node.attr in _METHODS:
            self.report(
                node, "unsupported-syntax", f"`{node.attr}` must be called", f"write `.{node.attr}(…)`"
            )
        elif isinstance(root, ast.Name) and root.id == "account":
            self.report(
                root, "unknown-name", "there is no name `account`", did_you_mean("contact", ["contact"])
            )
        elif not isinstance(root, ast.Name) or self.name(root) is not None:
            names = listing(ROOTS)
            message = f"nothing can be read from {self.quoted(root)} with a dot or brackets"
            self.report(node, "unsupported-syntax", message, f"only these have properties: {names}, last(…)")
        return None

    def read(self, root: ast.Name, parts: list[tuple[str, ast.expr]]) -> Node | None:
        source = root.id
        first, node = parts[0]
        known = self.names_of(root)
        if known is None:
            return None
        type = known.get(first) if source != "contact" else self.scope.contact_type(first)
        if type is None:
            kind = {"contact": "attribute", "run": "value"}.get(source, "property")
            message = f"{source} has no {kind} `{first}`"
            hint = did_you_mean(first, known)
            if hint is None:
                where = (
                    "declare it in the catalog" if source != "run" else "write it with an `update` step first"
                )
                hint = f"known: {listing(known)}" if known else where
            if first in _METHODS:
                hint = "methods belong to strings, as in `contact.locale.lower()`"
            self.report_end(node, len(first), f"unknown-{kind}", message, hint)
            return None
        found = self.follow(type, parts[1:], f"{source}.{first}")
        if found is None:
            return None
        path, inside, type = found
        return tree.Name(source, (first, *path), type, inside)

    def names_of(self, root: ast.Name) -> Mapping[str, ValueType] | None:
        """What can be read of ``contact``, ``trigger``, ``event`` or ``run`` here; None, and reported, if nothing."""
        if root.id == "contact":
            declared = {name: attribute.type for name, attribute in self.scope.catalog.attributes.items()}
            return {**declared, **CONTACT_FIELDS}
        if root.id == "run" and self.scope.trigger is not None:
            return {"entered_at": DATETIME, **self.scope.run_values}
        if root.id == "trigger" and self.scope.trigger is not None:
            return self.scope.trigger
        if root.id == "event" and self.scope.event is not None:
            return self.scope.event
        if root.id == "event":
            message = "no event is looked at here, so there is no `event`"
            hint = "`event` stands in a `where` or a goal's `value`" + (
                "; the event that started the run is `trigger`" if self.scope.trigger is not None else ""
            )
        else:
            message = f"no run exists here, so there is no `{root.id}`"
            hint = "where a trigger is looked at, its properties are `event.…`" if self.scope.event else ""
        self.report(root, "not-here", message, hint or None)
        return None

    def follow(
        self, type: ValueType, parts: list[tuple[str, ast.expr]], text: str
    ) -> tuple[tuple[str, ...], tuple[str, ...], ValueType] | None:
        """Where ``parts`` lead from a value of ``type``: path, path inside the members of a list, type at the end."""
        path: list[str] = []
        inside: list[str] = []
        current, in_list = type, False
        for name, node in parts:
            if (
                current.kind is Kind.LIST
                and not in_list
                and current.items
                and current.items.kind is Kind.OBJECT
            ):
                current, in_list = current.items, True
            if current.kind is not Kind.OBJECT or name not in current.fields:
                hint = did_you_mean(name, current.fields)
                message = f"`{text}` has no property `{name}`"
                if current.kind is not Kind.OBJECT:
                    message = f"`{text}` is {DESCRIPTIONS[current.kind]} and has no property `{name}`"
                    hint = f"write `.{name}(…)`" if name in _METHODS else None
                self.report_end(node, len(name), "unknown-property", message, hint)
                return None
            (inside if in_list else path).append(name)
            current, text = current.fields[name], f"{text}.{name}"
        if in_list:
            if current.kind in (Kind.LIST, Kind.OBJECT):
                self.report(parts[-1][1], "unsupported-syntax", f"`{text}` is a list of lists or objects")
                return None
            current = ValueType(Kind.LIST, items=current)
        return tuple(path), tuple(inside), current

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
    ast.Name: Builder.name,
    ast.Attribute: Builder.dotted,
    ast.Subscript: Builder.dotted,
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

"""What a template may do: read plain values, loop a little, and format with a closed list of filters.

Journey authors write templates, people outside fill in the values. So a value is never compiled, has no methods, and is
escaped in HTML; a template cannot run for long or write without end, whatever the values are.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import Any, TypeVar

from jinja2 import StrictUndefined, Template, TemplateRuntimeError, TemplateSyntaxError, Undefined, nodes
from jinja2.lexer import Lexer
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from runner.engine.budget import CALL, UNIT, bounded, spend, spent, weighed
from runner.engine.filters import (
    FILTERS,
    LONGEST_RANGE,
    each,
    printed,
    printed_on_one_line,
)
from runner.engine.line_breaks import LineLexer
from runner.engine.reckoning import (
    OPERATORS,
    comparable,
    decimal,
    forgiving,
    inside,
    outside,
    reckoned,
    signed,
)
from runner.journey.template_tree import refuse


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja with plain values: a name after a dot is a member of an object, never an attribute of a Python value."""

    intercepted_binops = OPERATORS
    intercepted_unops = frozenset({"+", "-"})

    def __init__(self, *, autoescape: bool, lined: bool = False) -> None:
        super().__init__(
            undefined=StrictUndefined,
            autoescape=autoescape,
            finalize=printed_on_one_line if lined else printed,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        self.filters = {**FILTERS, **_CHARGES}
        self.tests = {name: self.tests[name] for name in TESTS}
        self.tests |= {name: forgiving(self.tests[name]) for name in COMPARING}
        self.globals = {"range": _range}
        self._lexer = LineLexer(self)

    @property
    def lexer(self) -> Lexer:
        return self._lexer

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed = super()._parse(source, name, filename)
        refuse(parsed)
        tree: nodes.Template = _Bounds().visit(parsed)
        return tree

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self._member(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(argument, Decimal) and argument == int(argument):
            argument = int(argument)
        if isinstance(argument, int) and isinstance(obj, str | list | tuple):
            try:
                return obj[argument]
            except IndexError:
                return self._missing(argument)
        if isinstance(argument, slice) and isinstance(obj, str | list | tuple):
            return obj[argument]
        return self._member(obj, argument)

    def _member(self, obj: Any, name: Any) -> Any:
        # The one case that is common goes first: asking whether something is a Mapping costs more than the rest.
        if type(obj) is dict and name in obj:
            return obj[name]
        if isinstance(obj, Undefined):
            obj._fail_with_undefined_error()
        if obj is None:  # as in expressions: what belongs to something missing is missing
            return None
        if isinstance(obj, Mapping) and name in obj:
            return obj[name]
        if isinstance(obj, list | tuple) and obj and all(isinstance(item, Mapping) for item in obj):
            # As in expressions: trigger.items.sku is the list of all skus.
            return [self._member(item, name) for item in obj]
        if isinstance(obj, LoopContext) and name in _LOOP:
            return getattr(obj, name)
        return self._missing(name)

    def _missing(self, name: Any) -> Undefined:
        return self.undefined(hint=f"'{name}' is undefined", name=str(name))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "+" and isinstance(left, str | None) and isinstance(right, str | None):
            return None if left is None or right is None else bounded(context, left + right)
        return reckoned(operator, left, right)

    def call_unop(self, _: Context, operator: str, arg: Any) -> Any:
        return signed(operator, arg)

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(obj, Undefined):
            obj._fail_with_undefined_error()
        spend(context, CALL)
        return super().call(context, obj, *args, **kwargs)

    def is_safe_callable(self, obj: Any) -> bool:
        return obj is _range or isinstance(obj, Macro | LoopContext)


_LOOP = frozenset(
    {"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0"}
    | {"previtem", "nextitem"}
)

COMPARING = (
    *("odd", "even", "divisibleby", "equalto", "greaterthan", "lessthan"),
    *("eq", "ne", "lt", "le", "gt", "ge", "==", "!=", "<", "<=", ">", ">="),
)
"""The tests of Jinja that a missing value never passes."""
TESTS = (
    *COMPARING,
    *(
        "defined",
        "undefined",
        "none",
        "boolean",
        "true",
        "false",
        "number",
        "string",
        "sequence",
        "mapping",
        "iterable",
    ),
    *("in", "lower", "upper", "sameas"),
)
"""The tests of Jinja that templates may use (``is defined``, ``is none`` …)."""


class _Bounds(NodeTransformer):
    """Makes every loop count its turns, every text that is made know its limit, what is repeated cost what it is long,
    and signs mean what they mean in expressions."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "_each")
        return _charged(node)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Macro:
        self.generic_visit(node)
        return _charged(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.CallBlock:
        self.generic_visit(node)
        return _charged(node)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(node, "_bounded") if isinstance(node.arg, nodes.Slice) else node

    def visit_Const(self, node: nodes.Const) -> nodes.Expr:
        if not isinstance(node.value, float):
            return node
        if not isfinite(node.value):
            raise TemplateSyntaxError("a number here is too large", node.lineno)
        # A number with a point is a decimal, as those of people are: 0.1 + 0.2 is 0.3.
        return _filtered(nodes.Const(repr(node.value), lineno=node.lineno), "_decimal")

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:
        self.generic_visit(node)
        node.expr = _filtered(node.expr, "_comparable")
        return node

    def visit_Operand(self, node: nodes.Operand) -> nodes.Operand:
        self.generic_visit(node)
        if node.op in ("in", "notin"):
            holding = "_inside" if node.op == "in" else "_outside"
            node.op, node.expr = "in", _filtered(_filtered(node.expr, "_weighed"), holding)
        else:
            node.expr = _filtered(node.expr, "_comparable")
        return node

    def visit_Test(self, node: nodes.Test) -> nodes.Test:
        self.generic_visit(node)
        if node.name == "in":
            node.args = [_filtered(_filtered(each, "_weighed"), "_inside") for each in node.args]
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:
        self.generic_visit(node)
        node.nodes = [_filtered(each, "_printed") for each in node.nodes]
        return _filtered(node, "_bounded")


_CHARGES = {
    "_each": each,
    "_bounded": bounded,
    "_weighed": weighed,
    "_spent": spent,
    "_printed": printed,
    "_decimal": decimal,
    "_comparable": comparable,
    "_inside": inside,
    "_outside": outside,
}
"""What ``_Bounds`` puts into templates."""

_Repeated = TypeVar("_Repeated", nodes.For, nodes.Macro, nodes.CallBlock)


def _charged(node: _Repeated) -> _Repeated:
    """The node, whose body takes what its own text is long from the budget, every time."""
    length = sum(len(each.data) for each in node.find_all(nodes.TemplateData))
    if length >= UNIT:
        cost = _filtered(nodes.Const(length // UNIT, lineno=node.lineno), "_spent")
        node.body.insert(0, nodes.ExprStmt(cost, lineno=node.lineno))
    return node


def _filtered(node: Any, name: str) -> nodes.Expr:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _range(*bounds: int) -> range:
    result = range(*(int(bound) for bound in bounds))
    if len(result) > LONGEST_RANGE:
        raise TemplateRuntimeError(f"range() is limited to {LONGEST_RANGE:,} numbers")
    return result


@lru_cache(maxsize=4)
def sandbox(*, html: bool, lined: bool) -> Sandbox:
    """The environment of HTML bodies, which escapes, that of text and headers, which does not, or that of files whose
    lines are records, where no value may begin another."""
    return Sandbox(autoescape=html, lined=lined)


@lru_cache(maxsize=4096)
def compiled(source: str, *, html: bool, lined: bool = False) -> Template:
    """The compiled template; compiling is pure, so once a text is enough. Raises jinja2.TemplateSyntaxError."""
    return sandbox(html=html, lined=lined).from_string(source)

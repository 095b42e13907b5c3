"""What a template reads, held against what exists: names, members, filters and tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from jinja2 import nodes

from runner.engine.filters import FILTERS, LONGEST_RANGE
from runner.engine.sandbox import TESTS
from runner.journey.catalog import CONTACT_FIELDS, Catalog
from runner.journey.derived_values import derived_types
from runner.journey.model import Journey
from runner.journey.trigger_types import common_types
from runner.journey.values import BOOLEAN, DATETIME, NUMBER, STRING, Kind, ValueType
from runner.journey.words import did_you_mean, listed
from runner.review.template_filters import argument_trouble
from runner.review.template_kinds import WORDS, comparison_trouble, filter_trouble, made_by

_FUNCTIONS = frozenset({"range"})
_ARITHMETIC = frozenset({"+", "-", "*", "/", "//", "%"})
_CONSTANTS = {str: STRING, int: NUMBER, float: NUMBER, bool: BOOLEAN}


@dataclass(frozen=True, kw_only=True)
class Misread:
    """One thing that a template may not read. ``line`` counts from 1 within the source; ``word`` is what to mark: the
    one by which ``node`` is known, if there are several."""

    line: int
    word: str
    code: str
    message: str
    node: nodes.Node = field(compare=False, repr=False)
    hint: str | None = None


@dataclass(frozen=True)
class _Scope:
    """Names that the template itself makes (loops, ``set``): name to type, None where it is not known."""

    names: dict[str, ValueType | None] = field(default_factory=dict)

    def inner(self) -> _Scope:
        return _Scope(dict(self.names))


def template_values(
    catalog: Catalog,
    trigger: Mapping[str, ValueType],
    run: Mapping[str, ValueType],
    links: Iterable[str] = (),
) -> dict[str, ValueType]:
    """The values of a template by name: ``contact``, ``account``, ``trigger``, ``run`` and ``links``, each with its
    members."""
    attributes = {name: each.type for name, each in catalog.attributes.items()}
    return {
        "contact": ValueType(Kind.OBJECT, fields={**attributes, **derived_types(catalog), **CONTACT_FIELDS}),
        "account": ValueType(
            Kind.OBJECT, fields={name: each.type for name, each in catalog.accounts.items()}
        ),
        "trigger": ValueType(Kind.OBJECT, fields=dict(trigger)),
        "run": ValueType(Kind.OBJECT, fields={**run, "entered_at": DATETIME}),
        "links": ValueType(Kind.OBJECT, fields=dict.fromkeys(links, STRING)),
    }


def trigger_properties(journey: Journey, catalog: Catalog) -> dict[str, ValueType]:
    """What every event that starts the journey has, with one type."""
    return common_types(journey.triggers, catalog)


def misreadings(
    tree: nodes.Template, values: Mapping[str, ValueType], unreadable: frozenset[str] = frozenset()
) -> Iterator[Misread]:
    """Everything that a parsed template reads and cannot. Of the attributes in ``unreadable`` nothing is known."""
    reader = _Reader(values, unreadable)
    reader.body(tree.body, _Scope())
    return iter(reader.found)


class _Reader:
    def __init__(self, values: Mapping[str, ValueType], unreadable: frozenset[str]) -> None:
        self.values = values
        self.unreadable = unreadable
        self.found: list[Misread] = []

    def body(self, body: Iterable[nodes.Node], scope: _Scope) -> None:
        for node in body:
            self.node(node, scope)

    def node(self, node: nodes.Node, scope: _Scope) -> ValueType | None:
        """Look at ``node`` and all below it; the type of an expression, None where it is not known."""
        if isinstance(node, nodes.Name | nodes.Getattr | nodes.Getitem):
            return self.value(node, scope)
        if isinstance(node, nodes.Const):
            return _CONSTANTS.get(type(node.value))
        if isinstance(node, nodes.BinExpr):
            return self.operation(node, scope)
        if isinstance(node, nodes.Filter):
            return self.filter(node, scope)
        if isinstance(node, nodes.Compare):
            self.comparison(node, scope)
        elif isinstance(node, nodes.For):
            self.loop(node, scope)
        elif isinstance(node, nodes.Assign):
            self.assign(node.target, self.node(node.node, scope), scope)
        elif isinstance(node, nodes.AssignBlock):
            self.body(node.body, scope)
            self.assign(node.target, None, scope)
        elif isinstance(node, nodes.With):
            inner = scope.inner()
            for target, value in zip(node.targets, node.values, strict=True):
                self.assign(target, self.node(value, scope), inner)
            self.body(node.body, inner)
        elif isinstance(node, nodes.Macro | nodes.CallBlock):
            self.macro(node, scope)
        elif isinstance(node, nodes.Include):
            pass  # judged where what it names is looked for
        elif isinstance(node, nodes.Import | nodes.FromImport | nodes.Extends | nodes.Block):
            self.not_supported(node)
        else:
            self.known_words(node)
            for child in node.iter_child_nodes():
                self.node(child, scope)
        return None

    def operation(self, node: nodes.BinExpr, scope: _Scope) -> ValueType | None:
        left, right = self.node(node.left, scope), self.node(node.right, scope)
        sign = node.operator
        if sign == "**":
            self.report(node, sign, "template/operator", "`**` is not something that a template may use.")
        elif sign in _ARITHMETIC:
            others = [each for each in (left, right) if each and each.kind in (Kind.STRING, Kind.BOOLEAN)]
            texts = all(each is None or each.kind is Kind.STRING for each in (left, right))
            if others and not (sign == "+" and texts):
                hint = "Write a ~ b to put texts together." if sign == "+" else None
                message = f"`{sign}` is for numbers here, and one of these is {WORDS[others[0].kind]}."
                self.report(node, sign, "template/operator", message, hint)
        return None

    def filter(self, node: nodes.Filter, scope: _Scope) -> ValueType | None:
        self.known_words(node)
        types = [self.node(child, scope) for child in node.iter_child_nodes()]
        given = types[0] if node.node is not None and types else None
        trouble = filter_trouble(node, given, _dotted(_filtered(node))) if node.name in FILTERS else None
        if trouble:
            self.report(node, node.name, "template/type", *trouble)
        return made_by(node.name, given)

    def comparison(self, node: nodes.Compare, scope: _Scope) -> None:
        left, type = node.expr, self.node(node.expr, scope)
        for operand in node.ops:
            other = self.node(operand.expr, scope)
            trouble = comparison_trouble(operand.op, (_dotted(left), type), (operand.expr, other))
            if trouble:
                self.report(_filtered(left), _last_name(left), "template/type", *trouble)
            left, type = operand.expr, other

    def loop(self, node: nodes.For, scope: _Scope) -> None:
        over = self.node(node.iter, scope)
        inner = scope.inner()
        inner.names["loop"] = None
        self.assign(node.target, over.items if over and over.kind is Kind.LIST else None, inner)
        if node.test:
            self.node(node.test, inner)
        self.body(node.body, inner)
        self.body(node.else_, scope.inner())

    def macro(self, node: nodes.Macro | nodes.CallBlock, scope: _Scope) -> None:
        if isinstance(node, nodes.Macro):
            scope.names[node.name] = None
        else:
            self.node(node.call, scope)
        for default in node.defaults:
            self.node(default, scope)
        inner = scope.inner()
        inner.names.update(dict.fromkeys(("caller", "varargs", "kwargs")))
        for argument in node.args:
            self.assign(argument, None, inner)
        self.body(node.body, inner)

    def assign(self, target: nodes.Node, type: ValueType | None, scope: _Scope) -> None:
        if isinstance(target, nodes.Name):
            scope.names[target.name] = type
        elif isinstance(target, nodes.Tuple):
            for each in target.items:
                self.assign(each, None, scope)

    def not_supported(self, node: nodes.Node) -> None:
        word = type(node).__name__.lower().replace("fromimport", "from")
        self.report(node, word, "template/not-supported", f"`{word}` is not supported in templates.")

    def known_words(self, node: nodes.Node) -> None:
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "range":
            self.range(node)
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            hint = did_you_mean(node.name, FILTERS) or f"The filters: {listed(sorted(FILTERS), 'and', 30)}."
            self.report(node, node.name, "template/filter", f"Unknown filter `{node.name}`.", hint)
        elif isinstance(node, nodes.Filter):
            trouble = argument_trouble(node)
            if trouble:
                self.report(node, node.name, "template/filter", *trouble)
        elif isinstance(node, nodes.Test) and node.name not in TESTS:
            self.report(
                node,
                node.name,
                "template/test",
                f"Unknown test `{node.name}`.",
                did_you_mean(node.name, TESTS),
            )

    def range(self, node: nodes.Call) -> None:
        numbers = [each.value for each in node.args if isinstance(each, nodes.Const)]
        written_out = len(numbers) == len(node.args) and all(type(number) is int for number in numbers)
        if written_out and 1 <= len(numbers) <= 3 and len(range(*numbers)) > LONGEST_RANGE:
            message = f"`range` is limited to {LONGEST_RANGE:,} numbers."
            self.report(node.node, "range", "template/range", message)

    def value(self, node: nodes.Expr, scope: _Scope) -> ValueType | None:
        if isinstance(node, nodes.Name):
            return self.name(node, scope)
        assert isinstance(node, nodes.Getattr | nodes.Getitem)
        base = self.node(node.node, scope)
        if isinstance(node, nodes.Getattr):
            return self.member(node, base, node.attr)
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            return self.member(node, base, node.arg.value)
        self.node(node.arg, scope)
        return base.items if base and base.kind is Kind.LIST else None

    def name(self, node: nodes.Name, scope: _Scope) -> ValueType | None:
        name = node.name
        if name in scope.names:
            return scope.names[name]
        if name in self.values:
            return self.values[name]
        if name not in _FUNCTIONS:
            owners = [owner for owner, type in self.values.items() if name in type.fields]
            hint = (
                f"Did you mean {listed(f'{owner}.{name}' for owner in owners)}?"
                if owners
                else did_you_mean(name, [*self.values, *scope.names])
                or f'A template reads contact.…, trigger.… and run.…; a text stands in quotes: "{name}".'
            )
            if name == "event":
                hint = "What started the run is `trigger`."
            self.report(node, name, "template/unknown", f"Unknown name `{name}`.", hint)
        return None

    def member(self, node: nodes.Expr, base: ValueType | None, name: str) -> ValueType | None:
        owner = _dotted(node.node) if isinstance(node, nodes.Getattr | nodes.Getitem) else ""
        if base is None:
            return None
        if base.kind is Kind.LIST and base.items and base.items.kind is Kind.OBJECT:
            inner = self.member(node, base.items, name)
            return ValueType(Kind.LIST, items=inner) if inner else None
        if base.kind is not Kind.OBJECT:
            message = f"`{owner}` is {WORDS.get(base.kind, 'a list')}; it has no `{name}`."
            hint = f"Write {owner}|{name}." if name in FILTERS else None
            self.report(node, name, "template/unknown", message, hint)
            return None
        if owner in ("contact", "account") and name in self.unreadable:
            return None
        if name not in base.fields:
            message, hint = self.no_member(owner, name, base)
            self.report(node, name, "template/unknown", message, hint)
            return None
        return base.fields[name]

    def no_member(self, owner: str, name: str, base: ValueType) -> tuple[str, str | None]:
        hint = did_you_mean(name, base.fields)
        if owner == "contact":
            return f"The catalog has no attribute `{name}`.", hint or "Declare it in catalog.yaml."
        if owner == "account":
            return (
                f"The catalog has no attribute `{name}` of accounts.",
                hint or "Declare it under `accounts`.",
            )
        if owner == "trigger":
            return f"The trigger has no property `{name}`.", hint or _these(base)
        if owner == "run":
            return f"No step writes `run.{name}`.", hint or _these(base)
        return f"`{owner}` has no member `{name}`.", hint or _these(base)

    def report(self, node: nodes.Node, word: str, code: str, message: str, hint: str | None = None) -> None:
        misread = Misread(line=node.lineno, word=word, code=code, message=message, node=node, hint=hint)
        self.found.append(misread)


def _these(type: ValueType) -> str | None:
    return f"There is {listed(sorted(type.fields), 'and')}." if type.fields else None


def _dotted(node: nodes.Node) -> str:
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{_dotted(node.node)}.{node.attr}"
    if isinstance(node, nodes.Getitem):
        return f"{_dotted(node.node)}[…]"
    if isinstance(node, nodes.Const):
        return repr(node.value)
    return "this"


def _filtered(node: nodes.Node) -> nodes.Node:
    """What the filters are put behind."""
    while isinstance(node, nodes.Filter) and node.node is not None:
        node = node.node
    return node


def _last_name(node: nodes.Node) -> str:
    """The word by which a value is found in the text."""
    inner = _filtered(node)
    return inner.attr if isinstance(inner, nodes.Getattr) else _dotted(inner)

"""What a name stands for: ``contact.plan``, ``event["Order ID"]``, ``last("X").revenue``, ``today``, a list."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING

from runner.journey.catalog import CONTACT_FIELDS, DERIVED_FIELDS, Catalog
from runner.journey.expression import tree
from runner.journey.expression.calls import FUNCTIONS
from runner.journey.expression.finding import did_you_mean, listing
from runner.journey.expression.history import build_last
from runner.journey.expression.paths import METHODS, Parts, follow
from runner.journey.expression.tree import Node
from runner.journey.values import DATETIME, NUMBER, STRING, Kind, ValueType

if TYPE_CHECKING:
    from runner.journey.expression.build import Builder

ROOTS = ("contact", "account", "trigger", "event", "run")
CLOCKS = ("now", "today", "weekday")
RUN_FIELDS: Mapping[str, ValueType] = {"entered_at": DATETIME, "blocked": STRING}
"""What every run has beside the values that its steps write: when it began, and why its last blocked message was."""
_KINDS = {"contact": "attribute", "account": "attribute", "run": "value"}


def is_taken(name: str) -> bool:
    """Whether ``name`` means something wherever it stands, so that no list of the catalog can be called so."""
    return name in (*ROOTS, *CLOCKS, *FUNCTIONS)


def build_name(builder: Builder, node: ast.Name) -> Node | None:
    """A name that stands alone: a reading of the clock, or a list of the catalog."""
    name, catalog = node.id, builder.scope.catalog
    if name in CLOCKS:
        return tree.Clock(name)
    if name in catalog.lists:
        members = catalog.lists[name]
        if members:
            return tree.Members(tuple(members), ValueType(Kind.LIST, items=STRING))
        builder.report(node, "empty-list", f"the list `{name}` of the catalog has no members")
        return None
    message = f"there is no name `{name}`"
    if name in ROOTS:
        message, hint = f"`{name}` is not a value by itself", f"read something of it: `{name}.…`"
    elif name in FUNCTIONS:
        message, hint = f"`{name}` is a function", f"call it: `{FUNCTIONS[name].example}`"
    else:
        hint = _meant(builder, name)
    builder.report(node, "unknown-name", message, hint)
    return None


def _meant(builder: Builder, name: str) -> str:
    scope = builder.scope
    if name.lower() in ("true", "false", "none", "null"):
        return f"write `{ {'true': 'True', 'false': 'False'}.get(name.lower(), 'None') }`"
    owners: tuple[tuple[str, bool], ...] = (
        ("contact", scope.contact_type(name) is not None or name in DERIVED_FIELDS),
        ("event", name in (scope.event or ())),
        ("trigger", name in (scope.trigger or ())),
        ("account", name in scope.catalog.accounts),
    )
    for owner, has in owners:
        if has:
            return f"write `{owner}.{name}`"
    known = [*ROOTS, *CLOCKS, *FUNCTIONS, *scope.catalog.lists]
    return did_you_mean(name, known, cutoff=0.75) or f'a string stands in quotes: "{name}"'


def build_dotted(builder: Builder, node: ast.Attribute | ast.Subscript) -> Node | None:
    """A name with dots or brackets."""
    parts: Parts = []
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
    if isinstance(root, ast.Call) and isinstance(root.func, ast.Name) and root.func.id == "last" and parts:
        return build_last(builder, root, parts)
    if isinstance(root, ast.Name) and root.id in ROOTS and parts:
        return _read(builder, root, parts)
    if isinstance(node, ast.Attribute) and node.attr in METHODS:
        builder.report(
            node, "unsupported-syntax", f"`{node.attr}` must be called", f"write `.{node.attr}(…)`"
        )
    elif not isinstance(root, ast.Name) or build_name(builder, root) is not None:
        names = listing(ROOTS)
        message = f"nothing can be read from {builder.quoted(root)} with a dot or brackets"
        builder.report(node, "unsupported-syntax", message, f"only these have properties: {names}, last(…)")
    return None


def _read(builder: Builder, root: ast.Name, parts: Parts) -> Node | None:
    source = root.id
    first, node = parts[0]
    if source == "contact" and first in DERIVED_FIELDS:
        return _derived(builder, first, parts)
    known = _names_of(builder, root)
    if known is None:
        return None
    type = known.get(first) if source != "contact" else builder.scope.contact_type(first)
    if type is None:
        _report_unknown(builder, source, first, node, known)
        return None
    found = follow(builder, type, parts[1:], f"{source}.{first}")
    if found is None:
        return None
    path, inside, type = found
    return tree.Name(source, (first, *path), type, inside)


def _report_unknown(
    builder: Builder, source: str, name: str, node: ast.expr, known: Mapping[str, ValueType]
) -> None:
    kind = _KINDS.get(source, "property")
    declare = {
        "run": "write it with an `update` step first",
        "account": "declare it in catalog.yaml, under `accounts`",
        "contact": "declare it in catalog.yaml, under `attributes`",
    }.get(source, "declare it in the catalog")
    there_are = f"known: {listing(known)}" if known else ""
    listed = f"{declare}; {there_are}" if source == "contact" else there_are or declare
    hint = did_you_mean(name, known) or listed
    if name in METHODS:
        hint = "methods belong to strings, as in `contact.locale.lower()`"
    builder.report_end(node, len(name), f"unknown-{kind}", f"{source} has no {kind} `{name}`", hint)


def _names_of(builder: Builder, root: ast.Name) -> Mapping[str, ValueType] | None:
    """What can be read of a root here; None, and reported, where nothing can."""
    scope = builder.scope
    if root.id == "contact":
        declared = {name: attribute.type for name, attribute in scope.catalog.attributes.items()}
        return {**declared, **CONTACT_FIELDS, **_derived_types(scope.catalog)}
    if root.id == "account":
        return {name: attribute.type for name, attribute in scope.catalog.accounts.items()}
    if root.id == "run" and scope.trigger is not None:
        return {**RUN_FIELDS, **scope.run_values}
    if root.id == "trigger" and scope.trigger is not None:
        return scope.trigger
    if root.id == "event" and scope.event is not None:
        return scope.event
    if root.id == "event":
        message = "no event is looked at here, so there is no `event`"
        hint = "`event` stands in a `where` or a goal's `value`" + (
            "; the event that started the run is `trigger`" if scope.trigger is not None else ""
        )
    else:
        message = f"no run exists here, so there is no `{root.id}`"
        hint = "where a trigger is looked at, its properties are `event.…`" if scope.event else ""
    builder.report(root, "not-here", message, hint or None)
    return None


def _derived_types(catalog: Catalog) -> dict[str, ValueType]:
    """What the catalog makes of contacts, as far as it does, for whoever misspells it."""
    named = {"stage": catalog.stage, "persona": catalog.persona}
    found = {name: each.type for name, each in named.items() if each is not None}
    return found | ({"score": NUMBER} if catalog.scores else {})


def _derived(builder: Builder, first: str, parts: Parts) -> Node | None:
    """``contact.stage``, ``contact.persona``, ``contact.score``, or, where there are several scores,
    ``contact.score.NAME``."""
    catalog, node = builder.scope.catalog, parts[0][1]
    if first in ("stage", "persona"):
        named = catalog.stage if first == "stage" else catalog.persona
        if named is not None and len(parts) == 1:
            return tree.Derived(first, named.tree, named.type)
        if named is None:
            section = "stages" if first == "stage" else "segments with `persona: true`"
            _report_underived(builder, section, first, node)
        else:
            follow(builder, named.type, parts[1:], f"contact.{first}")
        return None
    if not catalog.scores:
        _report_underived(builder, "scores", first, node)
        return None
    names = listing(catalog.scores)
    if len(parts) == 1 and len(catalog.scores) > 1:
        hint = f"say which: {', '.join(f'`contact.score.{name}`' for name in sorted(catalog.scores))}"
        builder.report_end(node, len(first), "ambiguous-score", "the catalog has several scores", hint)
        return None
    name, place = parts[1] if len(parts) > 1 else (next(iter(catalog.scores)), node)
    if name not in catalog.scores:
        hint = did_you_mean(name, catalog.scores) or f"scores: {names}"
        builder.report_end(place, len(name), "unknown-score", f'the catalog has no score "{name}"', hint)
        return None
    value = catalog.scores[name].value
    if len(parts) > 2:
        follow(builder, value.type, parts[2:], f"contact.score.{name}")
        return None
    return tree.Derived(f"score.{name}", value.tree, value.type)


def _report_underived(builder: Builder, section: str, name: str, node: ast.expr) -> None:
    told = section if "`" in section else f"`{section}`"
    hint = f"declare it in the catalog under {told}, above what reads it"
    builder.report_end(
        node, len(name), "unknown-attribute", f"contact has no `{name}` here: there are no {section}", hint
    )

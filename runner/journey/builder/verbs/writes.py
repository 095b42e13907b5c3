"""What a step writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.journey.builder.kinds import WRITABLE, a_kind, literal_type
from runner.journey.builder.notes import fields_of, is_assigned_expression, items_of, text_of
from runner.journey.catalog import CONTACT_FIELDS
from runner.journey.expression import Expression, tree
from runner.journey.expression.names import RUN_FIELDS
from runner.journey.model import Update
from runner.journey.values import NONE, NUMBER, STRING, Kind, ValueType
from runner.journey.words import did_you_mean, listed
from runner.journey.yaml import Fields, Scalar, Value

if TYPE_CHECKING:
    from runner.journey.builder.steps import StepBuilder


def update(build: StepBuilder, value: Value, _: str | None) -> Update | None:
    options = fields_of(value)
    if options is None:
        return None
    added, removed = _tags(build, options.get("add_tags")), _tags(build, options.get("remove_tags"))
    both = sorted(set(added) & set(removed))
    if both:
        message = f'The tag "{both[0]}" is added and removed in one step.'
        build.notes.note("update/tag", message, options.key_span("remove_tags"))
    return Update(
        attributes=tuple(_attributes(build, options)),
        values=tuple(_run_values(build, options)),
        add_tags=added,
        remove_tags=removed,
        score=_score(build, options),
    )


def _score(build: StepBuilder, options: Fields) -> tuple[str, Expression] | None:
    given = fields_of(options.get("score"))
    if given is None:
        return None
    scores = build.scope.catalog.scores
    name_value, add = given.get("name"), given.get("add")
    name = text_of(name_value)
    if name_value is not None and name is not None and name not in scores:
        build.notes.unknown("score", name, list(scores), name_value.span)
        return None
    if name is None and len(scores) != 1:
        hint = f"Say which: `name:` is one of {listed(scores)}." if scores else "Declare it under `scores`."
        message = f"The catalog has {'several scores' if scores else 'no score'}."
        build.notes.note("update/score", message, options.key_span("score"), hint)
        return None
    written = build.notes.assigned(add, build.scope, NUMBER) if add else None
    return (name or next(iter(scores)), written) if written else None


def _tags(build: StepBuilder, value: Value | None) -> tuple[str, ...]:
    made = []
    for item in items_of(value):
        text = text_of(item)
        if text is None:
            continue
        if is_assigned_expression(item):
            build.notes.note("update/tag", "A tag is a text, not an expression.", item.span)
        made.append(text)
    return tuple(dict.fromkeys(made))


def _attributes(build: StepBuilder, options: Fields) -> Iterator[tuple[str, Expression]]:
    fields = fields_of(options.get("set"))
    for field in fields.fields if fields else ():
        type = build.scope.contact_type(field.key)
        if type is None and field.key in build.scope.catalog.unreadable:
            continue
        if type is None:
            names = [*build.scope.catalog.attributes, *CONTACT_FIELDS]
            hint = did_you_mean(field.key, names) or "Declare it in catalog.yaml, under `attributes`."
            message = f'Unknown attribute "{field.key}".'
            build.notes.note("attribute/unknown", message, field.key_span, hint)
        elif field.key == "id":
            build.notes.note("update/id", "The id of a contact cannot be changed.", field.key_span)
        elif field.key == "tags":
            hint = "Use `add_tags` and `remove_tags`."
            build.notes.note("update/tag", "Tags are not set as a whole.", field.key_span, hint)
        elif type.kind in (Kind.LIST, Kind.OBJECT):
            message = f"`{field.key}` is {a_kind(type)}; a step can only write single values."
            build.notes.note("update/list", message, field.key_span)
        else:
            written = build.notes.assigned(field.value, build.scope, type)
            if written:
                yield field.key, _fitting(written, type)


def _fitting(written: Expression, type: ValueType) -> Expression:
    """What is written, or nothing where it is none of the values that the attribute may have: as with values that
    arrive, so that a stored value is always one of them."""
    if not type.one_of or _surely_within(written.tree, frozenset(type.one_of)):
        return written
    among = tree.Membership(
        written.tree, tree.Members(type.one_of, ValueType(Kind.LIST, items=STRING)), negated=False
    )
    return replace(
        written, tree=tree.Conditional(among, written.tree, tree.Literal(None, NONE), type), type=type
    )


def _surely_within(node: tree.Node, allowed: frozenset[str]) -> bool:
    match node:
        case tree.Literal(value=value):
            return value is None or value in allowed
        case tree.Conditional(then=then, otherwise=otherwise):
            return _surely_within(then, allowed) and _surely_within(otherwise, allowed)
        case tree.Derived(value=inner):
            return _surely_within(inner, allowed)
        case tree.Name(source="contact" | "account"):
            return bool(node.type.one_of) and allowed.issuperset(node.type.one_of)
    return False


def _run_values(build: StepBuilder, options: Fields) -> Iterator[tuple[str, Expression]]:
    fields = fields_of(options.get("run"))
    for field in fields.fields if fields else ():
        if field.key in RUN_FIELDS:
            message = f"`run.{field.key}` is written by the engine alone."
            build.notes.note("update/run-field", message, field.key_span, "Choose another name.")
            continue
        type = build.scope.run_values.get(field.key)
        if type is None:
            # Nothing but this file gives it a type, and no value of it has one: tell why.
            if is_assigned_expression(field.value):
                run_value_type(build, field.value)
            continue
        written = build.notes.assigned(field.value, build.scope, type)
        if written:
            yield field.key, written


def run_value_type(build: StepBuilder, value: Value) -> ValueType | None:
    """The type that a value of the run takes from what is written to it, or None where it gives none."""
    if not isinstance(value, Scalar):
        return None
    if is_assigned_expression(value):
        written = build.notes.expression(value, build.scope)
        if written is None:
            return None
        if written.type.kind in WRITABLE:
            return ValueType(written.type.kind)
        message = f"A value of the run cannot be {a_kind(written.type)}."
        build.notes.note("update/list", message, value.span)
        return None
    return literal_type(value)

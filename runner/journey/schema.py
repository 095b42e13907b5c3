"""Read a file and hold it against its JSON Schema; every error becomes a problem at its place, in words.

The schemas are the ones that editors use. Where a schema gives a choice (``anyOf``), the keys and the type
of the value decide which alternative was meant, and only that one is looked into: an author who misspells
an option of ``send`` hears of that option, not of seven other verbs. Two keywords are our own: ``x-kind``
names a kind of text that has a message of its own, ``x-later`` lists keys of the language that this version
does not support.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from runner.journey.schema_words import Finding, explain
from runner.journey.yaml import Broken, Fields, Items, Scalar, Value, load_yaml
from runner.problem import Problem
from schema import read_schema

BROKEN = object()
"""Stands in the plain data where a problem has been reported already."""

_GROUPS = ("definitions", "$defs")


def load_document(
    path: str, text: str, schema_name: str, first_line: int = 1
) -> tuple[Value | None, tuple[Problem, ...]]:
    """The value tree of ``text`` and every problem of its YAML and its schema.

    The tree is None where the text is no YAML. With problems, the tree is there but need not fit the schema.
    ``schema_name`` is the name of a file of ``schema/``: journey, catalog, tests, template, journeys.
    """
    value, problems = load_yaml(path, text, first_line)
    if value is None:
        return None, problems
    return value, (*problems, *validate(value, schema_name))


def validate(value: Value, schema_name: str, part: str | None = None) -> tuple[Problem, ...]:
    """Everything about ``value`` that the schema does not allow, in file order. ``part`` is the name of a definition
    that ``value`` is held against instead of the whole."""
    found: dict[Problem, None] = {}
    for error in _validator(schema_name, part).iter_errors(plain(value)):
        for problem in _problems(value, error):
            found[problem] = None
    return tuple(sorted(found, key=lambda problem: problem.span))


def plain(value: Value) -> Any:
    """``value`` as dicts, lists, texts, numbers (int or Decimal), booleans and None."""
    if isinstance(value, Scalar):
        return value.value
    if isinstance(value, Fields):
        return {field.key: plain(field.value) for field in value.fields}
    if isinstance(value, Items):
        return [plain(item) for item in value.items]
    return BROKEN


def _problems(root: Value, error: ValidationError) -> Iterator[Problem]:
    if error.instance is BROKEN:
        return
    path = list(error.absolute_path)
    place, key = _find(root, path)
    if isinstance(place, Broken):
        return
    schema_path = list(error.absolute_schema_path)
    finding = Finding(
        keyword=str(error.validator),
        argument=error.validator_value,
        instance=error.instance,
        schema=error.schema if isinstance(error.schema, Mapping) else {},
        key=key,
        place=place,
        of_key="propertyNames" in schema_path[-2:-1],
        is_item=bool(path) and isinstance(path[-1], int),
    )
    yield from explain(finding)


def _find(root: Value, path: list[str | int]) -> tuple[Value, str | None]:
    """The value at ``path``, and the nearest key above it."""
    place, key = root, None
    for part in path:
        if isinstance(part, int) and isinstance(place, Items):
            place = place.items[part]
        elif isinstance(part, str) and isinstance(place, Fields):
            inner = place.get(part)
            if inner is None:
                break
            place, key = inner, part
    return place, key


@cache
def _validator(schema_name: str, part: str | None = None) -> Any:
    schema = deepcopy(read_schema(schema_name))
    schema.pop("$id", None)
    schema.pop("$schema", None)
    linked = _linked(schema)
    return _Validator(linked if part is None else linked["definitions"][part])


def _linked(schema: dict[str, Any]) -> dict[str, Any]:
    """``schema`` with each reference replaced by what it refers to: the validator then looks nothing up.

    A reference with a description of its own (in draft 7 an ``allOf`` with one member) is merged.
    """
    definitions = {
        f"#/{group}/{name}": body for group in _GROUPS for name, body in schema.get(group, {}).items()
    }
    elsewhere: dict[str, dict[str, Any]] = {}

    def link(node: Any) -> Any:
        if isinstance(node, list):
            return [link(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            file, _, place = node.pop("$ref").partition("#")
            if file:
                name, definition = file.removesuffix(".schema.json"), place.rsplit("/", 1)[-1]
                linked = elsewhere.setdefault(name, {}) or _linked(deepcopy(read_schema(name)))
                elsewhere[name] = linked
                base = linked["definitions"][definition]
            else:
                base = definitions[f"#{place}"]
            if not node:
                return base
            node["allOf"] = [base]
            return node
        for key, inner in node.items():
            node[key] = link(inner)
        return node

    merged: set[int] = set()

    def merge(node: Any) -> None:
        if isinstance(node, list):
            for item in node:
                merge(item)
        if not isinstance(node, dict) or id(node) in merged:
            return
        merged.add(id(node))
        if len(node.get("allOf", ())) == 1:
            (base,) = node.pop("allOf")
            merge(base)
            for key, inner in base.items():
                node.setdefault(key, inner)
        for inner in list(node.values()):
            merge(inner)

    linked: dict[str, Any] = link(schema)
    merge(linked)
    return linked


def _choose(
    validator: Any, alternatives: list[dict[str, Any]], instance: Any, _: dict[str, Any]
) -> Iterator[ValidationError]:
    """``anyOf`` and ``oneOf``: look only into the alternative that was meant."""
    if isinstance(instance, dict):
        fitting, keys = _mappings(validator, alternatives)
        if len(fitting) > 1:
            meant = [each for each, key in zip(fitting, keys, strict=True) if key in instance]
            if len(meant) > 1:  # the one that knows what decides for the others
                said = {key for key in keys if key in instance}
                meant = [each for each in meant if said <= each.get("properties", {}).keys()]
            if len(meant) != 1:
                yield ValidationError("choice", validator="choice", validator_value=keys)
                return
            fitting = meant
    elif any(_fits_at_a_glance(instance, each) for each in alternatives):
        return
    else:
        fitting = [each for each in alternatives if _type_fits(validator, each, instance)]
        if len(fitting) > 1:
            if any(validator.evolve(schema=each).is_valid(instance) for each in fitting):
                return
            fitting = [each for each in fitting if "enum" not in each] or fitting
    if not fitting:
        yield ValidationError("alternatives", validator="alternatives", validator_value=alternatives)
    elif not _fits_at_a_glance(instance, fitting[0]):
        yield from validator.descend(instance, fitting[0])


_MAPPINGS: dict[int, tuple[list[dict[str, Any]], list[str]]] = {}
"""By the identity of a list of alternatives, which lives as long as its schema: those for mappings, and
their keys."""


def _mappings(validator: Any, alternatives: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """The alternatives that are mappings, and of each the key that decides for it."""
    found = _MAPPINGS.get(id(alternatives))
    if found is None:
        fitting = [each for each in alternatives if _type_fits(validator, each, {})]
        found = _MAPPINGS[id(alternatives)] = (fitting, _deciding_keys(fitting))
    return found


def _type_fits(validator: Any, schema: dict[str, Any], instance: Any) -> bool:
    types = schema.get("type")
    if types is None and ("anyOf" in schema or "oneOf" in schema):
        inner = schema.get("anyOf") or schema["oneOf"]
        return any(_type_fits(validator, each, instance) for each in inner)
    if types is None:
        return isinstance(instance, str) if "enum" in schema else True
    return any(validator.is_type(instance, each) for each in ([types] if isinstance(types, str) else types))


def _deciding_keys(alternatives: list[dict[str, Any]]) -> list[str]:
    """Of each alternative the first required key that no other alternative knows."""
    keys = []
    for mine in alternatives:
        others = [each.get("properties", {}) for each in alternatives if each is not mine]
        required = mine.get("required", [])
        own = (key for key in required if not any(key in properties for properties in others))
        keys.append(next(own, required[0] if required else ""))
    return keys


def _pattern(_: Any, pattern: str, instance: Any, __: dict[str, Any]) -> Iterator[ValidationError]:
    """As in JavaScript: ``$`` is the very end, ``\\d`` is 0 to 9."""
    if isinstance(instance, str) and not _compiled(pattern).search(instance):
        yield ValidationError("pattern")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"(?<!\\)\$", r"\\Z", pattern), re.ASCII)


def _properties(
    validator: Any, properties: dict[str, Any], instance: Any, _: dict[str, Any]
) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for key, inner in instance.items():
            if key in properties and not _fits_at_a_glance(inner, properties[key]):
                yield from validator.descend(inner, properties[key], path=key, schema_path=key)


def _items(
    validator: Any, items: dict[str, Any], instance: Any, _: dict[str, Any]
) -> Iterator[ValidationError]:
    if isinstance(instance, list):
        for index, item in enumerate(instance):
            if not _fits_at_a_glance(item, items):
                yield from validator.descend(item, items, path=index)


_TEXT = frozenset({"type", "pattern", "minLength", "enum"})
"""The keywords of schemas that are held against a text at a glance."""
_GLANCES: dict[int, bool] = {}
"""By the identity of a schema, which lives for good, whether it takes texts and has no keyword beyond ``_TEXT``."""


def _fits_at_a_glance(instance: Any, schema: dict[str, Any]) -> bool:
    """Whether it is a text that a schema for texts allows: most values are, and to go down to each costs ten times as
    much. False says nothing."""
    if not isinstance(instance, str):
        return False
    simple = _GLANCES.get(id(schema))
    if simple is None:
        keywords = schema.keys() & _Validator.VALIDATORS.keys()
        simple = keywords <= _TEXT and schema.get("type", "string") == "string"
        _GLANCES[id(schema)] = simple
    return (
        simple
        and len(instance) >= schema.get("minLength", 0)
        and ("enum" not in schema or instance in schema["enum"])
        and ("pattern" not in schema or _compiled(schema["pattern"]).search(instance) is not None)
    )


_Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft7Validator,
    {
        "anyOf": _choose,
        "oneOf": _choose,
        "pattern": _pattern,
        "properties": _properties,
        "items": _items,
    },
)

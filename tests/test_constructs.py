"""Every key and every choice that the schemas of journey, fragment and catalog offer is used by a case that checks, and
every key stands in a case that fails at it. What the schemas offer is the language, so that none of it goes untested.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from referencing import Registry
from test_check_cases import ERR, OK, case_files

import schema as schemas
from runner.journey.schema import plain
from runner.journey.yaml import Fields, Items, Value, load_yaml
from runner.problem import Span
from runner.review.check import check_files

read_schema = cache(schemas.read_schema)
LANGUAGE = ("journey", "fragment", "catalog")
OPEN = "*"
"""The key of a mapping whose keys the author chooses."""


def schema_of(path: str) -> str | None:
    """The schema that the file at ``path`` of a project is held against; None for what is no part of the language."""
    name = Path(path).name
    if not path.endswith(".yaml") or name == "tests.yaml":
        return None
    if "/fragments/" in path:
        return "fragment"
    return {"journey.yaml": "journey", "catalog.yaml": "catalog"}.get(name)


@cache
def registry() -> Registry[Any]:
    """The schemas of the language, by the addresses at which they refer to one another."""
    documents = [read_schema(name) for name in LANGUAGE]
    return Registry().with_contents((document["$id"], document) for document in documents)


def resolved(schema: str, node: Any, name: str) -> tuple[str, Any, str]:
    """What a reference leads to: the schema that it stands in, itself, and the name by which all in it is known."""
    while isinstance(node, dict) and "$ref" in node:
        file, _, place = node["$ref"].partition("#/definitions/")
        schema, name = file.removesuffix(".schema.json") or schema, place
        node = read_schema(schema)["definitions"][place]
    return schema, node, name


_VALIDATORS: dict[tuple[str, int], Draft7Validator] = {}
"""By schema and the identity of a node of it."""


def fits(schema: str, node: dict[str, Any], value: Any) -> bool:
    known = _VALIDATORS.get((schema, id(node)))
    if known is None:
        root = read_schema(schema)
        whole = {**node, "$id": root["$id"], "definitions": root.get("definitions", {})}
        known = _VALIDATORS[schema, id(node)] = Draft7Validator(whole, registry=registry())
    return known.is_valid(value)


def alternatives(node: dict[str, Any]) -> Iterator[Any]:
    for key in ("allOf", "anyOf", "oneOf"):
        yield from node.get(key, ())
    for key in ("if", "then", "else"):
        if key in node:
            yield node[key]


@cache
def offered(schema_name: str) -> frozenset[str]:
    """The keys that a schema offers, as ``definition.key``, and the choices of its enumerations, as
    ``definition.key=choice``. What it takes over from another schema is offered by that one."""
    found: set[str] = set()
    seen: set[int] = set()

    def look(node: Any, name: str) -> None:
        schema, node, name = resolved(schema_name, node, name)
        if schema != schema_name or not isinstance(node, dict) or id(node) in seen:
            return
        seen.add(id(node))
        found.update(f"{name}={choice}" for choice in node.get("enum", ()))
        for key, inner in node.get("properties", {}).items():
            found.add(f"{name}.{key}")
            look(inner, f"{name}.{key}")
        for key in ("items", "additionalProperties"):
            look(node.get(key), f"{name}.{OPEN}" if key == "additionalProperties" else name)
        for inner in alternatives(node):
            look(inner, name)

    look(read_schema(schema_name), schema_name)
    return frozenset(found)


def used(schema_name: str, value: Any) -> frozenset[str]:
    """What of ``offered`` a file that fits its schema uses."""
    found: set[str] = set()

    def look(schema: str, node: Any, value: Any, name: str) -> None:
        schema, node, name = resolved(schema, node, name)
        if not isinstance(node, dict):
            return
        if "enum" in node and value in node["enum"]:
            found.add(f"{name}={value}")
        for inner in alternatives(node):
            inner_schema, inner, inner_name = resolved(schema, inner, name)
            if fits(inner_schema, inner, value):
                look(inner_schema, inner, value, inner_name)
        if isinstance(value, list):
            for item in value:
                look(schema, node.get("items"), item, name)
        if isinstance(value, dict):
            properties = node.get("properties", {})
            for key, inner in value.items():
                if key in properties:
                    found.add(f"{name}.{key}")
                    look(schema, properties[key], inner, f"{name}.{key}")
                else:
                    look(schema, node.get("additionalProperties"), inner, f"{name}.{OPEN}")

    look(schema_name, read_schema(schema_name), value, schema_name)
    return frozenset(found)


def way_to(value: Value, span: Span) -> tuple[str | int, ...]:
    """The keys and places that lead from the root of a file to where ``span`` begins."""
    here: tuple[str | int, ...] = ()
    steps: list[tuple[str | int, Span, Value]] = []
    if isinstance(value, Fields):
        steps = [(field.key, field.key_span, field.value) for field in value.fields]
    elif isinstance(value, Items):
        steps = [(place, item.span, item) for place, item in enumerate(value.items)]
    for step, begins, inner in steps:
        if (begins.line, begins.column) <= (span.line, span.column):
            here = (step, *way_to(inner, span))
    return here


def keys_on(schema_name: str, way: tuple[str | int, ...]) -> frozenset[str]:
    """The keys of ``offered`` that the last key of ``way`` may be; a file that fails need not say which alternative it
    meant."""
    found: set[str] = set()
    last = max((place for place, step in enumerate(way) if isinstance(step, str)), default=-1)

    def follow(schema: str, node: Any, place: int, name: str, seen: tuple[int, ...]) -> None:
        schema, node, name = resolved(schema, node, name)
        if not isinstance(node, dict) or place == len(way) or id(node) in seen:
            return
        for inner in alternatives(node):
            follow(schema, inner, place, name, (*seen, id(node)))
        step = way[place]
        if isinstance(step, int):
            follow(schema, node.get("items"), place + 1, name, ())
        elif step in node.get("properties", {}):
            if place == last:
                found.add(f"{name}.{step}")
            follow(schema, node["properties"][step], place + 1, f"{name}.{step}", ())
        else:
            follow(schema, node.get("additionalProperties"), place + 1, f"{name}.{OPEN}", ())

    follow(schema_name, read_schema(schema_name), 0, schema_name, ())
    return frozenset(found)


def trees(files: dict[str, str]) -> Iterator[tuple[str, str, Value]]:
    for path, text in files.items():
        name = schema_of(path)
        if name is None:
            continue
        value, _ = load_yaml(path, text)
        if value is not None:
            yield path, name, value


@pytest.mark.parametrize("schema_name", LANGUAGE)
def test_every_key_and_choice_is_used_by_a_case_that_checks(schema_name: str) -> None:
    found: set[str] = set()
    for case in OK:
        for _, name, value in trees(case_files(case)):
            if name == schema_name:
                found |= used(name, plain(value))
    assert sorted(offered(schema_name) - found) == []


@pytest.mark.parametrize("schema_name", LANGUAGE)
def test_every_key_stands_in_a_case_that_fails_at_it(schema_name: str) -> None:
    found: set[str] = set()
    for case in ERR:
        files = case_files(case)
        known = {path: (name, value) for path, name, value in trees(files)}
        for problem in check_files(files).problems:
            name, value = known.get(problem.span.file, (None, None))
            if name == schema_name and value is not None:
                found |= keys_on(name, way_to(value, problem.span))
    keys = {one for one in offered(schema_name) if "=" not in one}
    assert sorted(keys - found) == []

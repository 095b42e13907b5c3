"""The schemas: valid themselves, agreeing with the validator that we read files with, and useful to editors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from standard_project import CASES, JOURNEY, standard_files

from runner.journey.expansion import masked_series
from runner.journey.schema import load_document, plain, validate
from runner.journey.yaml import Fields, Items, Scalar, Value, load_yaml
from runner.problem import Span
from schema import read_schema

ROOT = Path(__file__).parent.parent
OURS = ("journey", "fragment", "catalog", "journeys", "template")


@pytest.mark.parametrize("name", OURS)
def test_a_schema_is_one_and_describes_every_property(name: str) -> None:
    schema = read_schema(name)
    Draft7Validator.check_schema(schema)
    for place, each in properties(schema, name):
        resolved = schema["definitions"][each["$ref"].rsplit("/", 1)[-1]] if "$ref" in each else each
        assert resolved.get("description"), place


def properties(node: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        for name, each in node.get("properties", {}).items():
            if isinstance(each, dict):  # else it is the schema of a property that is called `properties`
                yield f"{place}.{name}", each
        for key, inner in node.items():
            yield from properties(inner, f"{place}.{key}")
    elif isinstance(node, list):
        for item in node:
            yield from properties(item, place)


def test_a_dash_under_steps_offers_the_verbs_and_nothing_of_their_options() -> None:
    alternatives = read_schema("journey")["definitions"]["step"]["anyOf"]
    offered = {key for each in alternatives for key in each["properties"]}
    assert offered == {
        "id", "note", "wait", "condition", "branch", "split", "send", "update", "consent", "enroll", "emit", "series",
        "use", "draw", "call", "hand_off", "ad_audience", "goto", "exit",
    }  # fmt: skip
    assert all(len(each["required"]) == 2 and each["additionalProperties"] is False for each in alternatives)


SHIPPED = sorted((*ROOT.glob("journeys/*/journey.yaml"), *ROOT.glob("examples/*/journeys/*/journey.yaml")))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.parent.name)
def test_shipped_journeys_fit(path: Path) -> None:
    document, problems = load_yaml(path.name, path.read_text(encoding="utf-8"))
    assert document is not None
    assert (*problems, *validate(masked_series(document), "journey")) == ()


# The validator descends into one alternative only; whether a document fits must not depend on that.

SPAN = Span("a.yaml", 1, 1)


def tree(value: Any) -> Value:
    text = json.dumps(value, default=str, ensure_ascii=False)
    made, problems = load_yaml("a.yaml", text)
    assert made is not None, problems
    return made


def good_documents() -> dict[str, Any]:
    journey = standard_files({JOURNEY: (CASES / "ok" / "everything.yaml").read_text(encoding="utf-8")})[
        JOURNEY
    ]
    catalog = standard_files({})["journeys/catalog.yaml"]
    found = {}
    for name, text in (("journey", journey), ("catalog", catalog)):
        value, problems = load_yaml("a.yaml", text)
        assert value is not None, problems
        found[name] = plain(value)
    return found


GOOD = good_documents()
WORDS = st.sampled_from(
    [
        *(
            "id",
            "wait",
            "event",
            "for",
            "until",
            "up_to",
            "then",
            "else",
            "when",
            "steps",
            "send",
            "goto",
            "exit",
        ),
        *("name", "percent", "arms", "branch", "type", "one_of", "string", "x", "3d", "7", "mon", "never"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 200) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn, document: Any) -> Any:
    """``document`` with one to three of its places changed."""
    copy = json.loads(json.dumps(document, default=lambda d: float(d) if isinstance(d, Decimal) else str(d)))
    for _ in range(draw(st.integers(1, 3))):
        place = copy
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            if not isinstance(place[key], dict | list) or not place[key] or draw(st.integers(0, 3)) == 0:
                change = draw(st.sampled_from(["replace", "remove", "add"]))
                if change == "replace":
                    place[key] = draw(VALUES)
                elif change == "remove":
                    del place[key]
                elif isinstance(place, dict):
                    place[draw(WORDS)] = draw(VALUES)
                else:
                    place.append(draw(VALUES))
                break
            place = place[key]
    return copy


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(["journey", "catalog"]))
def test_it_finds_a_problem_where_any_validator_does(data: st.DataObject, name: str) -> None:
    value = tree(data.draw(mutated(GOOD[name])))
    fits = Draft7Validator(read_schema(name)).is_valid(plain(value))
    assert fits == (validate(value, name) == ())


def test_problems_of_a_document_stand_in_file_order() -> None:
    value, problems = load_document("a.yaml", "steps: 5\njourney: X\nunknown: 1\n", "journey")
    assert isinstance(value, Fields)
    assert [problem.span.line for problem in problems] == [1, 1, 2, 3]
    assert isinstance(value.get("journey"), Scalar)
    assert not isinstance(value.get("steps"), Items)

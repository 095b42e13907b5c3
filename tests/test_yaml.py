"""The YAML loader: core types, positions, limits, and no traceback whatever the file."""

from __future__ import annotations

import string
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runner.journey.yaml import DEEPEST, Broken, Fields, Items, Scalar, Value, load_yaml, split_lines
from runner.problem import Span


def loaded(text: str) -> Value:
    value, problems = load_yaml("a.yaml", text)
    assert not problems, problems
    assert value is not None
    return value


def codes(text: str) -> list[str]:
    return [problem.code for problem in load_yaml("a.yaml", text)[1]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            (text, text)
            for text in ("on", "off", "yes", "NO", "y", "12:30", "2026-03-01", "1_000", "0b1", "08:00")
        ),
        ("1e3", Decimal(1000)),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("-5", -5),
        ("+5", 5),
        ("1.50", Decimal("1.50")),
        (".5", Decimal("0.5")),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ('"5"', "5"),
        ("'true'", "true"),
        ("10%", "10%"),
        ("= today", "= today"),
    ],
)
def test_core_types(text: str, value: object) -> None:
    root = loaded(f"key: {text}")
    assert isinstance(root, Fields)
    scalar = root.get("key")
    assert isinstance(scalar, Scalar)
    assert scalar.value == value
    assert type(scalar.value) is type(value)


def test_every_value_and_key_keeps_its_place() -> None:
    root = loaded("first: 1\nlist:\n  - {a: x, 'b c': [y]}\n")
    assert isinstance(root, Fields)
    assert root.span == Span("a.yaml", 1, 1, 5)
    assert root.key_span("list") == Span("a.yaml", 2, 1, 4)
    items = root.get("list")
    assert isinstance(items, Items)
    inner = items.items[0]
    assert isinstance(inner, Fields)
    assert inner.key_span("b c") == Span("a.yaml", 3, 12, 5)
    nested = inner.get("b c")
    assert isinstance(nested, Items)
    assert nested.items[0].span == Span("a.yaml", 3, 20, 1)


def test_a_part_of_a_folded_value_is_found_in_its_line() -> None:
    root = loaded("when: >-\n  contact.a\n    and contact.b\n  or it\n")
    assert isinstance(root, Fields)
    scalar = root.get("when")
    assert isinstance(scalar, Scalar)
    offset = scalar.text.index("contact.b")
    assert scalar.place(offset, 9) == Span("a.yaml", 3, 9, 9)
    assert scalar.place(scalar.text.index("or it"), 2) == Span("a.yaml", 4, 3, 2)


WORDS = st.text(string.ascii_letters + " .\"'\\é𝄞ა", min_size=1, max_size=30)


@given(words=WORDS, style=st.sampled_from(["'", '"']))
def test_a_part_of_a_quoted_value_is_found_at_its_characters(words: str, style: str) -> None:
    escaped = words.replace("'", "''") if style == "'" else words.replace("\\", "\\\\").replace('"', '\\"')
    line = f"key: {style}{escaped}{style}"
    root = loaded(line)
    assert isinstance(root, Fields)
    scalar = root.get("key")
    assert isinstance(scalar, Scalar)
    assert scalar.text == words
    for offset, character in enumerate(words):
        span = scalar.place(offset, 1)
        found = line[span.column - 1]
        assert found == character or (character in '"\\' and found == "\\"), (offset, span)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: 1\na: 2", "yaml/duplicate-key"),
        ("a: &x 1", "yaml/anchor"),
        ("a: *x", "yaml/alias"),
        ("a: !!int 5", "yaml/tag"),
        ("a: !custom 5", "yaml/tag"),
        ("<<: {a: 1}", "yaml/merge"),
        ("a: 1\n---\nb: 2", "yaml/documents"),
        ("", "yaml/empty"),
        ("# nothing\n", "yaml/empty"),
        ("? [a]\n: b", "yaml/key"),
        ("a: .nan", "yaml/number"),
        ("a: " + "9" * 5000, "yaml/number"),
        ("a: 1e99999999", "yaml/number"),
        ("a:\n\tb: 1", "yaml/tab"),
        ("a: x\0y", "yaml/character"),
        ("a: x\u2028y", "yaml/character"),
        ("a: \ud800", "yaml/character"),
        ("[" * (DEEPEST + 1), "yaml/too-large"),
        ("a: [" + "1," * 100_001 + "]", "yaml/too-large"),
        ("a: '" + "x" * (1 << 20) + "'", "yaml/too-large"),
        ("when: did(\"X\", within='3d')\nif: {when: did('X', within='3d')}", "yaml/quote-expression"),
    ],
)
def test_what_is_refused(text: str, code: str) -> None:
    assert code in codes(text)


def test_a_refused_value_is_not_judged_twice() -> None:
    root, problems = load_yaml("a.yaml", "a: *x\n")
    assert isinstance(root, Fields)
    assert isinstance(root.get("a"), Broken)
    assert len(problems) == 1


def test_an_expression_torn_by_commas_is_mended_so_that_nothing_else_is_reported() -> None:
    root, problems = load_yaml("a.yaml", '{when: did("X", within="3d", where=event.a > 1), reason: x}')
    assert [problem.code for problem in problems] == ["yaml/quote-expression"]
    assert problems[0].hint == """Quote the expression: when: 'did("X", within="3d", where=event.a > 1)'"""
    assert isinstance(root, Fields)
    assert [field.key for field in root.fields] == ["when", "reason"]


@settings(deadline=timedelta(seconds=2), max_examples=300)
@given(st.text(st.sampled_from("ab:-[]{}'\"\n \t#&*!|>?%@,~<0.é\u2028\x00"), max_size=120))
@example("a: |\n")
@example("'")
@example("a: |9\n b")
@example("%YAML 9.9\n---\na")
@example("%TAG ! tag:x,2000:\n---\n!a b")
@example("? ")
@example("- - - - -")
def test_no_text_makes_it_raise_and_every_span_lies_in_the_file(text: str) -> None:
    value, problems = load_yaml("a.yaml", text)
    assert value is not None or problems
    lines = split_lines(text)
    for problem in problems:
        assert 1 <= problem.span.line <= len(lines)
        assert 1 <= problem.span.column <= len(lines[problem.span.line - 1]) + 1

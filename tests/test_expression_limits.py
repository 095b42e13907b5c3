"""Any text is an expression or an error that points into it, soon."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runner.journey.expression import Expression, ExpressionError, Finding, parse_expression
from runner.journey.values import BOOLEAN
from tests.reference.expression_shop import IN_RUN


def codes(source: str) -> list[str]:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(source, IN_RUN, expect=BOOLEAN)
    return [finding.code for finding in caught.value.findings]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("contact.churned or " * 200 + "True", "expression-too-long"),
        ("not " * 400 + "True", "expression-too-deep"),
        ("(" * 150 + "1" + ")" * 150 + " == 1", None),
        ("(" * 900 + "1" + ")" * 900, "expression-syntax"),
        ("+".join(["1"] * 900), "expression-too-deep"),
        ("-" * 1_900 + "1", "expression-too-deep"),
        ("contact" + ".x" * 900, "expression-too-deep"),
        ("1" * 1_999, "bad-literal"),
        ("1e999999", "bad-literal"),
        ("\0", "expression-syntax"),
        ("'\\0' == contact.country", "bad-literal"),
        ("'\\ud800' == contact.country", "bad-literal"),
        ("\ud800", "expression-syntax"),
    ],
)
def test_limits(source: str, code: str | None) -> None:
    if code is None:
        parse_expression(source, IN_RUN, expect=BOOLEAN)
    else:
        assert codes(source)[0] == code


def test_a_chain_that_would_grow_exponentially_is_refused() -> None:
    source = "1"
    for _ in range(12):
        source = f"(1 if 0 < {source} < 2 else 0)"
    assert codes(f"{source} == 1") == ["expression-too-large"]


WORDS = st.sampled_from(
    [
        *(
            "contact",
            "trigger",
            "event",
            "run",
            ".",
            ".",
            ".plan",
            ".lifetime_value",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ",",
        ),
        *(
            "and",
            "or",
            "not",
            "in",
            "is",
            "if",
            "else",
            "None",
            "True",
            "==",
            "=",
            "<",
            ">=",
            "+",
            "-",
            "*",
            "/",
            "!",
            "&&",
        ),
        *(
            '"',
            "'",
            '"pro"',
            '"Order Completed"',
            "did",
            "count",
            "total",
            "last",
            "days_since",
            "within=",
            "where=",
            "1",
            "0.5",
        ),
        *(
            "lambda",
            ":",
            "for",
            "x",
            "f'{x}'",
            "b'x'",
            "...",
            "**",
            "*",
            "@",
            ":=",
            "#",
            "\n",
            "\t",
            "\r",
            "\\",
            "😀",
            "é",
            "1j",
        ),
        *(
            "now",
            "today",
            "days",
            "date",
            "EU",
            ".lower()",
            '.matches("[a")',
            "await",
            "yield",
            ";",
            "0x1",
            "1_0",
            "\u00a0",
        ),
    ]
)


PUNCTUATION = st.text(alphabet="()[]{}\"'\\.=!&|<>+-*/,:#ab1 \n", max_size=60)


@given(
    source=st.one_of(
        st.text(max_size=200),
        PUNCTUATION,
        st.lists(WORDS, max_size=40).map(" ".join),
        st.lists(WORDS, max_size=40).map("".join),
    )
)
@example(source="EU.A")
@example(source="today.x")
@settings(max_examples=600, deadline=None)
def test_any_text_is_an_expression_or_an_error(source: str) -> None:
    findings: list[Finding] | None = None
    try:
        assert isinstance(parse_expression(source, IN_RUN), Expression)
    except ExpressionError as error:
        findings = list(error.findings)
    assert findings != []
    for finding in findings or []:
        assert 0 <= finding.offset <= len(source)
        assert finding.length >= 1
        assert finding.message
        assert "\n" not in finding.message


@pytest.mark.parametrize(
    "source",
    [
        "(" * 1_999,
        "'" * 1_999,
        "a" * 2_000,
        "a." * 999,
        "1+" * 999,
        "![](){}" * 280,
        '"a"=' * 400,
        "f(" * 999,
    ],
)
def test_no_text_takes_long(source: str) -> None:
    begin = time.perf_counter()
    with pytest.raises(ExpressionError):
        parse_expression(source, IN_RUN)
    # Generous: what must not happen is time that grows faster than the text.
    assert time.perf_counter() - begin < 1

"""No file makes ``check`` raise, or take long, whatever stands in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from standard_project import CASES, HEADER, JOURNEY, standard_files

from runner.problem import Span
from runner.review.check import Checked, check_files, check_folder
from runner.review.reporters import json_report, text_report

GOOD = standard_files({JOURNEY: (CASES / "ok" / "everything.yaml").read_text(encoding="utf-8")})
TOKENS = (
    *(
        "{",
        "}",
        "[",
        "]",
        ": ",
        "- ",
        "\n",
        "  ",
        "\t",
        "'",
        '"',
        "|",
        ">",
        "#",
        "&a ",
        "*a ",
        "!x ",
        "? ",
        "= ",
    ),
    *(
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "---\n",
        "contact.",
        "trigger.",
        "did(",
        "within=",
        "not ",
        "in ",
        " and ",
    ),
    *(
        "wait",
        "send",
        "steps",
        "else",
        "when",
        "event",
        "goto",
        "exit",
        "null",
        "true",
        "1e9",
        "0x",
        "30d",
        "P1Y",
    ),
    *(
        "\u2028",
        "\x00",
        "\ufeff",
        "é",
        "𝄞",
        "((((((((",
        "[[[[[[[[",
        "-" * 40,
        "9" * 40,
        "lambda: 0",
        "__class__",
    ),
)
QUICK = timedelta(seconds=3)


def shown(checked: Checked) -> None:
    """Reporters must cope with every problem too."""
    assert text_report(checked.problems, checked.sources) or not checked.problems
    assert json_report(checked.problems, checked.journeys)
    for problem in checked.problems:
        assert isinstance(problem.span, Span)
        assert problem.message
        assert problem.span.line >= 1
        assert problem.span.column >= 1
        assert problem.span.length >= 1


@st.composite
def mutations(draw: st.DrawFn) -> dict[str, str]:
    files = dict(GOOD)
    path = draw(st.sampled_from(sorted(files)))
    text = files[path]
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        change = draw(st.sampled_from(["insert", "remove", "repeat", "replace"]))
        token = draw(st.sampled_from(TOKENS))
        middle = {
            "insert": token + text[start:end],
            "remove": "",
            "repeat": text[start:end] * 2,
            "replace": token,
        }
        text = text[:start] + middle[change] + text[end:]
    files[path] = text
    return files


@settings(max_examples=150, deadline=QUICK, suppress_health_check=[HealthCheck.too_slow])
@given(mutations())
def test_a_mutated_project_is_reported_not_crashed_on(files: dict[str, str]) -> None:
    shown(check_files(files))


@settings(max_examples=60, deadline=QUICK, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=400)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
    path=st.sampled_from([*sorted(GOOD), "journeys.yaml", "journeys/demo/tests.yaml"]),
)
@example(data=b"\xff\xfe", path=JOURNEY)
@example(data=b"a" * 3_000_000, path="journeys.yaml")
@example(data=b"a" * 2_000_000, path=JOURNEY)
@example(data=b"x\n" * 100 + b"\x80", path="journeys/catalog.yaml")
@example(data=b"{{" * 100_000, path="journeys/demo/hello.txt")
@example(data=b"{{ " + b"(" * 50_000, path="journeys/demo/hello.txt")
@example(data=b"{% if x %}" * 5_000, path="journeys/demo/hello.txt")
@example(data=b"---\n" * 50_000, path="journeys/demo/hello.txt")
def test_any_bytes_are_reported_not_crashed_on(tmp_path: Path, data: bytes, path: str) -> None:
    for name, text in GOOD.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "journeys.yaml").unlink(missing_ok=True)
    (tmp_path / "journeys/demo/tests.yaml").unlink(missing_ok=True)
    (tmp_path / path).write_bytes(data)
    shown(check_folder(tmp_path))


HOSTILE = {
    "nested flow": "steps: " + "[" * 100_000,
    "nested mappings": "steps: " + "{a: " * 100_000,
    "nested blocks": "\n".join("  " * level + "a:" for level in range(700)),
    "many keys": "\n".join(f"k{number}: 1" for number in range(60_000)),
    "torn expressions": "{when: (" + ", a" * 60_000 + "}",
    "open quote": 'title: "' + "x\n" * 100_000,
    "long expression": "steps:\n  - {id: a, condition: '" + "not " * 100_000 + "x'}",
    "deep expression": "steps:\n  - {id: a, condition: '" + "(" * 50_000 + "'}",
    "wide expression": "steps:\n  - {id: a, condition: '" + "contact.vip or " * 20_000 + "contact.vip'}",
    "many steps": "steps:\n" + "".join(f"  - {{id: s{number}, wait: 1d}}\n" for number in range(8_000)),
    "same ids": "steps:\n" + "  - {id: a, wait: 1d}\n" * 8_000,
    "unknown keys": "steps:\n  - {" + ", ".join(f"k{number}: 1" for number in range(8_000)) + "}",
    "nested branches": "steps:\n"
    + "".join(
        "  " * (2 * level + 1) + f"- id: b{level}\n" + "  " * (2 * level + 2) + "condition:\n"
        + "  " * (2 * level + 3) + "else:\n"
        for level in range(19)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_file_is_read_to_its_end(name: str) -> None:
    text = HOSTILE[name]
    header = HEADER if text.startswith("steps:") else ""
    shown(check_files({**GOOD, JOURNEY: header + text}))


def test_problems_of_a_hundred_broken_files_come_all_at_once() -> None:
    files = dict(GOOD)
    for number in range(100):
        files[f"journeys/j{number}/journey.yaml"] = GOOD[JOURNEY].replace(
            "journey: demo", f"journey: j{number}", 1
        )
    checked = check_files(files)
    assert checked.journeys == 101
    assert {problem.code for problem in checked.problems} == {"template/missing"}

"""No file makes ``check`` raise, or take long, whatever stands in it.

``JOURNEYS_FUZZ_MINUTES=10 pytest tests/test_check_fuzz.py`` goes on for so long with what is made at random.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from corpus import projects
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mutations import rearranged, torn
from standard_project import CASES, HEADER, JOURNEY, standard_files

from runner.journey.project import CATALOG
from runner.problem import Span
from runner.review.check import Checked, check_files, check_folder
from runner.review.reporters import json_report, text_report

GOOD = standard_files({JOURNEY: (CASES / "ok" / "everything.yaml").read_text(encoding="utf-8")})
MINUTES = float(os.environ.get("JOURNEYS_FUZZ_MINUTES", "0"))
QUICK = 2.0
"""Seconds of the processor that no project of less than SMALL characters takes."""
SMALL = 100_000
RANDOM = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


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


def soon(check: Callable[[], Checked], size: int) -> None:
    """``check`` answers, and of a small project soon."""
    begun = time.process_time()
    shown(check())
    took = time.process_time() - begun
    assert took < QUICK or size >= SMALL, f"it took {took:.1f} s of the processor"


def go_on(test: Callable[[], None]) -> None:
    """Run ``test`` once, or for as long as is asked for."""
    until = time.monotonic() + MINUTES * 60 / 3
    test()
    while time.monotonic() < until:
        test()


@st.composite
def mutations(draw: st.DrawFn) -> dict[str, str]:
    """A valid project of which one or two files were changed a little."""
    files = dict(projects()[draw(st.sampled_from(sorted(projects())))])
    random = draw(st.randoms(use_true_random=True))
    for path in draw(st.lists(st.sampled_from(sorted(files)), min_size=1, max_size=2, unique=True)):
        files[path] = changed(random, path, files[path])
    return files


def changed(random: Random, path: str, text: str) -> str:
    if path.endswith(".yaml") and random.random() < 0.7:
        return rearranged(random, text, random.randint(1, 5), tame=random.random() < 0.5)
    return torn(random, text, random.randint(1, 4))


def test_a_mutated_project_is_reported_not_crashed_on() -> None:
    @settings(RANDOM, max_examples=350)
    @given(mutations())
    def test(files: dict[str, str]) -> None:
        soon(lambda: check_files(files), sum(map(len, files.values())))

    go_on(test)


def test_the_valid_projects_are_valid() -> None:
    """What mutations begin with."""
    assert len(projects()) > 50
    for name, files in projects().items():
        checked = check_files(files)
        assert not checked.errors, f"{name}: {text_report(checked.problems, checked.sources)}"


PATHS = (
    *sorted(GOOD),
    *(
        "journeys.yaml",
        "journeys/demo/tests.yaml",
        "journeys/fragments/part.yaml",
        "journeys/demo/cells/a/b.txt",
    ),
    *("journeys/demo/hello.ka.html", "journeys/layouts/brand.mjml", "journeys/demo/vouchers.csv"),
)


def test_any_bytes_are_reported_not_crashed_on(tmp_path: Path) -> None:
    @settings(RANDOM, max_examples=80)
    @given(
        data=st.binary(max_size=400)
        | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
        path=st.sampled_from(PATHS),
    )
    @example(data=b"\xff\xfe", path=JOURNEY)
    @example(data=b"a" * 3_000_000, path="journeys.yaml")
    @example(data=b"a" * 2_000_000, path=JOURNEY)
    @example(data=b"x\n" * 100 + b"\x80", path="journeys/catalog.yaml")
    @example(data=b"{{" * 100_000, path="journeys/demo/hello.txt")
    @example(data=b"{{ " + b"(" * 50_000, path="journeys/demo/hello.txt")
    @example(data=b"{% if x %}" * 5_000, path="journeys/demo/hello.txt")
    @example(data=b"---\n" * 50_000, path="journeys/demo/hello.txt")
    def test(data: bytes, path: str) -> None:
        soon(
            lambda: check_folder(written(tmp_path, GOOD, path, data)),
            len(data) + sum(map(len, GOOD.values())),
        )

    go_on(test)


def test_files_of_any_bytes_between_valid_ones_are_reported(tmp_path: Path) -> None:
    """Bytes of a valid file of which some were changed, as a damaged disk or another encoding leaves them."""

    @settings(RANDOM, max_examples=60)
    @given(st.sampled_from(sorted(projects())), st.randoms(use_true_random=True))
    def test(name: str, random: Random) -> None:
        files = projects()[name]
        path = random.choice(sorted(files))
        data = bytearray(files[path], random.choice(["utf-8", "utf-8", "utf-16", "latin-1"]), "replace")
        for _ in range(random.randint(0, 5)):
            data[random.randrange(len(data))] = random.randrange(256)
        folder = tmp_path / str(random.getrandbits(64))
        soon(lambda: check_folder(written(folder, files, path, bytes(data))), sum(map(len, files.values())))

    go_on(test)


def written(folder: Path, files: dict[str, str], path: str, data: bytes) -> Path:
    """``files`` in ``folder``, and ``data`` at ``path``, without what was there of other ``PATHS``."""
    for each in PATHS:
        (folder / each).unlink(missing_ok=True)
    for each, content in {**{each: text.encode() for each, text in files.items()}, path: data}.items():
        (folder / each).parent.mkdir(parents=True, exist_ok=True)
        (folder / each).write_bytes(content)
    return folder


MISTAKES = {
    "a false name": "steps:\n  - {id: a, enroll: false}",
    "a list for an event": "steps:\n  - {id: a, emit: [1]}",
    "a long time of day": HEADER.replace(
        "{event: Signed Up}", f"{{date: contact.renewal_date, at: {'x' * 5_000}}}"
    )
    + "steps:\n  - {id: hello, send: email}",
    "a time of day with a quote": HEADER.replace(
        "{event: Signed Up}", """{date: contact.renewal_date, at: 'a"b'}"""
    )
    + "steps:\n  - {id: hello, send: email}",
}


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_that_once_ended_the_check_is_told(name: str) -> None:
    checked = check_files(
        {**GOOD, JOURNEY: (HEADER if MISTAKES[name].startswith("steps") else "") + MISTAKES[name]}
    )
    shown(checked)
    assert checked.errors


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


def condition(source: str) -> str:
    return f'{HEADER}steps:\n  - {{id: hello, send: email}}\n  - {{id: a, condition: "{source}"}}\n'


def sends(number: int) -> str:
    rows = (f"  - {{id: hello{each}, send: email}}\n" for each in range(number))
    return f"{HEADER}steps:\n{''.join(rows)}"


SLOW = {
    "equal to what is equal to more": condition("(contact.vip == " * 30 + "contact.vip" + ")" * 30),
    "counts within each other": condition(
        " and ".join(f"count('Order Completed', within='{days}d') > {days}" for days in range(1, 41))
    ),
    "a sum of many counts": condition(
        " + ".join(f"count('Order Completed', within='{days}d')" for days in range(1, 41)) + " > 5"
    ),
    "many unknown templates": sends(800),
}
"""Journeys of less than ``SMALL`` characters, each of which once took a minute or longer."""


def test_segments_that_ask_one_for_the_other_are_checked_soon() -> None:
    rows = "".join(f"  s{number}: {{when: in_segment('s{number + 1}')}}\n" for number in range(1_000))
    catalog = f"{GOOD[CATALOG]}\nsegments:\n{rows}  s1000: {{when: 'true'}}\n"
    soon(lambda: check_files({**GOOD, CATALOG: catalog}), len(catalog))


SLOW_TEMPLATES = {
    "a list of numbers": "{{ [" + "1," * 45_000 + "] }}",
    "conditions side by side": "{% if contact.vip %}a{% endif %}" * 2_900,
}


@pytest.mark.parametrize("name", sorted(SLOW_TEMPLATES))
def test_a_template_that_once_took_long_is_refused_soon(name: str) -> None:
    files = {**GOOD, "journeys/demo/hello.txt": SLOW_TEMPLATES[name]}

    def check() -> Checked:
        checked = check_files(files)
        assert any("at most 10,000 values" in problem.message for problem in checked.problems)
        return checked

    soon(check, len(SLOW_TEMPLATES[name]))


@pytest.mark.parametrize("name", sorted(SLOW))
def test_what_once_took_long_is_checked_soon(name: str) -> None:
    soon(lambda: check_files({**GOOD, JOURNEY: SLOW[name]}), len(SLOW[name]))


def test_a_score_of_many_rules_is_proven_nothing_about() -> None:
    rules = "".join(f"    - {{event: Order Completed, add: {each + 1}, fades: 30d}}\n" for each in range(270))
    catalog = f"{GOOD[CATALOG]}\nscores:\n  many:\n{rules}"
    checked = check_files({**GOOD, CATALOG: catalog, JOURNEY: condition("contact.score.many > 5")})
    shown(checked)
    assert not [problem for problem in checked.problems if problem.code.startswith("condition/")]


def test_problems_of_a_hundred_broken_files_come_all_at_once() -> None:
    files = dict(GOOD)
    for number in range(100):
        files[f"journeys/j{number}/journey.yaml"] = GOOD[JOURNEY].replace(
            "journey: demo", f"journey: j{number}", 1
        )
    checked = check_files(files)
    assert checked.journeys == 101
    assert {problem.code for problem in checked.problems} == {"template/missing"}

"""What the scenarios of a project reach, and what none of them does."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import reduce
from operator import or_
from pathlib import Path

import pytest
from golden import CASES, golden

from runner.cli import run
from runner.journey.project import load_project, read_files
from runner.journey.scenario_file import find_scenarios, load_scenarios
from runner.review.coverage import Kind, Reached, cover
from runner.review.coverage_report import coverage_text
from runner.review.outcomes import failure_text
from runner.review.scenarios import play_all
from runner.review.suggestion import suggest

PROJECT = CASES / "coverage"
SHOP = CASES / "scenario" / "shop"


def command(*arguments: str | Path) -> int:
    return run(["test", *map(str, arguments)])


def test_what_no_scenario_reaches_is_listed_with_its_place() -> None:
    project = load_project(read_files(PROJECT))
    scenarios, problems = find_scenarios(project)
    assert problems == ()
    outcomes = list(play_all(project, scenarios))
    assert all(outcome.passed for outcome in outcomes)
    reached = reduce(or_, (outcome.reached for outcome in outcomes))
    golden("coverage/coverage.out", coverage_text(cover(project, ["demo"], reached)) + "\n")
    rules = cover(project, ["demo"], reached).of(kind=Kind.RULE).items
    assert {(item.title, item.span.line): item.reached for item in rules} == {
        ("exit `over` by `Signed Off`", 8): True,
        ('exit `over` by `contact.plan == "none"`', 9): False,
        ("exit `lost`", 10): False,
        ("the goal", 11): True,
    }


def test_a_text_is_reached_in_the_locale_in_which_it_was_sent() -> None:
    project = load_project(read_files(PROJECT))
    outcome, _ = play_all(project, find_scenarios(project)[0])
    texts = cover(project, ["demo"], outcome.reached).of(kind=Kind.TEXT).items
    assert {(item.name, item.way): item.reached for item in texts} == {
        ("hello", ""): False,
        ("hello", "de"): False,
        ("hello", "pt-BR"): True,
        ("text", ""): False,
        ("thanks", ""): False,
    }


def test_a_hundred_percent_is_everything() -> None:
    project = load_project(read_files(PROJECT))
    everything = cover(project, ["demo"], Reached()).items
    reached = Reached(
        steps=frozenset((item.journey, item.name) for item in everything if item.kind is Kind.STEP),
        ways=frozenset((item.journey, item.name, item.way) for item in everything if item.kind is Kind.WAY),
        texts=frozenset(
            (item.journey, item.name, (item.way or "en").lower())
            for item in everything
            if item.kind is Kind.TEXT
        ),
        rules=frozenset((item.journey, item.name, item.way) for item in everything if item.kind is Kind.RULE),
    )
    assert cover(project, ["demo"], reached).percent == 100
    one_less = replace(reached, steps=reached.steps - {("demo", "sales")})
    coverage = cover(project, ["demo"], one_less)
    assert coverage.percent == 98
    assert [item.title for item in coverage.missed] == ["step `sales`"]
    assert cover(project, [], Reached()).percent == 100


def test_the_command_says_how_much_is_reached(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--coverage", "--fail-under", "100", "--project", SHOP) == 0
    printed = capsys.readouterr().out
    assert printed.endswith(
        "coverage  steps   ways    rules   texts\n"
        "cart      7 of 7  4 of 4  3 of 3  3 of 3\n"
        "welcome   1 of 1  -       -       1 of 1\n"
        "100 %: 19 of 19\n"
    )
    assert command("welcome", "-k", "no such", "--coverage", "--project", SHOP) == 4


def test_a_journey_without_scenarios_gets_its_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where it begins by a date of the contact."""
    project = Path(shutil.copytree(SHOP, tmp_path / "project"))
    birthday = project / "journeys/birthday"
    birthday.mkdir()
    (birthday / "journey.yaml").write_text(
        "journey: birthday\nlanguage: 1\ntitle: Birthday\ntopic: receipts\n"
        "trigger: {date: contact.born, every: year, at: '09:00'}\nsteps:\n  - {id: hello, send: email}\n"
    )
    (birthday / "hello.txt").write_text("---\nsubject: Hello\n---\nHello\n")
    catalog = project / "journeys/catalog.yaml"
    catalog.write_text(catalog.read_text().replace("attributes:\n", "attributes:\n  born: {type: date}\n"))
    for name in ("welcome", "birthday"):
        assert command(name, "--project", project) == 4
        capsys.readouterr()
        assert command(name, "--suggest", "--project", project) == 0
        printed = capsys.readouterr().out
        assert f"a scenario for step `hello`, for the tests of journeys/{name}/tests.yaml" in printed


def test_too_little_is_an_error_where_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = Path(shutil.copytree(PROJECT, tmp_path / "project"))
    assert command("--coverage", "--project", project) == 0
    assert command("--coverage", "--fail-under", "47", "--project", project) == 0
    assert command("--coverage", "--fail-under", "48", "--project", project) == 1
    assert command("--fail-under", "47", "--project", project) == 2
    capsys.readouterr()
    assert command("--coverage", "--fail-under", "100", "--format", "json", "--project", project) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["passed"] == 2
    golden("coverage/coverage.json", json.dumps(report["coverage"], indent=2, ensure_ascii=False) + "\n")


# Suggestions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "title",
    [
        "the `no` of `gate`",
        "the date that is past of `renewal`",
        "if_empty of `code`",
        "`rejected` of `sales`",
        "text `hello` in de",
    ],
)
def test_a_suggested_scenario_passes_and_reaches_what_it_is_for(title: str) -> None:
    project = load_project(read_files(PROJECT))
    (item,) = (item for item in cover(project, ["demo"], Reached()).items if item.title == title)
    found = suggest(project, item)
    assert found.reaches
    text = f"journey: demo\ntests:\n{found.text}"
    scenarios, problems = load_scenarios(found.file, text, "demo", project.catalog, project.journeys)
    assert problems == ()
    (outcome,) = play_all(project, scenarios)
    assert outcome.passed, failure_text(outcome)
    assert title not in [missed.title for missed in cover(project, ["demo"], outcome.reached).missed]


ASKED_TWICE = """
journey: ask
language: 1
title: Ask whether they want news
topic: service
trigger: {consent: news, change: CHANGE}
steps:
  - {id: ask, send: {channel: email, template: hello}}
  - id: answer
    wait: {when: 'consented("news", "email")', up_to: 3d, timeout: [{id: silent, exit: unconfirmed}]}
  - {id: thanks, send: {channel: email, template: hello, topic: news}}
"""


@pytest.mark.parametrize("change", ["pending", "given", "stale", "withdrawn"])
def test_a_journey_that_begins_by_a_consent_gets_a_scenario_for_each_of_its_steps(change: str) -> None:
    topics = {
        "news": "{title: News, opt_in: double, stale_after: 30d}",
        "service": "{title: Service, opt_in: none}",
    }
    catalog = "timezone: UTC\nlocale: en\nchannels: {email: {}}\ntopics:\n"
    project = load_project(
        {
            "journeys/catalog.yaml": catalog
            + "".join(f"  {name}: {said}\n" for name, said in topics.items()),
            "journeys/ask/journey.yaml": ASKED_TWICE.replace("CHANGE", change),
            "journeys/ask/hello.html": "---\nsubject: Hello\n---\n<p>Hello</p>\n",
        }
    )
    assert not [problem for problem in project.problems if problem.severity == "error"], project.problems
    found = {
        item.name: suggest(project, item)
        for item in cover(project, ["ask"], Reached()).items
        if item.title.startswith("step")
    }
    # Whoever has consented, be it long ago, does not stay silent.
    silent = change in ("pending", "withdrawn")
    assert [name for name, each in found.items() if not each.reaches] == ["silent"] * (not silent)
    assert not [each.text for each in found.values() if each.text and "no_consent" in each.text]


def test_a_trigger_that_nothing_given_starts_is_told() -> None:
    project = load_project(
        {
            "journeys/catalog.yaml": "timezone: UTC\nlocale: en\n",
            "journeys/a/journey.yaml": "journey: a\nlanguage: 1\ntitle: A\ntrigger: {journey: b}\n"
            "steps: [{id: over, exit: over}]\n",
            "journeys/b/journey.yaml": "journey: b\nlanguage: 1\ntitle: B\ntrigger: {segment: never, change: leave}\n"
            "steps: [{id: over, exit: over}]\n",
        }
    )
    (item,) = (item for item in cover(project, ["a"], Reached()).items if item.title == "step `over`")
    assert suggest(project, item).told() == (
        "no scenario was found for step `over`: nothing that was tried starts the journey"
    )


def test_no_scenario_is_suggested_that_does_not_reach_what_it_is_for() -> None:
    """A plan that is none cannot be known by then."""
    files = read_files(PROJECT)
    path = "journeys/demo/journey.yaml"
    steps = "steps:\n  - {id: never, condition: contact.plan == contact.id}\n"
    project = load_project({**files, path: files[path].replace("steps:\n", steps, 1)})
    (item,) = (item for item in cover(project, ["demo"], Reached()).items if item.title == "step `gate`")
    found = suggest(project, item)
    assert (found.text, found.stuck) == (None, "never")
    assert found.told() == (
        "no scenario was found for step `gate`: what was tried comes no further than `never`"
    )


def test_the_command_writes_a_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Path(shutil.copytree(PROJECT, tmp_path / "project"))
    assert command("--suggest", "--project", project) == 0
    printed = capsys.readouterr().out
    golden("coverage/suggestion.out", printed[printed.index("a scenario for") :])
    tests = project / "journeys/demo/tests.yaml"
    written = printed[printed.index("  - name:") :]
    tests.write_text(tests.read_text(encoding="utf-8") + written, encoding="utf-8")
    assert command("--coverage", "--format", "json", "--project", project) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["passed"] == 3
    assert "the `no` of `gate`" not in [each["title"] for each in report["coverage"]["missed"]]

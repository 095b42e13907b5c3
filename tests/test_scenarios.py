"""Scenarios on the real engine, and the command that runs them."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from golden import CASES, golden

from runner.cli import run
from runner.journey.project import Project, load_project, read_files
from runner.journey.scenario import Scenario
from runner.journey.scenario_file import find_scenarios
from runner.review.outcomes import failure_text
from runner.review.scenarios import Outcome, play_all
from runner.review.timeline import Mark, offset_text

SHOP = CASES / "scenario" / "shop"
TESTS = "journeys/cart/tests.yaml"
FAILING = (CASES / "scenario" / "failing.yaml").read_text(encoding="utf-8")


def scenarios_of(project: Project) -> tuple[Scenario, ...]:
    scenarios, problems = find_scenarios(project)
    assert problems == ()
    return scenarios


def shop(**changed: str) -> Project:
    """The shop of the cases, with other texts for some files, by path."""
    return load_project({**read_files(SHOP), **changed})


def play(text: str) -> list[Outcome]:
    """The outcomes of the scenarios that ``text`` writes for the shop's carts."""
    project = shop(**{TESTS: text})
    return list(play_all(project, scenarios_of(project)))


def test_the_shop_does_what_its_scenarios_say() -> None:
    project = shop()
    outcomes = list(play_all(project, scenarios_of(project)))
    assert [outcome.scenario.name for outcome in outcomes if not outcome.passed] == []
    assert len(outcomes) == 12


def test_accounts_stages_scores_and_opened_messages_decide() -> None:
    project = load_project(read_files(CASES / "scenario" / "accounts"))
    outcomes = list(play_all(project, scenarios_of(project)))
    assert [outcome.scenario.name for outcome in outcomes if not outcome.passed] == []
    assert len(outcomes) == 4


def test_a_scenario_leaves_nothing_behind_for_the_next() -> None:
    """Whatever the order, each comes out as it does alone."""
    project = shop(**{TESTS: FAILING + read_files(SHOP)[TESTS].split("tests:\n")[1]})
    scenarios = [scenario for scenario in scenarios_of(project) if "welcome" not in scenario.journeys][:8]
    alone = {scenario.name: next(play_all(project, [scenario])) for scenario in scenarios}
    shuffled = scenarios * 2
    random.Random(7).shuffle(shuffled)
    assert {outcome.passed for outcome in alone.values()} == {True, False}
    for outcome in play_all(project, shuffled):
        assert outcome == alone[outcome.scenario.name]


def test_failures_read_like_this() -> None:
    text = "\n\n".join(failure_text(outcome) for outcome in play(FAILING))
    golden("scenario/failing.out", text + "\n")


COLLEAGUES = """
journey: cart
tests:
  - name: everybody for themselves
    contact: {id: ana, consents: [offers]}
    given: {arm: {offer-test: none}}
    start: 2026-03-02T10:00:00+01:00
    until: 2h
    events:
      - {at: 0m, event: Cart Updated, cart_id: c1, total: 80}
    expect:
      - {at: 1h, send: remind}
    others:
      - contact: {id: ben, consents: [offers]}
        events:
          - {at: 30m, event: Cart Updated, cart_id: c1, total: 80}
        expect:
          - {at: 90m, send: remind}
      - contact: {id: cem}
        events:
          - {at: 1h, event: Cart Updated, cart_id: c1, total: 80}
        expect: []
"""


def test_of_several_people_each_is_held_against_what_is_expected_of_them() -> None:
    (outcome,) = play(COLLEAGUES)
    wrong = [row for row in outcome.comparison.rows if row.mark is Mark.WRONG]
    assert [row.happened for row in wrong] == ["cem: send remind by email, blocked: no_consent"]
    assert [row.expected for row in outcome.comparison.rows if row.mark is Mark.FINE] == [
        "send remind",
        "ben: send remind",
    ]


def test_people_of_a_scenario_have_names_of_their_own() -> None:
    _, problems = find_scenarios(shop(**{TESTS: COLLEAGUES.replace("id: cem", "id: ben")}))
    assert [problem.message for problem in problems] == ["Somebody else of this scenario is called `ben`."]


def test_a_template_that_cannot_be_rendered_fails_the_scenario() -> None:
    path = "journeys/cart/remind.txt"
    project = shop(**{path: "---\nsubject: Hello\n---\n{{ contact.id < trigger.total }}\n"})
    (outcome,) = play_all(project, scenarios_of(project)[1:2])
    why = " ".join(row.why for row in outcome.comparison.rows)
    assert f"{path}:4" in why


def test_history_is_read_and_the_values_are_shown() -> None:
    journey = read_files(SHOP)["journeys/cart/journey.yaml"].replace(
        "contact.lifetime_value >= 100",
        'total("Order Completed", "revenue", within="30d") >= 100 and not sent("remind")',
    )
    tests = """\
journey: cart
tests:
  - name: history
    contact: {consents: [offers]}
    start: 2026-03-02T10:00:00+01:00
    events:
      - {at: -31d, event: Order Completed, revenue: 1000}
      - {at: -1d, event: Order Completed, revenue: 100.5}
      - {at: 0m, event: Cart Updated, cart_id: c1, total: 80}
    expect:
      - {at: 1h, send: remind}
      - {at: 1d23h, send: voucher}
"""
    project = shop(**{"journeys/cart/journey.yaml": journey, TESTS: tests})
    (outcome,) = play_all(project, scenarios_of(project))
    (decision,) = [one for one in outcome.comparison.decisions if one.step == "value, case high"]
    assert decision.outcome == "false"
    assert decision.values == (
        ('total("Order Completed", "revenue", within="30d")', "100.5"),
        ('sent("remind")', "true"),
    )


def test_what_a_wait_asked_about_an_event_is_shown() -> None:
    journey = read_files(SHOP)["journeys/cart/journey.yaml"].replace(
        '    wait: {for: 1d, at: "09:00"}\n',
        "    wait: {event: Order Completed, where: event.revenue > 50, up_to: 2d, then: [{id: done, exit: paid}]}\n",
    )
    tests = """\
journey: cart
tests:
  - name: the wait hears the second order only
    contact: {consents: [offers]}
    given: {arm: {offer-test: none}}
    start: 2026-03-02T10:00:00+01:00
    events:
      - {at: 0m, event: Cart Updated, cart_id: c1, total: 80}
      - {at: 2h, event: Order Completed, revenue: 50}
      - {at: 3h, event: Order Completed, revenue: 51}
      - {at: 4h, event: Order Completed, revenue: 52}
    expect:
      - {at: 1h, send: remind}
      - {at: 2h, exit: paid}
"""
    project = shop(**{"journeys/cart/journey.yaml": journey, TESTS: tests})
    (outcome,) = play_all(project, scenarios_of(project))
    start = outcome.scenario.start
    asked = [
        (offset_text(one.at - start), one.outcome, one.values)
        for one in outcome.comparison.decisions
        if one.step == "patience"
    ]
    assert asked == [
        ("2h", "false", (("event.revenue", "50"),)),
        ("3h", "true", (("event.revenue", "51"),)),
    ]


# The command -------------------------------------------------------------------------------------------------------


def command(*arguments: str | Path) -> int:
    return run(["test", *map(str, arguments)])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the shop that may be changed."""
    return Path(shutil.copytree(SHOP, tmp_path / "shop"))


def test_a_terminal_sees_how_far_it_is_and_standard_output_is_as_ever(project: Path) -> None:
    (project / TESTS).write_text(FAILING)
    terminal, its_end = os.openpty()
    command = [sys.executable, "-c", "from runner.cli import main; main()", "test", "--project", str(project)]
    of_terminal = {**os.environ, "TERM": "xterm"}
    shown = b""
    with (project / "told").open("wb") as told:
        process = subprocess.Popen(command, stdout=told, stderr=its_end, env=of_terminal)
        os.close(its_end)
        with suppress(OSError):  # as a terminal ends
            while part := os.read(terminal, 65536):
                shown += part
        process.wait(timeout=60)
    os.close(terminal)
    plain = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert ((project / "told").read_bytes(), plain.stderr) == (plain.stdout, b"")
    assert re.search(rb"\d+/\d+.* scenarios", shown)


def test_the_command_counts_what_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--project", SHOP) == 0
    assert capsys.readouterr().out == "cart  12 passed\n12 scenarios: 12 passed\n"
    assert command("cart", "--project", SHOP, "-k", "buyer") == 0
    assert capsys.readouterr().out == "cart  1 passed\n1 scenario: 1 passed\n"


def test_the_command_shows_what_fails(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / TESTS).write_text(FAILING, encoding="utf-8")
    assert command("--project", project) == 1
    printed = capsys.readouterr()
    failures = (CASES / "scenario" / "failing.out").read_text(encoding="utf-8")
    assert printed.out == failures + "\ncart  0 passed, 3 failed\n3 scenarios: 0 passed, 3 failed\n"
    assert printed.err == ""
    assert command("--project", project, "--format", "json") == 1
    golden("scenario/failing.json", capsys.readouterr().out)


def test_the_name_of_a_scenario_steers_no_terminal(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = FAILING.replace("- name: ", '- name: "\\e[31m\\u009b2J\\n" # ')
    (project / TESTS).write_text(named[: named.index("- name", named.index("- name") + 1)], encoding="utf-8")
    assert command("--project", project) == 1
    printed = capsys.readouterr().out
    assert "FAILED cart: \ufffd[31m\ufffd2J\ufffd\n" in printed
    assert not {"\x1b", "\x9b"} & set(printed)


def test_there_may_be_nothing_to_test(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("welcome", "--project", project) == 4
    assert command("-k", "no such name", "--project", project) == 4
    (project / TESTS).unlink()
    assert command("--project", project) == 4
    told = capsys.readouterr().err.splitlines()
    for line, name in ((told[0], "welcome"), (told[2], "cart")):
        assert line == (
            f"Nothing to test: there is no scenario yet. They stand in journeys/{name}/tests.yaml:"
            f" `journeys test {name} --suggest` shows a first one."
        )
    assert told[1] == "Nothing to test: no scenario has 'no such name' in its name."


def test_errors_are_shown_and_nothing_is_run(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / TESTS).write_text(FAILING.replace("send: remind", "send: remnd"), encoding="utf-8")
    assert command("--project", project) == 1
    printed = capsys.readouterr()
    assert "There is no send step `remnd`" in printed.err
    assert printed.out == ""


def test_a_journey_that_does_not_exist_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("carts", "--project", SHOP) == 2
    assert "There is no journey 'carts'" in capsys.readouterr().err

"""The playbooks of ``journeys/``: without errors, and their scenarios reach everything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.cli import run
from runner.problem import Severity
from runner.review.check import check_folder

ROOT = Path(__file__).parents[1]


def test_the_playbooks_have_no_problems() -> None:
    found = check_folder(ROOT)
    assert [problem.message for problem in found.problems if problem.severity is Severity.ERROR] == []
    assert found.journeys >= 12


def test_scenarios_hold_the_playbooks_and_reach_everything(capsys: pytest.CaptureFixture[str]) -> None:
    """Each step, way, and text in each language."""
    code = run(["test", "--project", str(ROOT), "--coverage", "--fail-under", "100", "--format", "json"])
    report = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in report["scenarios"] if not each["passed"]] == []
    assert [each["title"] for each in report["coverage"]["missed"]] == []
    assert code == 0
    assert {each["texts"]["all"] % 5 for each in report["coverage"]["journeys"]} == {0}, "five languages each"

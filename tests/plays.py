"""Scenarios as texts, played by the engine on any database."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete

from runner.journey.project import load_project
from runner.journey.scenario_file import load_scenarios
from runner.problem import Severity
from runner.review.check import rule_problems
from runner.review.outcomes import failure_text
from runner.review.scenarios import Outcome, Stage
from runner.store.database import Database
from runner.store.tables import journey as in_force


def plays(database: Database, files: Mapping[str, str], journey: str, tests: str) -> list[Outcome]:
    """Play the scenarios that ``tests`` lists (what stands below ``tests:``) for ``journey`` of the project ``files``.

    Fails where the project or the scenarios have errors.
    """
    project = load_project(files)
    found = (*project.problems, *rule_problems(project))
    errors = [problem for problem in found if problem.severity is Severity.ERROR]
    assert not errors, errors
    path = f"journeys/{journey}/tests.yaml"
    text = f"journey: {journey}\ntests:\n{tests}"
    scenarios, problems = load_scenarios(path, text, journey, project.catalog, project.journeys)
    assert problems == (), problems
    assert scenarios
    with database.begin() as connection:
        connection.execute(delete(in_force))  # of those before, whose files are gone
    stage = Stage(database, project, sorted(project.journeys))
    return [stage.play(scenario) for scenario in scenarios]


def holds(database: Database, files: Mapping[str, str], journey: str, tests: str) -> None:
    """The scenarios of ``plays`` come out as they say."""
    failed = [outcome for outcome in plays(database, files, journey, tests) if not outcome.passed]
    assert not failed, "\n\n".join(failure_text(outcome) for outcome in failed)

"""The playbook that asks for consent first: what is kept as the proof of it."""

from __future__ import annotations

from pathlib import Path

from test_acts import rows

from runner.journey.project import load_project, read_files
from runner.journey.scenario_file import find_scenarios
from runner.review.scenarios import Stage
from runner.store.database import Database
from runner.store.tables import consent_log

ROOT = Path(__file__).parents[1]
PLAYBOOK = "confirm-consent"
SCENARIO = "leaving takes one press, as joining does"


def test_each_word_is_kept_with_where_it_was_said(database: Database) -> None:
    project = load_project(read_files(ROOT))
    (scenario,) = (each for each in find_scenarios(project)[0] if each.name == SCENARIO)
    assert Stage(database, project, [PLAYBOOK]).play(scenario).passed
    kept = sorted(rows(database, consent_log.c.at, consent_log.c.state, consent_log.c.source))
    assert [(state, source) for _, state, source in kept] == [
        ("pending", "scenario"),  # the form in which they signed up
        ("given", f"{PLAYBOOK}/confirm"),
        ("withdrawn", f"{PLAYBOOK}/leave"),
        ("pending", "scenario"),
    ]

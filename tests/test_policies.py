"""What policy says of messages, rule by rule: those of ``policy_scenarios.py``."""

from __future__ import annotations

from typing import Any

import pytest
from documents import ROOT, block_of
from partitions import untied_tables
from policies import TEMPLATE, failures, journey, project_of
from sqlalchemy import event

from runner.journey.scenario_file import find_scenarios
from runner.review.outcomes import failure_text
from runner.review.scenarios import play_all
from runner.store.database import Database
from tests.policy_scenarios import OTHER, SCENARIOS


@pytest.mark.parametrize("rule", SCENARIOS)
def test_policy(rule: str) -> None:
    policies, steps, tests = SCENARIOS[rule]
    assert failures(tests, steps, policies=policies, others={"other": OTHER}) == ""


def test_policy_is_the_same_on_postgresql_and_its_statements_name_their_partitions(
    postgres_database: Database,
) -> None:
    asked: set[str] = set()

    def listen(_1: Any, _2: Any, statement: str, _3: Any, _4: Any, _5: bool) -> None:
        asked.add(statement.replace("%%", "%"))

    with postgres_database.begin() as connection:
        engine = connection.engine
    event.listen(engine, "before_cursor_execute", listen)
    for policies, steps, tests in SCENARIOS.values():
        found = failures(tests, steps, policies=policies, others={"other": OTHER}, database=postgres_database)
        assert found == ""
    tables = ("deciding", "verdict", "moving", "entering", "wave")  # what a tick works with
    of_policy = {
        statement
        for statement in asked
        if statement.startswith(("INSERT", "UPDATE", "SELECT"))
        and any(f" {table}" in statement for table in tables)
    }
    assert len(of_policy) > 50
    assert [statement for statement in of_policy if untied_tables(statement)] == []


def test_a_cell_is_picked_by_the_values_of_the_contact() -> None:
    steps = """
    steps:
      - {id: hello, send: {channel: email, template: {by: [contact.plan, contact.vip], from: cells, empty: skip}}}
      - {id: second, send: {channel: email, template: {by: [contact.plan], from: plans, empty: other}}}
    """
    tests = """
    - name: a cell
      contact: {consents: [offers], plan: Pro & Team, vip: true}
      start: 2026-03-02T08:00:00+01:00
      events: [{at: 0m, event: Signed Up}]
      expect:
        - {at: 0m, send: hello, template: cells/Pro & Team/true, text_contains: cell}
        - {at: 0m, send: second, template: other}
    - name: an empty one
      contact: {consents: [offers], plan: free, vip: true}
      start: 2026-03-02T08:00:00+01:00
      events: [{at: 0m, event: Signed Up}]
      expect: [{at: 0m, send: hello, blocked: empty_cell}, {at: 0m, send: second, template: plans/free}]
    """
    cell = "---\nsubject: A cell\n---\nThis is the cell\n"
    found = failures(
        tests,
        steps,
        **{"journeys__demo__cells__Pro & Team__true.txt": cell, "journeys__demo__plans__free.txt": cell},
    )
    assert found == ""


def test_the_page_of_policies_says_what_happens() -> None:
    page = ROOT / "docs" / "policies.md"
    catalog, scenarios = block_of(page, "yml", "policies:").text, block_of(page, "yml", "at night").text
    launch = block_of(page, "yaml", "ramp:").text
    live = launch.replace("delivery: seed\n", "").replace("seeds:", "# seeds:")
    files = {
        "journeys/catalog.yaml": catalog,
        "journeys/evening/journey.yaml": journey(live, name="evening"),
        "journeys/evening/hello.txt": TEMPLATE,
        "journeys/evening/tests.yaml": scenarios,
    }
    project = project_of(files)
    found, problems = find_scenarios(project)
    assert not problems
    outcomes = list(play_all(project, found))
    assert len(outcomes) == 3
    assert [failure_text(one) for one in outcomes if not one.passed] == []


def test_the_cells_of_the_page_are_found() -> None:
    steps = block_of(ROOT / "docs" / "steps" / "send.md", "yml", "from: cells").text
    cells = {
        "journeys__demo__cells__free__true.txt": TEMPLATE,
        "journeys__demo__monthly-plain.txt": TEMPLATE,
    }
    tests = """
    - name: free, in Germany
      contact: {consents: [offers], plan: free, country: DE}
      start: 2026-03-02T08:00:00+01:00
      events: [{at: 0m, event: Signed Up}]
      expect: [{at: 0m, send: monthly, template: cells/free/true}]
    - name: free, elsewhere
      contact: {consents: [offers], plan: free, country: US}
      start: 2026-03-02T08:00:00+01:00
      events: [{at: 0m, event: Signed Up}]
      expect: [{at: 0m, send: monthly, template: monthly-plain}]
    """
    assert failures(tests, steps, **cells) == ""

"""The playbook that asks for consent first: what is kept as the proof of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.journey.project import load_project, read_files
from runner.journey.scenario_file import find_scenarios
from runner.review.scenarios import Stage
from runner.store.database import Database
from runner.store.sending.address_places import counted_form, hashed_address, take_place
from runner.store.tables import address_use, consent_log
from tests.acting import rows

ROOT = Path(__file__).parents[1]
PLAYBOOK = "confirm-consent"
SCENARIO = "leaving takes one press, as joining does"


SHARED = "at most two mails to an address, also where it is typed in under several names"


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


def test_two_mails_to_an_address_whoever_has_it(database: Database) -> None:
    project = load_project(read_files(ROOT))
    (scenario,) = (each for each in find_scenarios(project)[0] if each.name == SHARED)
    assert Stage(database, project, [PLAYBOOK]).play(scenario).passed
    kept = rows(database, address_use.c.address, address_use.c.nth)
    assert sorted(nth for _, nth in kept) == [1, 1, 2, 2]
    assert len({address for address, _ in kept}) == 2
    assert not any("example.com" in address for address, _ in kept)


@pytest.mark.parametrize(
    ("spelled", "same"),
    [
        ("Ana@Example.COM", "ana@example.com"),
        (" ana@example.com\n", "ana@example.com"),
        ("ana@\uff45xample.com", "ana@example.com"),
        ("ana@m\u00fcller.example", "ana@xn--mller-kva.example"),
        ("ana@mu\u0308ller.example", "ana@xn--mller-kva.example"),
        ("re\u0301ne@example.com", "r\u00e9ne@example.com"),
        ("+49 170 123-45", "+4917012345"),
    ],
)
def test_an_address_is_counted_as_one_however_it_is_spelled(spelled: str, same: str) -> None:
    assert counted_form("email", spelled) == counted_form("email", same)


def test_where_no_address_is_needed_each_contact_is_counted_alone() -> None:
    assert len({counted_form("webhook", key) for key in ("hh-86", "86", "HH-86", "user 86")}) == 4


def test_no_two_that_ask_at_once_get_one_place(database: Database) -> None:
    deployment = database.deployment
    address = hashed_address(deployment, "email", "ana@example.com")

    def ask(message: str) -> bool:
        with database.begin() as connection:
            return take_place(
                connection, deployment, address=address, journey=PLAYBOOK, message=message, most=2
            )

    messages = [f"message {number}" for number in range(12)]
    # Of a database in memory there is one connection.
    with ThreadPoolExecutor(6 if database.dialect == "postgresql" else 1) as threads:
        first = list(threads.map(ask, messages))
    assert sum(first) == 2
    # What has a place keeps it at the next attempt, and nobody gets one more.
    assert [ask(message) for message in messages] == first

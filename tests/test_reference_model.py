"""The engine does what the naive model of the language does, for any journey of the core and any events.

Both live through generated projects and events; every run, message and conversion of every contact is compared, and
what contacts hold in the end. The engine is cut into batches and ticks of any size on the way, which must not matter.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, note, reject, settings
from hypothesis import strategies as st

from runner.engine.tick import EXACT, Pace
from runner.journey.catalog import ACCOUNT_IDENTIFIED, CALL_ANSWERED, IDENTIFIED, MESSAGE_UNSUBSCRIBED
from runner.journey.fit import Fitted, fit_account, fit_event, fit_traits
from runner.journey.project import Project, load_project
from runner.problem import Severity
from runner.store.database import Database
from runner.store.people.arrival import NOBODY, Arrival
from tests.reference import engine_lives
from tests.reference.causes import MILLION
from tests.reference.generate import Case, Recorded, cases, with_presses
from tests.reference.household import Household
from tests.reference.lives import Happening, Lived
from tests.reference.model import Contact
from tests.reference.person import AmbiguousError
from tests.reference.vocabulary import CATALOG
from tests.simulation.ground import written_texts

PACES = st.builds(
    lambda contacts, passes: replace(EXACT, contacts=contacts, passes=passes),
    st.sampled_from((1, 2, 3, 7, 20_000)),
    st.sampled_from((1, 3, 400)),
)
THOROUGHNESS = float(os.environ.get("JOURNEYS_EXAMPLES", "1"))
"""How many times as many examples as usual."""
FILLED = frozenset({"codes"})
"""The pools that have values."""
MOST_RUNS = 80
"""Of a case: a journey that goes round in circles day after day takes long and shows nothing that two days do not."""
SETTINGS = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], database=None
)


def project_of(case: Case) -> Project:
    project = load_project(case.files)
    errors = [problem for problem in project.problems if problem.severity is Severity.ERROR]
    assert not errors, (errors, case.files)
    return project


def arrivals(case: Case, project: Project) -> list[Arrival]:
    """The recorded events as an import would store them, in order of arrival."""
    return [_arrival(project, recorded, f"e{number}") for number, recorded in enumerate(case.recorded)]


def history(case: Case, project: Project) -> list[Arrival]:
    """What was known before, as an import of history would store it."""
    return [_arrival(project, recorded, f"h{number}") for number, recorded in enumerate(case.before)]


def _arrival(project: Project, recorded: Recorded, dedup_key: str) -> Arrival:
    if recorded.name == IDENTIFIED:
        fitted = fit_traits(project.catalog, recorded.properties)
    elif recorded.name == ACCOUNT_IDENTIFIED:
        fitted = fit_account(project.catalog, recorded.properties)
    elif recorded.name == CALL_ANSWERED:
        # No import carries it: delivery tells it, in the stored form.
        said = recorded.properties | {"run": recorded.properties["run"] * MILLION}
        fitted = Fitted(properties=said, undeclared={}, rejected={})
    else:
        fitted = fit_event(project.catalog, recorded.name, recorded.properties)
    return Arrival(
        contact=recorded.contact,
        name=recorded.name,
        at=recorded.at,
        properties=fitted.properties,
        undeclared=fitted.undeclared,
        dedup_key=dedup_key,
    )


def beginning_of(case: Case, arrived: Sequence[Arrival]) -> datetime:
    """When the journeys are applied: after what was known before, and before anything else has happened."""
    if case.before:
        return max(recorded.at for recorded in case.before) + timedelta(minutes=30)
    return min((arrival.at for arrival in arrived), default=case.until) - timedelta(days=1)


def told_by_the_model(case: Case, project: Project, arrived: Sequence[Arrival]) -> dict[str, Lived]:
    household = household_of(case, project, arrived)
    return household.live_until(case.until, case.presses)


def household_of(case: Case, project: Project, arrived: Sequence[Arrival]) -> Household:
    contacts = {}
    began = beginning_of(case, arrived)
    known = [each for each in history(case, project) if each.name != ACCOUNT_IDENTIFIED]
    accounts = {
        each.contact: each.properties for each in history(case, project) if each.name == ACCOUNT_IDENTIFIED
    }
    for key in sorted({arrival.contact for arrival in (*known, *arrived)} - {NOBODY}):
        past, to_come = (happenings_of(key, found) for found in (known, arrived))
        contacts[key] = Contact(
            key,
            to_come,
            project.journeys,
            project.catalog,
            began,
            FILLED,
            known=past,
            accounts=accounts,
            templates=written_texts(project),
        )
    return Household(contacts)


def happenings_of(key: str, arrivals: Sequence[Arrival]) -> list[Happening]:
    """What the contact may hear; a broadcast behind all else of its instant."""
    return [
        Happening(
            at=arrival.at,
            order=order + len(arrivals) * is_broadcast,
            name=arrival.name,
            properties=arrival.properties,
            is_broadcast=is_broadcast,
        )
        for order, arrival in enumerate(arrivals)
        for is_broadcast in [arrival.contact == NOBODY]
        if is_broadcast or arrival.contact == key
    ]


def lived_by_the_engine(
    database: Database, case: Case, project: Project, arrived: Sequence[Arrival], pace: Pace
) -> dict[str, Lived]:
    return engine_lives.lived_by_the_engine(
        database,
        project,
        pace,
        began=beginning_of(case, arrived),
        known=history(case, project),
        arrived=arrived,
        presses=case.presses,
        instants=(*case.cuts, case.until),
    )


def letters_of(told: Mapping[str, Lived]) -> dict[str, list[tuple[datetime, str, str]]]:
    """When each contact gets messages, of which journey and step."""
    return {
        key: [(each.at, each.journey, each.step) for each in lived.messages if each.status != "blocked"]
        for key, lived in told.items()
    }


def assert_same(told: Mapping[str, Lived], lived: Mapping[str, Lived]) -> None:
    assert sorted(told) == sorted(lived)
    for key in sorted(told):
        assert lived[key].runs == told[key].runs
        assert lived[key].messages == told[key].messages
        assert lived[key].conversions == told[key].conversions
        assert lived[key].attributes == told[key].attributes
        assert lived[key].tags == told[key].tags


def told_without_doubt(
    case: Case, project: Project, arrived: Sequence[Arrival]
) -> tuple[dict[str, Lived], tuple[datetime, ...]]:
    """What the model tells, and the instants at which something may have happened; nothing of a case of which it is not
    said who acts first."""
    household = household_of(case, project, arrived)
    try:
        told = household.live_until(case.until, case.presses)
    except AmbiguousError:
        reject()
    return told, tuple(sorted(household.instants))


def compare(case: Case, pace: Pace, url: str | None) -> None:
    for path, text in case.files.items():
        if path.endswith("journey.yaml"):
            note(f"{path}\n{text}")
    project = project_of(case)
    arrived = arrivals(case, project)
    told, instants = told_without_doubt(case, project, arrived)
    if case.wishes:
        case = with_presses(case, letters_of(told))
        told, instants = told_without_doubt(case, project, arrived)
    if case.moves:
        # Nobody keeps in step with those whose account they do not share yet.
        case = replace(case, cuts=instants)
    assume(sum(len(lived.runs) for lived in told.values()) <= MOST_RUNS)
    with Database.scratch(url, partitions=None if url is None else 2) as database:
        assert_same(told, lived_by_the_engine(database, case, project, arrived, pace))
        codes = engine_lives.drawn_codes(database)
        assert len(set(codes)) == len(codes), "nobody is given what another one was"


@settings(SETTINGS, max_examples=int(80 * THOROUGHNESS))
@given(case=cases(), pace=PACES)
def test_the_engine_agrees_with_the_model_on_sqlite(case: Case, pace: Pace) -> None:
    compare(case, pace, None)


@settings(SETTINGS, max_examples=int(20 * THOROUGHNESS))
@given(case=cases(), pace=PACES)
def test_the_engine_agrees_with_the_model_on_postgresql(postgres_url: str, case: Case, pace: Pace) -> None:
    compare(case, pace, postgres_url)


def test_a_zone_that_a_run_sets_holds_for_the_wait_that_follows(database: Database) -> None:
    # Nobody has been in that zone before: the engine has to make its clock known on the way.
    journey = {
        "journey": "j1",
        "language": 1,
        "title": "A zone of one's own",
        "owner": "shop@example.com",
        "trigger": {"event": "A"},
        "steps": [
            {"id": "move", "update": {"set": {"timezone": "Asia/Tbilisi"}}},
            {"id": "morning", "wait": {"for": "1d", "at": "09:00"}},
        ],
    }
    files = {
        "journeys/catalog.yaml": json.dumps({"timezone": "UTC", **CATALOG}),
        "journeys/j1/journey.yaml": json.dumps(journey),
    }
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    case = Case(files, (Recorded("c0", "A", at, {}),), at + timedelta(days=3), ())
    project = project_of(case)
    lived = lived_by_the_engine(database, case, project, arrivals(case, project), EXACT)
    # 16:00 in Tbilisi (UTC+4); a day later it is past nine, so the next nine o'clock: 05:00 UTC on 3 March.
    assert [run.ended_at for run in lived["c0"].runs] == [datetime(2026, 3, 3, 5, tzinfo=UTC)]
    assert_same(told_by_the_model(case, project, arrivals(case, project)), lived)


def test_what_is_said_of_a_step_that_sends_nothing_is_about_no_message(database: Database) -> None:
    # A change of an audience is kept beside the messages, and no reader has ever got it.
    journey = {
        "journey": "j1",
        "language": 1,
        "title": "Fans",
        "owner": "shop@example.com",
        "trigger": {"event": "A"},
        "steps": [
            {"id": "fan", "ad_audience": {"add": "fans"}},
            {"id": "rest", "wait": "1d"},
            {"id": "offer", "send": {"channel": "email", "topic": "news"}},
        ],
    }
    files = {
        "journeys/catalog.yaml": json.dumps({"timezone": "UTC", **CATALOG}),
        "journeys/j1/journey.yaml": json.dumps(journey),
        "journeys/j1/offer.txt": "---\nsubject: offer\n---\noffer\n",
    }
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    said = {"run": 1, "step": "fan", "channel": "email"}
    recorded = (
        Recorded("c0", IDENTIFIED, at, {"email": "c0@example.com"}),
        Recorded("c0", "A", at, {}),
        Recorded("c0", MESSAGE_UNSUBSCRIBED, at + timedelta(hours=1), said),
    )
    case = Case(files, recorded, at + timedelta(days=3), ())
    project = project_of(case)
    lived = lived_by_the_engine(database, case, project, arrivals(case, project), EXACT)
    assert [message.reason for message in lived["c0"].messages] == [""]
    assert_same(told_by_the_model(case, project, arrivals(case, project)), lived)


def test_a_timer_before_what_time_changes_of_a_segment_fires_in_its_turn(database: Database) -> None:
    journey = {
        "journey": "j1",
        "language": 1,
        "title": "Busy",
        "owner": "shop@example.com",
        "trigger": {"segment": "busy", "change": "enter"},
        "steps": [{"id": "rest", "wait": "1d"}],
    }
    files = {
        "journeys/catalog.yaml": json.dumps({"timezone": "UTC", **CATALOG}),
        "journeys/j1/journey.yaml": json.dumps(journey),
    }
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    recorded = (Recorded("c0", "A", at, {}), Recorded("c0", "A", at, {}))
    # One tick comes to the timer, a day on, and to the window that both events leave, two days on.
    case = Case(files, recorded, at + timedelta(days=5), (at + timedelta(hours=1),))
    project = project_of(case)
    lived = lived_by_the_engine(database, case, project, arrivals(case, project), EXACT)
    assert [run.ended_at for run in lived["c0"].runs] == [at + timedelta(days=1)]
    assert_same(told_by_the_model(case, project, arrivals(case, project)), lived)


@pytest.mark.parametrize("policies", [{"priority": ["offers"]}, {"frequency_cap": [{"max": 9, "per": "1d"}]}])
def test_a_consent_of_the_same_instant_comes_too_late_for_who_stands_at_a_send(
    database: Database, policies: Mapping[str, Any]
) -> None:
    # Whether a policy concerns the message at all is no matter.
    def journey(name: str, step: Mapping[str, Any]) -> str:
        said = {"journey": name, "language": 1, "title": name, "owner": "shop@example.com"}
        return json.dumps({**said, "trigger": {"event": "A"}, "steps": [{"id": "s1", **step}]})

    files = {
        "journeys/catalog.yaml": json.dumps({"timezone": "UTC", **CATALOG, "policies": policies}),
        "journeys/j1/journey.yaml": journey("j1", {"send": {"channel": "email", "topic": "offers"}}),
        "journeys/j1/s1.txt": "---\nsubject: s1\n---\ns1\n",
        "journeys/j2/journey.yaml": journey("j2", {"consent": {"give": "offers"}}),
    }
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    recorded = (Recorded("c0", IDENTIFIED, at, {"email": "c0@example.com"}), Recorded("c0", "A", at, {}))
    case = Case(files, recorded, at + timedelta(days=1), ())
    project = project_of(case)
    lived = lived_by_the_engine(database, case, project, arrivals(case, project), EXACT)
    assert [message.reason for message in lived["c0"].messages] == ["no_consent"]
    assert_same(told_by_the_model(case, project, arrivals(case, project)), lived)


def test_a_broadcast_is_nothing_to_whom_it_does_not_mean(database: Database) -> None:
    def journey(name: str, trigger: Mapping[str, str]) -> str:
        said = {
            "journey": name,
            "language": 1,
            "title": name,
            "owner": "shop@example.com",
            "trigger": trigger,
        }
        return json.dumps({**said, "steps": [{"id": "rest", "wait": "1h"}]})

    files = {
        "journeys/catalog.yaml": json.dumps({"timezone": "UTC", **CATALOG}),
        "journeys/j1/journey.yaml": journey("j1", {"segment": "quiet", "change": "enter"}),
        "journeys/j2/journey.yaml": journey("j2", {"event": "Z", "where": "event.k == contact.plan"}),
    }
    at = datetime(2026, 3, 1, 3, tzinfo=UTC)
    recorded = (
        Recorded("c0", "B", at, {}),
        Recorded("c0", "A", at + timedelta(hours=29), {}),
        Recorded(NOBODY, "Z", at + timedelta(hours=31), {"k": "x"}),
    )
    # One tick comes to all of it, so that what is older might still make them hear it.
    case = Case(files, recorded, at + timedelta(days=2), ())
    project = project_of(case)
    lived = lived_by_the_engine(database, case, project, arrivals(case, project), EXACT)
    # The segment is read every six hours, and at each event.
    assert [run.entered_at for run in lived["c0"].runs] == [datetime(2026, 3, 2, 12, tzinfo=UTC)]
    assert_same(told_by_the_model(case, project, arrivals(case, project)), lived)

"""Reading tests.yaml: what it means, and what its author reads when it means nothing."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from documents import ROOT
from golden import CASES, golden
from hypothesis import given
from hypothesis import strategies as st

from runner.journey.catalog import CONSENT_WITHDRAWN, IDENTIFIED
from runner.journey.project import Project, load_project
from runner.journey.scenario import (
    Consent,
    ExpectedCompletion,
    ExpectedExit,
    ExpectedSend,
    Never,
    Person,
    Scenario,
)
from runner.journey.scenario_file import find_scenarios
from runner.journey.scenario_time import read_moment
from runner.journey.send_rules import ADDRESS_LIMIT, BLOCK_REASONS
from runner.problem import Problem
from runner.review.reporters import text_report

SHOP = CASES / "scenario" / "shop"
TESTS = "journeys/cart/tests.yaml"


def shop(tests: str) -> Project:
    """The project of tests/cases/scenario/shop with ``tests`` as the scenarios of its journey ``cart``."""
    files = {
        path.relative_to(SHOP).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(SHOP.rglob("*"))
        if path.is_file()
    }
    project = load_project({**files, TESTS: tests})
    assert not project.problems
    return project


def read(tests: str) -> tuple[tuple[Scenario, ...], tuple[Problem, ...]]:
    return find_scenarios(shop(tests))


def one(body: str) -> Scenario:
    """The only scenario of a file whose test goes on with ``body``, indented by four."""
    scenarios, problems = read(f"journey: cart\ntests:\n  - name: a case\n{body}")
    assert problems == ()
    (scenario,) = scenarios
    return scenario


FULL = """\
    contact:
      {id: ana, timezone: Asia/Tbilisi, locale: ka, tags: [vip], consents: [offers, "news:email"], lifetime_value: 250}
    start: 2026-03-01T10:00:00+04:00
    given: {arm: {offer-test: ten}}
    with: [welcome]
    events:
      - {at: -30d, event: Order Completed, revenue: 80.5}
      - {at: 0m, event: Cart Updated, total: 80, cart_id: c1}
      - {at: 90m, identify: {lifetime_value: null}}
      - {at: 2026-03-01T12:30:00, consent: offers, channel: email, change: withdrawn}
    expect:
      - {at: 1h, send: remind, subject_contains: "80", text_contains: [a, b], channel: email}
      - {at: 2h, send: remind, blocked: no_consent}
      - {at: 2h, exit: bought}
      - {completed: true}
      - {never: voucher}
"""


def test_an_id_that_no_database_stores_is_a_finding() -> None:
    _, (problem,) = read(
        'journey: cart\ntests:\n  - {name: n, start: 2026-03-01, contact: {id: "a\\0"}, expect: []}\n'
    )
    assert (problem.code, problem.span.line, problem.span.column) == ("tests/value", 3, 48)


def test_a_scenario_in_full() -> None:
    scenario = one(FULL)
    start = datetime(2026, 3, 1, 6, tzinfo=UTC)
    assert (scenario.journey, scenario.name) == ("cart", "a case")
    assert (scenario.span.line, scenario.span.column) == (3, 11)
    assert scenario.person == Person(
        id="ana",
        traits={
            "timezone": "Asia/Tbilisi",
            "locale": "ka",
            "tags": ["vip"],
            "lifetime_value": 250,
            "email": "ana@example.com",
        },
        consents=(Consent("offers"), Consent("news", "email")),
    )
    assert scenario.start == start
    assert scenario.zone == ZoneInfo("Asia/Tbilisi")
    assert scenario.journeys == ("cart", "welcome")
    assert scenario.arms == {"offer-test": "ten"}
    assert [(event.at - start, event.name) for event in scenario.received] == [
        (timedelta(days=-30), "Order Completed"),
        (timedelta(0), "Cart Updated"),
        (timedelta(minutes=90), IDENTIFIED),
        (timedelta(hours=2, minutes=30), CONSENT_WITHDRAWN),
    ]
    assert scenario.received[3].properties == {"topic": "offers", "channel": "email", "source": "scenario"}
    spans = [item.span for item in (*scenario.expected, *scenario.never)]
    assert scenario.expected == (
        ExpectedSend(
            at=start + timedelta(hours=1),
            step="remind",
            channel="email",
            subject_contains=("80",),
            text_contains=("a", "b"),
            span=spans[0],
        ),
        ExpectedSend(at=start + timedelta(hours=2), step="remind", blocked="no_consent", span=spans[1]),
        ExpectedExit(at=start + timedelta(hours=2), reason="bought", span=spans[2]),
        ExpectedCompletion(span=spans[3]),
    )
    assert scenario.never == (Never(step="voucher", span=spans[4]),)
    assert [span.line for span in spans] == [15, 16, 17, 18, 19]


def test_without_a_contact_somebody_stands_in_who_consented_to_nothing() -> None:
    scenario = one("    start: 2026-03-01T10:00:00Z\n    events: []\n    expect: []\n")
    assert scenario.person == Person(id="contact", traits={"email": "contact@example.com"})
    assert scenario.zone == ZoneInfo("Europe/Berlin")
    assert scenario.expects_nothing


def test_a_contact_may_have_no_email() -> None:
    scenario = one(
        "    contact: {email: null}\n    start: 2026-03-01T10:00:00Z\n    events: []\n    expect: []\n"
    )
    assert scenario.person.traits == {"email": None}


def test_properties_whose_names_are_taken_stand_apart() -> None:
    scenario = one(
        "    start: 2026-03-01T10:00:00Z\n"
        "    events:\n      - {at: 0m, event: Shift Planned, properties: {at: noon, event: party}}\n"
        "    expect: []\n"
    )
    assert scenario.received[0].properties == {"at": "noon", "event": "party"}


@pytest.mark.parametrize(
    ("expect", "horizon", "strict"),
    [
        ("[]", "402d", "402d"),
        ("[{at: 3d, exit: bought}]", "3d", "3d"),
        ("[{at: 1d, exit: bought}]", "2d", "2d"),
        ("[{at: 3d, exit: bought}, {never: voucher}]", "403d", "3d"),
        ("[{exit: bought}]", "402d", "2d"),
        ("[{never: voucher}]", "402d", "2d"),
    ],
)
def test_how_long_a_scenario_is_watched(expect: str, horizon: str, strict: str) -> None:
    """The event lies two days after the start."""
    start = datetime(2026, 3, 1, tzinfo=UTC)
    body = (
        "    start: 2026-03-01T00:00:00Z\n"
        "    events: [{at: 2d, event: Cart Updated, total: 80}]\n"
        f"    expect: {expect}\n"
    )
    scenario = one(body)
    assert scenario.horizon == read_moment(horizon, start, UTC)
    assert scenario.strict_until == read_moment(strict, start, UTC)
    ended = one(body + "    until: 9d\n")
    assert ended.horizon == ended.strict_until == start + timedelta(days=9)


def test_local_times_are_those_of_the_zone() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert read_moment("2026-07-01T10:00:00", None, berlin) == datetime(2026, 7, 1, 8, tzinfo=UTC)
    assert read_moment("2026-10-25T02:30:00", None, berlin) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    with pytest.raises(ValueError, match="never show"):
        read_moment("2026-03-29T02:30:00", None, berlin)


@given(st.text(max_size=12))
def test_no_text_breaks_the_reading_of_instants(text: str) -> None:
    with suppress(ValueError):
        assert read_moment(text, datetime(2026, 3, 1, tzinfo=UTC), ZoneInfo("Europe/Berlin")).tzinfo is UTC


@pytest.mark.parametrize("case", sorted(path.stem for path in (CASES / "scenario" / "err").glob("*.yaml")))
def test_what_the_author_of_a_wrong_scenario_reads(case: str) -> None:
    text = (CASES / "scenario" / "err" / f"{case}.yaml").read_text(encoding="utf-8")
    _, problems = read(text)
    assert problems
    golden(f"scenario/err/{case}.out", text_report(problems, {TESTS: text}) + "\n")


def test_a_scenario_beside_a_wrong_one_is_read() -> None:
    good = "    start: 2026-03-01T10:00:00Z\n    events: []\n    expect: []\n"
    scenarios, problems = read(
        "journey: cart\ntests:\n"
        "  - name: wrong\n    start: soon\n    events: []\n    expect: []\n"
        f"  - name: right\n{good}"
    )
    assert [scenario.name for scenario in scenarios] == ["right"]
    assert [problem.code for problem in problems] == ["tests/instant"]


def test_the_shop_of_the_cases_is_in_order() -> None:
    assert Path(SHOP / "journeys" / "catalog.yaml").exists()
    assert set(shop("journey: cart\ntests: []\n").journeys) == {"cart", "welcome"}


def test_the_page_names_all_that_may_arrive_and_every_block_reason() -> None:
    page = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    schema = json.loads((ROOT / "schema" / "tests.schema.json").read_text(encoding="utf-8"))
    arriving = page.split("## What arrives")[1].split("##")[0]
    forms = schema["definitions"]["event"]["anyOf"]
    assert forms
    for form in forms:
        (what, *_) = [key for key in form["required"] if key != "at"]
        assert f"{{at, {what}: " in arriving, what
        for key in form["properties"].keys() - {"at", "event", "properties"}:
            assert key in arriving, (what, key)
    coming = page.split("## What has to come of it")[1].split("##")[0]
    assert all(f"`{reason}`" in coming for reason in (*BLOCK_REASONS, ADDRESS_LIMIT))

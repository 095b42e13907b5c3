"""``journeys report``: what messages led to, those who were treated against those who were held out."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from documents import ROOT, block_of
from golden import golden
from shop import START, Shop
from sqlalchemy import update
from test_independent_count import part_of_the_extract

from runner.cli import run
from runner.engine.apply import apply_project
from runner.engine.tick import EXACT
from runner.engine.versions import load_versions
from runner.insight.results import JourneyResults, Result, Results, ToolResults, read_results
from runner.insight.results_shown import results_csv, results_json, results_text
from runner.insight.uplift import mean_difference, rate_difference
from runner.journey.catalog import IDENTIFIED
from runner.journey.fit import fit_traits
from runner.journey.project import Project, load_project, read_files
from runner.review.backtest import Grant, recordings, replay
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.tables import message
from runner.store.watching.sendings import TOLD
from tests.reference.complete_journey import Counted, count
from tests.written import write_files

PAGE = ROOT / "docs" / "report.md"
JOURNEY = """
journey: abandoned-cart
language: 1
title: Win back abandoned carts
topic: offers
trigger: {event: Cart Updated}
entry: {per: trigger.cart_id, reentry: always}
exit:
  - {event: Order Completed, where: event.cart_id == trigger.cart_id, reason: bought}
goal: {event: Order Completed, where: event.cart_id == trigger.cart_id, within: 7d, value: event.revenue}
holdout: 25%
steps:
  - {id: settle, wait: 1h}
  - {id: remind, send: email}
  - {id: patience, wait: 1d}
  - {id: incentive, send: email}
"""
FILES = {
    "journeys/catalog.yaml": block_of(PAGE, "yaml", "campaigns:").text,
    "journeys/abandoned-cart/journey.yaml": JOURNEY,
    "journeys/abandoned-cart/remind.txt": "---\nsubject: Your cart\n---\nIt is still there.\n",
    "journeys/abandoned-cart/incentive.txt": "---\nsubject: A coupon\n---\nTake it.\n",
}
PEOPLE = 240
HOUR = timedelta(hours=1)
ZONE = ZoneInfo("America/New_York")


def held_out(journey: str, key: str, parts: int) -> bool:
    """Whether who is called ``key`` falls into the first ``parts`` of ten thousand of a journey's holdout."""
    return int.from_bytes(sha256(f"{journey}/holdout/{key}".encode()).digest()[:8]) % 10_000 < parts


def known(shop: Shop, keys: list[str]) -> None:
    """Let people with these keys, who have agreed to offers, be known before the beginning."""
    traits = {key: fit_traits(shop.catalog, {"email": f"{key}@x.example"}).properties for key in keys}
    shop.arrive(
        [
            Arrival(
                contact=key,
                name=IDENTIFIED,
                at=START - HOUR,
                properties=properties,
                undeclared={},
                dedup_key=f"identify {key}",
            )
            for key, properties in traits.items()
        ],
        pending=False,
    )
    shop.grant_all("offers")


def all_sent(database: Database) -> None:
    """Let a channel have taken over every message that is ready."""
    with database.begin() as connection:
        connection.execute(
            update(message)
            .where(message.c.status == "ready")
            .values(status="sent", sent_at=message.c.let_go_at, available_at=None)
        )


def spring(shop: Shop) -> Iterator[Arrival]:
    """What people do in two months: a cart each, and who is reminded buys more often."""
    for number in range(PEOPLE):
        key = f"c{number}"
        begins = START + timedelta(days=number % 45, hours=number % 13)
        reminded, offered = begins + HOUR, begins + 25 * HOUR
        yield shop.event(key, "Cart Updated", begins, cart_id=key, total=50)
        alone = held_out("abandoned-cart", key, 2_500)
        if not alone and number % 2:
            yield shop.event(key, "Message Opened", reminded + HOUR, run=1, step="remind")
            yield shop.event(key, "Message Opened", reminded + 2 * HOUR, run=1, step="remind")
        if not alone and number % 10 == 0:
            yield shop.event(key, "Message Opened", reminded, run=1, step="remind", bot=True)
        if not alone and number % 7 == 0:
            yield shop.event(key, "Message Clicked", reminded + HOUR, run=1, step="remind", link="cart")
        if number % 5 == 1 or (not alone and number % 3 == 0):
            at = reminded + 3 * HOUR
            yield shop.event(key, "Order Completed", at, cart_id=key, revenue=20 + number % 40)
        elif number % 11 == 2:
            yield shop.event(key, "Order Completed", offered + HOUR, cart_id=key, revenue=35)
        elif number % 11 == 3:
            # Eight days after the last message: too late.
            yield shop.event(key, "Order Completed", offered + 192 * HOUR, cart_id=key, revenue=35)
        if not alone and number == 17:
            yield shop.event(key, "Message Unsubscribed", offered + 2 * HOUR, run=1, step="incentive")
        if number % 3 == 1:
            sale = START + timedelta(days=20)
            yield shop.event(key, "Newsletter Sent", sale, campaign="spring sale")
            yield shop.event(key, "Newsletter Sent", sale + timedelta(days=20), campaign="easter")
            if number % 2:
                yield shop.event(key, "Newsletter Opened", sale + HOUR, campaign="spring sale")
            if number % 5 == 0:
                yield shop.event(key, "Newsletter Left", sale + timedelta(days=21), campaign="easter")


def lived(database: Database) -> tuple[Shop, Project]:
    shop = Shop(database, FILES)
    known(shop, [f"c{number}" for number in range(PEOPLE)])
    shop.arrive(spring(shop))
    shop.tick(START + timedelta(days=70), EXACT)
    all_sent(database)
    return shop, load_project(FILES)


def test_a_report_says_what_messages_led_to(database: Database) -> None:
    _, project = lived(database)
    results = read_results(database, project)
    golden("report/results.out", results_text(results) + "\n")
    golden("report/results.json", json.dumps(results_json(results), indent=2) + "\n")
    golden("report/results.csv", results_csv(results))
    assert block_of(PAGE, "text", "held out").text == results_text(results) + "\n", "the page shows it"

    march = read_results(database, project, until=date(2026, 3, 31), journey="abandoned-cart")
    assert {each.month for each in march.journeys[0].results} == {"2026-03"}
    both = [
        read_results(database, project, until=date(2026, 3, 20)),
        read_results(database, project, since=date(2026, 3, 21)),
    ]
    for name in ("sent", "goals", "value"):
        parts = [getattr(each, name) for part in both for each in part.journeys[0].results]
        assert sum(parts) == sum(getattr(each, name) for each in results.journeys[0].results), name
    entered = [part.journeys[0].comparison for part in both]
    whole = results.journeys[0].comparison
    assert whole is not None
    assert sum(one.held_out.people for one in entered if one) == whole.held_out.people


def test_what_came_in_from_outside_steers_no_terminal_and_no_spreadsheet() -> None:
    """Names of campaigns are texts of other people."""
    names = {
        "=HYPERLINK(1)": "'=HYPERLINK(1)",
        "@SUM(A1)": "'@SUM(A1)",
        "\n=1+1": "'\n'=1+1",
        "\uff1d1+1": "'\uff1d1+1",
        "\uff0b1": "'\uff0b1",
        "\uff0d1": "'\uff0d1",
        "\uff20SUM(A1)": "'\uff20SUM(A1)",
        'plain;=cmd|" /C calc"!A0': 'plain;\'=cmd|" /C calc"!A0',
        "spring\t+1": "spring\t'+1",
        "\x1b[31mred": "\x1b[31mred",
        "\x9b31mred": "\x9b31mred",
        "plain; 1 = 1": "plain; 1 = 1",
        "long " * 1_000: "long " * 1_000,
        "": "",
    }
    each = Result(
        message="",
        channel="",
        month="2026-03",
        sent=1,
        people=1,
        reached=0,
        goals=0,
        value=None,
        told=dict.fromkeys(TOLD, 0),
        states={},
    )
    results = Results(
        timezone="UTC",
        since=None,
        until=None,
        journeys=(),
        tools=(ToolResults(tool="+mail\x1b", results=tuple(replace(each, message=name) for name in names)),),
    )
    told = list(csv.DictReader(io.StringIO(results_csv(results), newline="")))
    assert [row["message"] for row in told] == list(names.values())
    assert {row["name"] for row in told} == {"'+mail\x1b"}
    text = results_text(results)
    assert not {"\x1b", "\x9b"} & set(text)
    assert max(map(len, text.splitlines())) < 120
    assert "(no name)" in text


def test_the_command_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path, FILES)
    project = ["--project", str(tmp_path)]
    assert run(["report", *project]) == 4, "nothing was applied yet"
    assert run(["apply", *project]) == 0
    capsys.readouterr()
    assert run(["report", *project]) == 0
    assert "entered   0 people; nobody was held out" in capsys.readouterr().out
    assert run(["report", *project, "--journey", "abandoned-card"]) == 1
    assert run(["report", *project, "--since", "2026-04-01", "--until", "2026-03-01"]) == 2
    assert run(["report", *project, "--until", "9999-12-31"]) == 2
    assert run(["report", *project, "--since", "0001-01-01"]) == 2
    assert run(["report", *project, "--since", "2026-13-01"]) == 2
    assert run(["report", *project, "--journey", "x"]) == 1
    told = capsys.readouterr().err
    assert "'2026-13-01' is no day; write it like 2026-03-01." in told
    assert told.endswith("nobody ever entered one of that name. There are: `abandoned-cart`\n")
    assert run(["report", *project, "--format", "csv", "--since", "2026-03-01"]) == 0
    assert capsys.readouterr().out.startswith("row,name,message,channel,month,sent,")


def test_who_entered_before_anybody_was_held_out_is_not_compared(database: Database) -> None:
    before = {**FILES, "journeys/abandoned-cart/journey.yaml": JOURNEY.replace("holdout: 25%\n", "")}
    shop = Shop(database, before)
    keys = [f"c{number}" for number in range(12)]
    known(shop, keys)
    later = START + timedelta(days=10)
    shop.arrive([shop.event(key, "Cart Updated", START, cart_id="one", total=50) for key in keys[:8]])
    shop.tick(START + timedelta(days=9), EXACT)
    now = START + timedelta(days=9)
    apply_project(database, load_project(FILES), now=now, author="tests", git_commit=None)
    shop.versions = load_versions(database)
    shop.arrive([shop.event(key, "Cart Updated", later, cart_id="two", total=50) for key in keys[4:]])
    shop.tick(later + timedelta(days=2), EXACT)
    (journey,) = read_results(database, load_project(FILES)).journeys
    drawn = [held_out("abandoned-cart", key, 2_500) for key in keys[4:]]
    assert True in drawn
    assert journey.comparison is not None
    assert journey.comparison.held_out.people == sum(drawn)
    assert journey.comparison.treated.people == len(drawn) - sum(drawn)
    assert journey.comparison.rate is None, "too few"
    # Four of them entered before, were not held out then, and still count on one side alone.
    assert journey.comparison.mixed == 0
    mixed = sum(held_out("abandoned-cart", key, 2_500) for key in keys[4:8])
    assert journey.entered.people == 12 - sum(drawn[4:]) - mixed


# The recorded year --------------------------------------------------------------------------------------------------


def year() -> Project:
    """The journeys of the recorded year, which hold a fifth out, beside the shop's own mailings."""
    files = dict(read_files(ROOT / "examples/complete-journey"))
    for path in [path for path in files if path.endswith("journey.yaml")]:
        files[path] = files[path].replace("topic: offers\n", "topic: offers\nholdout: 20%\n", 1)
    files["journeys/catalog.yaml"] += (
        "campaigns:\n  mailings:\n    sent: Campaign Received\n    name: campaign_id\n"
        "    goal: {event: Coupon Redeemed, where: event.campaign_id == trigger.campaign_id, within: 30d,"
        ' value: "2.5"}\n'
    )
    project = load_project(files)
    assert not project.problems
    return project


def month(at: datetime) -> str:
    return f"{at.astimezone(ZONE):%Y-%m}"


def test_the_sums_of_a_year_are_those_of_an_independent_count(tmp_path: Path) -> None:
    """On SQLite: that PostgreSQL says the same is seen above."""
    folder = part_of_the_extract(tmp_path / "part", every=4)
    project = year()
    with Database.scratch() as database:
        replay(database, project, recordings(folder), grants=[Grant(topic="offers")])
        all_sent(database)
        results = read_results(database, project)
    counted = count(folder)
    for journey in results.journeys:
        name = journey.journey
        mine = [each for each in counted.messages if each.journey == name]
        sent = [each for each in mine if not held_out(name, each.contact, 2_000)]
        people: dict[tuple[str, str], list[str]] = defaultdict(list)
        for each in sent:
            people[each.step, month(each.at)].append(each.contact)
        assert {(each.message, each.month): (each.sent, each.people) for each in journey.results} == {
            key: (len(who), len(set(who))) for key, who in people.items()
        }
        compared(journey, counted)
    mailed(results, folder)


def compared(journey: JourneyResults, counted: Counted) -> None:
    """Those who were treated and those who were held out."""
    name, comparison = journey.journey, journey.comparison
    assert comparison is not None
    runs = [each for each in counted.runs if each.journey == name]
    conversions = [each for each in counted.conversions if each.journey == name]
    entered = {each.contact for each in runs}
    # Compared are those who entered since the first was held out.
    first = min(each.entered_at for each in runs if held_out(name, each.contact, 2_000))
    since = {each.contact for each in runs if each.entered_at >= first}
    assert journey.entered.people == sum(not held_out(name, key, 2_000) for key in entered)
    treated = [each for each in conversions if not held_out(name, each.contact, 2_000)]
    assert journey.entered.goals == len(treated) == sum(each.goals for each in journey.results)
    assert journey.entered.reached == len({each.contact for each in treated})
    assert (
        journey.entered.value
        == sum(each.value for each in treated)
        == sum(each.value or 0 for each in journey.results)
    )
    for side, theirs in ((comparison.treated, False), (comparison.held_out, True)):
        assert side.people == sum(held_out(name, key, 2_000) is theirs for key in since)
    others = [each for each in conversions if held_out(name, each.contact, 2_000)]
    assert comparison.held_out.goals == len(others)
    assert comparison.held_out.value == sum(each.value for each in others)


def mailed(results: Results, folder: Path) -> None:
    """The mailings and what they led to, from the lines of the file."""
    lines = gzip.decompress((folder / "track.ndjson.gz").read_bytes()).decode().splitlines()
    events = [json.loads(line) for line in lines]
    mailings = sorted(
        (datetime.fromisoformat(each["timestamp"]), each["userId"], each["properties"]["campaign_id"])
        for each in events
        if each["event"] == "Campaign Received"
    )
    sent = Counter((str(campaign), month(at)) for at, _, campaign in mailings)
    goals: Counter[tuple[str, str]] = Counter()
    for each in events:
        if each["event"] == "Coupon Redeemed":
            at = datetime.fromisoformat(each["timestamp"])
            own = [
                mailing
                for mailing in mailings
                if mailing[1:] == (each["userId"], each["properties"]["campaign_id"])
                and timedelta() <= at - mailing[0] <= timedelta(days=30)
            ]
            if own:
                goals[str(own[-1][2]), month(own[-1][0])] += 1
    (tool,) = results.tools
    assert {(each.message, each.month): each.sent for each in tool.results} == sent
    assert {(each.message, each.month): each.goals for each in tool.results if each.goals} == goals
    assert sum(each.value or 0 for each in tool.results) == Decimal("2.5") * sum(goals.values())
    assert sum(goals.values()) > 10


# The intervals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reached", "people", "others_reached", "others", "low", "high"),
    [
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (10, 10, 0, 20, 0.6791, 1.0),
        (10, 10, 0, 10, 0.6075, 1.0),
    ],
)
def test_the_interval_of_rates_is_the_published_one(
    reached: int, people: int, others_reached: int, others: int, low: float, high: float
) -> None:
    """Newcombe 1998, table II, method 10."""
    found = rate_difference(reached, people, others_reached, others)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_the_interval_of_means_is_that_of_the_values_themselves() -> None:
    ours, theirs = [0.0] * 60 + [20.0 + each for each in range(40)], [0.0] * 30 + [15.0, 25.0] * 5
    found = mean_difference(
        sum(ours), sum(x * x for x in ours), len(ours), sum(theirs), sum(x * x for x in theirs), len(theirs)
    )
    error = math.sqrt(statistics.variance(ours) / len(ours) + statistics.variance(theirs) / len(theirs))
    middle = statistics.mean(ours) - statistics.mean(theirs)
    z = statistics.NormalDist().inv_cdf(0.975)
    assert math.isclose(found.value, middle)
    assert math.isclose(found.low, middle - z * error)
    assert math.isclose(found.high, middle + z * error)

"""Backtests: recordings replayed on both databases, whatever the batches, with the same bytes every time."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from golden import CASES, golden

from runner.cli import run
from runner.insight.present import journey_json
from runner.insight.report import journey_numbers
from runner.journey.project import Project, load_project, read_files
from runner.problem import JourneysError
from runner.review.backtest import (
    Grant,
    Replayed,
    message_json,
    parse_grant,
    recordings,
    replay,
    replayed_json,
    replayed_text,
)
from runner.store.database import Database
from runner.store.watching.reports import message_lines

SHOP = CASES / "scenario" / "shop"
MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def shop() -> Project:
    return load_project(read_files(SHOP))


def track(who: str, hours: float, event: str, **properties: Any) -> str:
    at = (MONDAY + timedelta(hours=hours)).isoformat()
    return json.dumps(
        {
            "type": "track",
            "userId": who,
            "event": event,
            "timestamp": at,
            "messageId": f"{who}-{event}-{hours}",
            "properties": properties,
        }
    )


def identify(who: str, hours: float = -1, **traits: Any) -> str:
    at = (MONDAY + timedelta(hours=hours)).isoformat()
    return json.dumps({"type": "identify", "userId": who, "timestamp": at, "traits": traits})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A week of a small shop, in three files, with everything in it that can be wrong with a recording."""
    people = [
        identify("ana", email="ana@shop.example", lifetime_value=250),
        identify("ben", email="ben@shop.example", plan="gold"),
        identify("eva"),
        identify("kim", email="kim@shop.example"),
    ]
    events = [
        track("ana", 0, "Cart Updated", cart_id="a", total=80),
        track("ben", 1, "Cart Updated", cart_id="b", total="35.5"),
        track("eva", 2, "Cart Updated", cart_id="e", total=20),
        track("kim", 2, "Cart Updated", cart_id="k", total="much"),
        track("ben", 3, "Order Completed", cart_id="b", revenue=35.5),
        track("ana", 30, "Order Completed", cart_id="a", revenue="80.000001"),
        track("ana", 30, "Order Completed", cart_id="a", revenue="80.000001"),
        "not json",
        track("kim", 40, "Cart Updated", cart_id="k", total=100),
        track("ana", 44, "Cart Updated", cart_id="a2", total=100),
        track("kim", 48, "Shift Planned"),
    ]
    later = (
        "userId,event,timestamp,messageId,cart_id,total\neva,Cart Updated,2026-03-04T10:00:00Z,e9,e2,500\n"
    )
    folder = tmp_path / "recorded"
    folder.mkdir()
    (folder / "1-people.ndjson").write_text("\n".join(people) + "\n")
    (folder / "2-events.ndjson.gz").write_bytes(gzip.compress(("\n".join(events) + "\n").encode()))
    (folder / "3-later.csv").write_text(later)
    (folder / "notes.txt").write_text("no recording")
    return folder


def outcome(database: Database, project: Project, folder: Path, **options: Any) -> tuple[str, str]:
    """The report as JSON, and the messages as NDJSON, of a backtest with consent to offers."""
    options = {"grants": [Grant(topic="offers")], **options}
    replayed = replay(database, project, recordings(folder), **options)
    numbers = journey_numbers(database, project.journeys.values())
    report = {**replayed_json(replayed), "journeys": [journey_json(one) for one in numbers]}
    with database.read() as connection:
        messages = "".join(message_json(line) + "\n" for line in message_lines(connection))
    return json.dumps(report, indent=2) + "\n", messages


def test_a_week_comes_out_like_this_on_both_databases(
    database: Database, shop: Project, folder: Path
) -> None:
    report, messages = outcome(database, shop, folder)
    golden("report/backtest.json", report)
    golden("report/backtest-messages.ndjson", messages)


@pytest.mark.parametrize("batch", [1, 2, 3, 1000])
def test_batches_change_nothing(shop: Project, folder: Path, batch: int) -> None:
    with Database.scratch() as one, Database.scratch(partitions=3) as other:
        assert outcome(one, shop, folder, batch=batch) == outcome(other, shop, folder)


def test_without_consent_everything_is_blocked(database: Database, shop: Project, folder: Path) -> None:
    _, messages = outcome(database, shop, folder, grants=[])
    reasons = {
        (line["step"], line["status"], line["reason"]) for line in map(json.loads, messages.splitlines())
    }
    assert ("remind", "blocked", "no_consent") in reasons
    assert ("remind", "blocked", "no_address") in reasons
    assert ("hello", "sent", None) in reasons  # receipts need no consent
    assert not any(step == "remind" and status == "sent" for step, status, _ in reasons)


def test_time_stops_at_the_last_event_or_where_it_is_told_to(
    sqlite_database: Database, shop: Project, folder: Path
) -> None:
    """The last cart is updated 49 hours after Monday 9:00, and would be reminded of an hour later."""
    replayed: Replayed = replay(sqlite_database, shop, recordings(folder))
    assert replayed.until == MONDAY + timedelta(hours=49)
    with Database.scratch() as other:
        until = MONDAY + timedelta(hours=50)
        replay(other, shop, recordings(folder), until=until)
        with other.read() as later, sqlite_database.read() as earlier:
            new = set(message_lines(later)) - set(message_lines(earlier))
    assert [(line.contact, line.step, line.at) for line in new] == [("eva", "remind", until)]


def test_what_is_wrong_with_a_recording_is_counted(
    sqlite_database: Database, shop: Project, folder: Path
) -> None:
    replayed = replay(sqlite_database, shop, recordings(folder))
    assert replayed.files == ("1-people.ndjson", "2-events.ndjson.gz", "3-later.csv")
    assert (replayed.contacts, replayed.events, replayed.duplicates, replayed.rejected) == (4, 14, 1, 1)
    (rejection,) = replayed.rejections
    assert (rejection.file, rejection.line) == ("2-events.ndjson.gz", 8)
    assert [(misfit.event, misfit.value, misfit.count) for misfit in replayed.misfits] == [
        ("Cart Updated", "total", 1),
        ("Contact Identified", "plan", 1),
    ]


def test_names_that_the_catalog_does_not_have_are_told(
    sqlite_database: Database, shop: Project, tmp_path: Path
) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text(track("ana", 0, "Cart updated", cart_id="a") + "\n")
    replayed = replay(sqlite_database, shop, [path])
    text = replayed_text(replayed)
    assert text.startswith("Replayed 1 event of 1 contact from events.ndjson.\n")
    told = 'Not in the catalog, kept but not read: event "Cart updated" 1 (did you mean "Cart Updated"?).'
    assert told in text
    assert replayed_json(replayed)["not_read"] == {
        "names": 1,
        "first": [
            {
                "kind": "event",
                "name": "Cart updated",
                "event": None,
                "count": 1,
                "did_you_mean": "Cart Updated",
            }
        ],
    }


def test_a_recording_that_was_read_as_a_whole_ends_with_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "events.ndjson").write_text(track("ana", 0, "Cart Updated", cart_id="a") + "\n")
    assert command(tmp_path, "--project", SHOP) == 0
    assert "Rejected" not in capsys.readouterr().out


def test_folders_without_recordings_and_recordings_without_events(tmp_path: Path, shop: Project) -> None:
    with pytest.raises(JourneysError, match="holds no recording"):
        recordings(tmp_path)
    (tmp_path / "empty.ndjson").write_text("")
    with Database.scratch() as database, pytest.raises(JourneysError, match="hold no event"):
        replay(database, shop, recordings(tmp_path))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("offer", "no topic 'offer'"),
        ("offers:fax", "no channel 'fax'"),
        ("", "no topic ''"),
        (":email", "no topic ''"),
    ],
)
def test_a_grant_names_what_the_catalog_has(shop: Project, text: str, wrong: str) -> None:
    assert str(parse_grant("offers", shop.catalog)) == "offers"
    assert parse_grant("offers:email", shop.catalog) == Grant(topic="offers", channel="email")
    with pytest.raises(JourneysError, match=wrong):
        parse_grant(text, shop.catalog)


# The command -------------------------------------------------------------------------------------------------------


def command(*arguments: str | Path) -> int:
    return run(["backtest", *map(str, arguments)])


def test_the_command_prints_a_report(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = tmp_path / "messages.ndjson"
    assert command(folder, "--project", SHOP, "--grant", "offers:email", "--messages", messages) == 1
    printed = capsys.readouterr()
    golden("report/backtest.out", printed.out)
    assert printed.err == ""
    golden("report/backtest-messages.ndjson", messages.read_text(encoding="utf-8"))


def test_the_command_prints_the_same_bytes_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for batch in ("1", "50"):
        assert (
            command(folder, "--project", SHOP, "--format", "json", "--grant", "offers", "--batch", batch) == 1
        )
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert json.loads(printed[0])["granted"] == ["offers"]


def test_the_command_runs_on_postgresql_and_leaves_nothing_behind(
    folder: Path, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    common = (folder, "--project", SHOP, "--format", "json", "--grant", "offers")
    assert command(*common) == 1
    on_sqlite = capsys.readouterr().out
    assert command(*common, "--database", postgres_url) == 1
    assert capsys.readouterr().out == on_sqlite


def test_the_command_refuses_journeys_with_errors(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journeys = tmp_path / "journeys" / "cart"
    journeys.mkdir(parents=True)
    (journeys.parent / "catalog.yaml").write_text("events: {}\n")
    (journeys / "journey.yaml").write_text("journey: cart\n")
    assert command(folder, "--project", tmp_path) == 1
    printed = capsys.readouterr()
    assert "journeys/cart/journey.yaml:1:1" in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--until", "tomorrow"), 2, "not an ISO 8601 instant"),
        (("--grant", "offer"), 1, "no topic 'offer'"),
        (("--batch", "0"), 2, "--batch"),
        (("--database", "mysql://x"), 1, "not supported"),
    ],
)
def test_the_command_says_what_is_wrong_with_its_options(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, says: str
) -> None:
    assert command(folder, "--project", SHOP, *arguments) == code
    assert says in capsys.readouterr().err


COUPONS = """
journey: coupons
language: 1
title: A coupon, and a tip
topic: receipts
trigger: {event: Cart Updated}
entry: {reentry: always}
steps:
  - {id: voucher, draw: {pool: vouchers, save_as: code, if_empty: [{id: on, goto: tip}]}}
  - {id: offer, send: {channel: email, template: offer}}
  - {id: tip, send: {channel: email, template: tip}}
"""


def test_draws_that_found_a_pool_empty_are_told_with_the_messages_that_hang_on_them(
    database: Database, shop: Project, folder: Path
) -> None:
    catalog = shop.files["journeys/catalog.yaml"] + "pools: {vouchers: {file: vouchers.csv}}\n"
    files = {
        **shop.files,
        "journeys/catalog.yaml": catalog,
        "journeys/coupons/journey.yaml": COUPONS,
        "journeys/coupons/offer.txt": "---\nsubject: Yours\n---\n{{ run.code }}\n",
        "journeys/coupons/tip.txt": "---\nsubject: A tip\n---\nTip\n",
    }
    project = load_project(files)
    assert "coupons" in project.journeys, project.problems
    replayed = replay(database, project, recordings(folder))
    (told,) = replayed.undrawn
    assert (told.journey, told.step, told.pool, told.sends) == ("coupons", "voucher", "vouchers", ("offer",))
    said = f"    coupons: voucher (vouchers), {told.times} times, and did not get `offer`"
    assert said in replayed_text(replayed).splitlines()
    with database.read() as connection:
        sent = [line.step for line in message_lines(connection) if line.journey == "coupons" and line.let_go]
    assert set(sent) == {"tip"}

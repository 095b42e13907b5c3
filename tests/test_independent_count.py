"""The shipped journeys over the recorded year do exactly what an independent count says: no difference, no tolerance.

The count (``tests/reference/complete_journey.py``) uses the standard library alone. ``JOURNEYS_FULL_YEAR`` may name a
folder with the recording of all households; without it the extract of the repository is counted.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from runner.cli import run as journeys
from runner.journey.project import Project, load_project, read_files
from runner.review.backtest import Grant, recordings, replay
from runner.store import tables
from runner.store.database import Database
from tests.by_contact import rows_with_key
from tests.reference.complete_journey import Conversion, Counted, Message, Run, count

ROOT = Path(__file__).parent.parent
EXTRACT = ROOT / "examples" / "complete-journey"
TO_EVERYBODY = [Grant(topic="offers")]


@pytest.fixture(scope="module")
def shipped() -> Project:
    """The journeys of this repository."""
    project = load_project(read_files(EXTRACT))
    assert not project.problems
    return project


def what_happened(database: Database) -> tuple[Counted, set[tuple[str, str | None]]]:
    """What the database says in the words of the count, and the states and reasons of its messages."""
    with database.read() as connection:
        runs = [
            Run(
                contact=row.key,
                journey=row.journey,
                per=row.per,
                entered_at=row.entered_at,
                status=row.status,
                reason=row.reason or "",
                ended_at=row.ended_at,
                step=row.step or "",
            )
            for row in rows_with_key(connection, tables.run)
        ]
        rows = rows_with_key(connection, tables.message)
        messages = [
            Message(contact=row.key, journey=row.journey, at=row.let_go_at, step=row.step) for row in rows
        ]
        conversions = [
            Conversion(
                contact=row.key,
                journey=row.journey,
                at=row.at,
                value=Decimal(row.value) / 1_000_000,
            )
            for row in rows_with_key(connection, tables.conversion)
        ]
    assert {row.channel for row in rows} <= {"email"}
    return Counted(
        runs=in_order(runs), messages=tuple(sorted(messages)), conversions=tuple(sorted(conversions))
    ), {(row.status, row.reason) for row in rows}


def in_order(runs: Iterable[Run]) -> tuple[Run, ...]:
    # Two orders of one second start two runs that differ in their end alone, which may be missing.
    return tuple(
        sorted(runs, key=lambda run: (run.contact, run.journey, run.per, run.entered_at, str(run.ended_at)))
    )


def assert_no_difference(database: Database, counted: Counted) -> None:
    happened, _ = what_happened(database)
    for what, found, expected in (
        ("runs", happened.runs, in_order(counted.runs)),
        ("messages", happened.messages, counted.messages),
        ("conversions", happened.conversions, counted.conversions),
    ):
        too_many = sorted(map(str, set(found) - set(expected)))[:5]
        missing = sorted(map(str, set(expected) - set(found)))[:5]
        assert found == expected, f"{what} differ; not counted: {too_many}; not happened: {missing}"


def test_the_extract_is_lived_through_as_counted(database: Database, shipped: Project) -> None:
    replay(database, shipped, recordings(EXTRACT), grants=TO_EVERYBODY)
    assert_no_difference(database, count(EXTRACT))


@pytest.mark.skipif("JOURNEYS_FULL_YEAR" not in os.environ, reason="needs the recording of all households")
def test_the_full_year_is_lived_through_as_counted(database: Database, shipped: Project) -> None:
    folder = Path(os.environ["JOURNEYS_FULL_YEAR"])
    replay(database, shipped, recordings(folder), grants=TO_EVERYBODY)
    assert_no_difference(database, count(folder))


def part_of_the_extract(folder: Path, *, every: int, identified: bool = True) -> Path:
    """A recording of every so many households of the extract."""
    folder.mkdir()
    for name in ("identify.ndjson.gz", "track.ndjson.gz"):
        lines = gzip.decompress((EXTRACT / name).read_bytes()).decode().splitlines(True)
        kept = [line for line in lines if int(json.loads(line)["userId"].removeprefix("hh-")) % every == 0]
        if identified or name.startswith("track"):
            (folder / name).write_bytes(gzip.compress("".join(kept).encode()))
    return folder


def test_without_consent_the_same_messages_are_blocked(
    database: Database, shipped: Project, tmp_path: Path
) -> None:
    folder = part_of_the_extract(tmp_path / "part", every=7)
    replay(database, shipped, recordings(folder))
    assert_no_difference(database, count(folder, everybody_may_be_written_to=False))
    assert what_happened(database)[1] == {("blocked", "no_consent")}


def test_without_an_address_the_same_messages_are_blocked(
    database: Database, shipped: Project, tmp_path: Path
) -> None:
    folder = part_of_the_extract(tmp_path / "part", every=7, identified=False)
    replay(database, shipped, recordings(folder), grants=TO_EVERYBODY)
    assert_no_difference(database, count(folder, everybody_may_be_written_to=False))
    assert what_happened(database)[1] == {("blocked", "no_address")}


@pytest.mark.parametrize("batch", [1, 13, 1_000, 1_000_000])
def test_the_size_of_batches_changes_nothing(
    database: Database, shipped: Project, tmp_path: Path, batch: int
) -> None:
    folder = part_of_the_extract(tmp_path / "part", every=29)
    replay(database, shipped, recordings(folder), grants=TO_EVERYBODY, batch=batch)
    assert_no_difference(database, count(folder))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_command_says_the_same_twice(
    kind: str, postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = EXTRACT if kind == "sqlite" else part_of_the_extract(tmp_path / "part", every=5)
    said: list[tuple[str, bytes]] = []
    for attempt in ("once", "twice"):
        file = tmp_path / f"{attempt}.ndjson"
        arguments = [
            "backtest",
            str(folder),
            "--grant",
            "offers",
            "--format",
            "json",
            "--messages",
            str(file),
        ]
        arguments += ["--project", str(EXTRACT)]
        arguments += ["--database", postgres_url] if kind == "postgresql" else []
        assert journeys(arguments) == 0
        said.append((capsys.readouterr().out, file.read_bytes()))
    assert said[0] == said[1]

    lines = [json.loads(line) for line in said[0][1].splitlines()]
    messages = sorted(
        Message(
            contact=line["contact"],
            journey=line["journey"],
            at=datetime.fromisoformat(line["at"]),
            step=line["step"],
        )
        for line in lines
    )
    assert tuple(messages) == count(folder).messages
    assert {(line["channel"], line["reason"]) for line in lines} == {("email", None)}


# The count itself, against what a person worked out with a calendar -----------------------------------------------


def recorded(folder: Path, *events: tuple[str, str, dict[str, object]]) -> Path:
    folder.mkdir()
    lines = [
        json.dumps({"type": "track", "userId": "hh-1", "event": name, "timestamp": at, "properties": said})
        for at, name, said in events
    ]
    (folder / "track.ndjson.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return folder


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_by_hand_across_the_change_of_the_clocks(tmp_path: Path) -> None:
    # Ordered on Monday, 20 February at 14:00 in New York (UTC-5). Two weeks on it is 6 March, 14:00; the nudge goes on
    # 7 March at 10:00 (15:00 UTC). Four weeks on it is 20 March, 14:00; the offer goes on 21 March at 10:00, which is
    # 14:00 UTC now, for the clocks went forward on 12 March. Two weeks later, 4 April at 10:00, comes the last call.
    folder = recorded(
        tmp_path / "one",
        ("2017-02-20T19:00:00Z", "Order Completed", {"revenue": 999.99}),
        ("2017-04-10T12:00:00Z", "Order Completed", {"revenue": 0.01}),
    )
    assert [(message.step, message.at) for message in sorted(count(folder).messages, key=lambda m: m.at)] == [
        ("welcome", utc("2017-02-20T19:00:00")),
        # SHA-256 of "first-order/wording/hh-1" begins with b3c011c00989b2c0: 8656 modulo 10,000, the second half.
        ("nudge-recipe", utc("2017-03-07T15:00:00")),
        ("offer", utc("2017-03-21T14:00:00")),
        ("last-call", utc("2017-04-04T14:00:00")),
    ]
    # The second order came 6 days after the last call, more than two weeks after the nudge.
    assert [(conversion.journey, conversion.value) for conversion in count(folder).conversions] == [
        ("win-back", Decimal("0.01"))
    ]


def test_by_hand_a_redemption_ends_its_own_campaign(tmp_path: Path) -> None:
    # Both mailings come at once; the coupon of 8 is used. Campaign 7 ends on 15 March: five days before is 10 March,
    # 10:00 in New York, two days before the clocks go forward, so 15:00 UTC. Redeemed three days later, it counts.
    folder = recorded(
        tmp_path / "two",
        ("2017-02-01T00:00:00Z", "Campaign Received", {"campaign_id": 7, "ends": "2017-03-15"}),
        ("2017-02-01T00:00:00Z", "Campaign Received", {"campaign_id": 8, "ends": "2017-03-20"}),
        ("2017-02-01T00:00:00Z", "Coupon Redeemed", {"campaign_id": 8}),
        ("2017-03-13T00:00:00Z", "Coupon Redeemed", {"campaign_id": 7}),
        ("2017-05-01T00:00:00Z", "Order Completed", {"revenue": 5}),
    )
    counted = count(folder)
    reminders = [run for run in counted.runs if run.journey == "coupon-reminder"]
    assert [(run.per, run.status, run.reason, run.ended_at) for run in reminders] == [
        ("7", "completed", "", utc("2017-03-10T15:00:00")),
        ("8", "exited", "redeemed", utc("2017-02-01T00:00:00")),
    ]
    assert [(conversion.at, conversion.value) for conversion in counted.conversions] == [
        (utc("2017-03-13T00:00:00"), Decimal("2.50"))
    ]

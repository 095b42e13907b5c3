"""Applying stores what changed, in one transaction, and says what that was."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from runner.cli import run
from runner.engine.apply import Outcome, apply_project
from runner.journey.project import load_project
from runner.problem import ProblemsFound
from runner.store import tables
from runner.store.audit import records
from runner.store.database import Database
from runner.store.journeys.versions import StoredVersion, current_versions, versions_in_use
from runner.store.tables import JourneyState, RunStatus
from tests.written import write_files

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

CATALOG = """\
timezone: Asia/Tbilisi
attributes: {plan: {type: string}}
events: {Order Completed: {revenue: number}}
topics: {offers: {title: Offers, opt_in: explicit}}
channels: {email: {uses: file}}
"""


def journey(name: str, wait: str = "1d", trigger: str = "Order Completed") -> str:
    return (
        f"journey: {name}\nlanguage: 1\ntitle: A journey\ntrigger: {{event: {trigger}}}\n"
        f"steps:\n  - {{id: pause, wait: {wait}}}\n  - {{id: end, exit: done}}\n"
    )


def files(**journeys: str) -> Mapping[str, str]:
    return {"journeys/catalog.yaml": CATALOG} | {
        f"journeys/{name}/journey.yaml": text for name, text in journeys.items()
    }


def applied(database: Database, tree: Mapping[str, str], now: datetime = NOON) -> dict[str, Outcome]:
    result = apply_project(database, load_project(tree), now=now, author="Ana", git_commit="abc")
    return {one.journey: one.outcome for one in result}


def current(database: Database) -> dict[str, StoredVersion]:
    with database.read() as connection:
        return {version.journey: version for version in current_versions(connection)}


def test_what_is_new_changed_and_unchanged_is_told(database: Database) -> None:
    first = files(one=journey("one"), two=journey("two"))
    assert applied(database, first) == {"one": Outcome.NEW, "two": Outcome.NEW}
    before = current(database)
    second = files(one=journey("one", "2d"), two=journey("two"), three=journey("three"))
    assert applied(database, second, NOON + HOUR) == {
        "one": Outcome.CHANGED,
        "three": Outcome.NEW,
        "two": Outcome.UNCHANGED,
    }
    after = current(database)
    assert after["two"] == before["two"]
    assert (after["one"].since, after["three"].since) == (NOON, NOON + HOUR)
    assert after["one"].id != before["one"].id


def test_a_file_that_is_gone_changes_nothing_until_its_journey_was_retired(database: Database) -> None:
    applied(database, files(one=journey("one"), two=journey("two")))
    before = current(database)
    with pytest.raises(ProblemsFound) as raised:
        applied(database, files(one=journey("one", "2d")), NOON + HOUR)
    (problem,) = raised.value.problems
    assert (problem.code, problem.message) == (
        "journey/gone",
        "`two` is in force, and journeys/two/journey.yaml is gone.",
    )
    assert current(database) == before
    retired = journey("two").replace("steps:", "retired: finish\nsteps:")
    assert applied(database, files(one=journey("one"), two=retired))["two"] is Outcome.CHANGED
    assert applied(database, files(one=journey("one"))) == {"one": Outcome.UNCHANGED}


def test_the_same_again_changes_nothing(database: Database) -> None:
    tree = files(one=journey("one"))
    applied(database, tree)
    before = current(database)
    commented = files(one="# a remark\n" + journey("one"))
    assert applied(database, commented, NOON + HOUR) == {"one": Outcome.UNCHANGED}
    assert current(database) == before
    with database.read() as connection:
        [record] = records(connection)
    assert (record.at, record.who, record.what) == (NOON, "Ana", "apply one")
    assert record.detail is not None
    assert record.detail["git_commit"] == "abc"


def test_going_back_takes_the_old_version_up_again(database: Database) -> None:
    tree = files(one=journey("one"))
    applied(database, tree)
    first = current(database)["one"]
    applied(database, files(one=journey("one", "2d")), NOON + HOUR)
    applied(database, tree, NOON + 2 * HOUR)
    back = current(database)["one"]
    assert (back.id, back.since) == (first.id, NOON)


def test_a_version_is_compiled_from_what_is_stored(database: Database) -> None:
    applied(database, files(one=journey("one"), two=journey("two")))
    stored = current(database)["one"]
    assert set(stored.files) == {"journeys/catalog.yaml", "journeys/one/journey.yaml"}
    assert load_project(stored.files).journeys["one"].title == "A journey"


def test_versions_that_somebody_is_in_stay_in_use(database: Database) -> None:
    applied(database, files(one=journey("one")))
    old = current(database)["one"]
    applied(database, files(one=journey("one", "2d")), NOON + HOUR)
    with database.begin() as connection:
        assert [version.id for version in versions_in_use(connection)] != [old.id]
        connection.execute(
            insert(tables.run).values(
                partition=0,
                contact=1,
                id=1,
                journey="one",
                version=old.id,
                per="",
                entry_key="x",
                status=RunStatus.ACTIVE.value,
                step="pause",
                arrived_at=NOON,
                entered_at=NOON,
                trigger={},
                data={},
            )
        )
    with database.read() as connection:
        in_use = versions_in_use(connection)
    assert [(version.id, version.current) for version in in_use] == [
        (old.id, False),
        (current(database)["one"].id, True),
    ]


def test_a_paused_journey_stays_paused(database: Database) -> None:
    applied(database, files(one=journey("one")))
    with database.begin() as connection:
        connection.execute(update(tables.journey).values(state=JourneyState.PAUSED.value))
    applied(database, files(one=journey("one", "2d")), NOON + HOUR)
    assert current(database)["one"].state is JourneyState.PAUSED


def test_a_project_with_errors_changes_nothing(database: Database) -> None:
    with pytest.raises(ProblemsFound):
        applied(database, files(one=journey("one"), two=journey("two", trigger="Ordr Completed")))
    assert current(database) == {}


def test_the_zone_of_the_catalog_is_known_to_the_database(database: Database) -> None:
    applied(database, files(one=journey("one")))
    with database.read() as connection:
        zones = connection.execute(select(tables.zone_local.c.zone).distinct()).scalars().all()
    assert zones == ["Asia/Tbilisi"]


# By command ---------------------------------------------------------------------------------------


def test_apply_tells_and_records_who_and_which_commit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_files(tmp_path, files(one=journey("one")))
    for arguments in (
        ["init", "-q"],
        ["config", "user.name", "Ana"],
        ["config", "user.email", "ana@shop.example"],
        ["add", "."],
        ["commit", "-qm", "First"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
    head = subprocess.run(
        ["git", "-C", str(tmp_path), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert run(["apply", "--project", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split()[:2] == ["one", "new"]
    write_files(tmp_path, files(one=journey("one", "3d")))
    assert run(["apply", "--project", str(tmp_path), "--format", "json"]) == 0
    [told] = json.loads(capsys.readouterr().out)["journeys"]
    assert told["outcome"] == "changed"
    database = Database.open(f"sqlite:///{tmp_path}/.journeys/journeys.db")
    with database.read() as connection:
        written = connection.execute(
            select(tables.journey_version.c.author, tables.journey_version.c.git_commit).order_by(
                tables.journey_version.c.id
            )
        ).all()
    database.close()
    assert [tuple(row) for row in written] == [
        ("Ana <ana@shop.example>", head),
        ("Ana <ana@shop.example>", f"{head}+changes"),
    ]


def test_apply_refuses_what_check_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path, files(one=journey("one", trigger="Ordr Completed")))
    assert run(["apply", "--project", str(tmp_path)]) == 1
    assert "journeys/one/journey.yaml:" in capsys.readouterr().err
    assert not (tmp_path / ".journeys").exists()


def test_programs_are_told_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By ``check``, and by what is in force: the file of a journey is gone."""
    in_project = ["--project", str(tmp_path), "--format", "json"]

    def told(command: str, code: int) -> dict[str, Any]:
        assert run([command, *in_project]) == code
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    for command in ("apply", "plan", "check"):
        assert (told(command, 4)["journeys"] or [], told(command, 4)["problems"]) == ([], [])
    write_files(tmp_path, files(one=journey("one", trigger="Ordr Completed")))
    assert told("apply", 1)["problems"] == told("check", 1)["problems"] != []
    write_files(tmp_path, files(one=journey("one"), two=journey("two")))
    assert told("apply", 0)["problems"] == []
    (tmp_path / "journeys/two/journey.yaml").unlink()
    (tmp_path / "journeys/two").rmdir()
    refused = told("apply", 1)
    assert ([one["code"] for one in refused["problems"]], refused["journeys"]) == (["journey/gone"], [])


def test_apply_says_that_there_is_nothing_to_apply(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("apply", "plan", "check"):
        assert run([command, "--project", str(tmp_path)]) == 4
        assert "`journeys init` makes a project" in capsys.readouterr().err
    write_files(tmp_path, files())
    assert run(["apply", "--project", str(tmp_path)]) == 4
    assert "holds no journey" in capsys.readouterr().err

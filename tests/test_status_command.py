"""``journeys status`` over the database of a project."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from golden import CASES

from runner.cli import run
from runner.engine.apply import apply_project
from runner.engine.pausing import pause_journey, resume_journey, stop_journey
from runner.journey.project import load_project, read_files
from runner.settings import default_database
from runner.store.database import Database

SHOP = CASES / "scenario" / "shop"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the shop, applied to its own database."""
    folder = Path(shutil.copytree(SHOP, tmp_path / "shop"))
    database = Database.open(default_database(folder))
    apply_project(database, load_project(read_files(folder)), now=NOON, author="ana", git_commit=None)
    database.close()
    return folder


def test_status_names_the_journeys_in_force(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--project", str(project)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("0 contacts, 0 events\n\ncart · Win back abandoned carts\n  version")
    assert "live since 2026-03-01 12:00 UTC" in printed


def test_status_as_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--project", str(project), "--format", "json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert [(one["journey"], one["state"], one["entered"]) for one in status["journeys"]] == [
        ("cart", "live", 0),
        ("welcome", "live", 0),
    ]


def test_status_of_another_database(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/other.db"
    assert run(["status", "--project", str(project), "--database", url]) == 0
    told = capsys.readouterr()
    assert "No journey has been applied" in told.out
    assert f"There is no database at {url}" in told.err
    assert run(["status", "--project", str(project), "--database", "nonsense"]) == 1
    assert "not a database URL" in capsys.readouterr().err


def test_a_version_that_came_after_leaves_runs_behind(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is live is the version that was applied last, and since then."""
    database = Database.open(default_database(project))
    files = dict(read_files(project))
    path = "journeys/cart/journey.yaml"
    files[path] = files[path].replace("wait: 1h", "wait: 2h")
    apply_project(database, load_project(files), now=NOON.replace(hour=13), author="ana", git_commit=None)
    database.close()
    assert run(["status", "--project", str(project), "--format", "json"]) == 0
    cart, _ = json.loads(capsys.readouterr().out)["journeys"]
    assert (cart["since"], cart["on_older_versions"]) == ("2026-03-01T13:00:00Z", 0)


def test_since_is_when_the_state_began(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pause that is said twice began once; a new version of a paused journey leaves it paused; a journey that goes on
    is live since then, in whatever version."""
    database = Database.open(default_database(project))
    original = dict(read_files(project))
    path = "journeys/cart/journey.yaml"
    changed = original | {path: original[path].replace("wait: 1h", "wait: 2h")}

    def apply(files: Mapping[str, str], hour: int) -> None:
        now = NOON.replace(hour=hour)
        apply_project(database, load_project(files), now=now, author="ana", git_commit=None)

    def cart() -> str:
        assert run(["status", "--project", str(project)]) == 0
        shown = capsys.readouterr().out
        return shown.split("version", 1)[1].splitlines()[0].split(", ", 1)[1]

    for hour in (13, 14):
        pause_journey(database, "cart", now=NOON.replace(hour=hour), who="ana")
    apply(changed, 15)
    assert cart() == "paused since 2026-03-01 13:00 UTC"
    resume_journey(database, "cart", now=NOON.replace(hour=16), who="ana")
    assert cart() == "live since 2026-03-01 16:00 UTC"
    apply(original, 17)
    assert cart() == "live since 2026-03-01 17:00 UTC"
    for hour in (18, 19):
        stop_journey(database, "cart", now=NOON.replace(hour=hour), who="ana")
    assert cart() == "stopped since 2026-03-01 18:00 UTC"
    database.close()
    assert run(["status", "--project", str(project), "--format", "json"]) == 0
    states = [(one["state"], one["since"]) for one in json.loads(capsys.readouterr().out)["journeys"]]
    assert states == [("stopped", "2026-03-01T18:00:00Z"), ("live", "2026-03-01T12:00:00Z")]


def test_a_story_tells_runs_of_a_journey_apart(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # `journeys run` logs to the standard error of its process, which here is that of this test alone.
    monkeypatch.setattr(logging.root, "handlers", [])
    carts = [
        {
            "type": "track",
            "userId": "ana",
            "event": "Cart Updated",
            "properties": {"cart_id": cart, "total": 80},
        }
        for cart in ("c1", "c2")
    ]
    lines = tmp_path / "carts.ndjson"
    lines.write_text("".join(f"{json.dumps(cart)}\n" for cart in carts))
    assert run(["events", "import", "--live", str(lines), "--project", str(project)]) == 0
    assert run(["run", "--once", "--project", str(project)]) == 0
    capsys.readouterr()
    assert run(["contacts", "show", "ana", "--project", str(project), "--format", "json"]) == 0
    story = json.loads(capsys.readouterr().out)["story"]
    standing = [entry for entry in story if entry["what"] == "stands"]
    assert [(one["name"], one["per"], one["step"]) for one in standing] == [
        ("cart", "c1", "settle"),
        ("cart", "c2", "settle"),
    ]
    for wrong, right in ((["contacts", "show", "anna"], "ana"), (["report", "--journey", "cartt"], "cart")):
        assert run([*wrong, "--project", str(project)]) == 1
        assert f"Did you mean `{right}`?" in capsys.readouterr().err
    assert run(["contacts", "show", "ana", "--project", str(project)]) == 0
    printed = capsys.readouterr().out
    for one in standing:
        due = datetime.fromisoformat(one["due_at"])
        assert due == datetime.fromisoformat(one["at"]) + timedelta(hours=1)
        assert f"cart ({one['per']}): stands on settle until {due:%Y-%m-%d %H:%M:%S}" in printed
    assert "cart (c1): entered" in printed
    assert "paused" not in printed
    assert run(["pause", "cart", "--project", str(project)]) == 0
    capsys.readouterr()
    assert run(["contacts", "show", "ana", "--project", str(project)]) == 0
    assert capsys.readouterr().out.count("; the journey is paused\n") == 2
    assert run(["contacts", "show", "ana", "--project", str(project), "--format", "json"]) == 0
    story = json.loads(capsys.readouterr().out)["story"]
    assert [entry["what"] for entry in story if entry.get("paused")] == ["stands", "stands"]


def test_a_folder_without_a_project_stays_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, lines = tmp_path / "empty", tmp_path / "recorded" / "lines.ndjson"
    folder.mkdir()
    lines.parent.mkdir()
    lines.write_text("")
    for command in (
        ["status"],
        ["run", "--once"],
        ["check"],
        ["apply"],
        ["test"],
        ["backtest", str(lines.parent)],
        ["contacts", "show", "ana"],
        ["contacts", "import", str(lines)],
        ["events", "import", str(lines)],
    ):
        assert run([*command, "--project", str(folder)]) == 4, command
        assert "here is no folder journeys/ in" in capsys.readouterr().err, command
    assert list(folder.iterdir()) == []


def test_whoever_looks_makes_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(shutil.copytree(SHOP, tmp_path / "shop"))
    assert run(["status", "--project", str(folder)]) == 0
    assert "No journey has been applied" in capsys.readouterr().out
    assert run(["contacts", "show", "ana", "--project", str(folder)]) == 1
    assert "nothing was imported yet" in capsys.readouterr().err
    assert not (folder / ".journeys").exists()


def test_an_empty_postgresql_database_stays_empty(
    postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server's own database, which no test writes to."""
    assert Database.find(postgres_url) is None
    assert run(["status", "--database", postgres_url]) == 0
    assert "No journey has been applied" in capsys.readouterr().out
    assert Database.find(postgres_url) is None


@pytest.mark.parametrize(
    "looking", [["status"], ["messages", "list"], ["runs", "list"], ["contacts", "show", "ana"], ["report"]]
)
def test_whoever_looks_migrates_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], looking: list[str]
) -> None:
    folder = Path(shutil.copytree(SHOP, tmp_path / "shop"))
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")
    connection.close()
    (folder / "journeys.yaml").write_text(f"database: sqlite:///{path}\n", encoding="utf-8")
    assert run([*looking, "--project", str(folder)]) == 1
    said = capsys.readouterr().err
    assert "misses migrations" in said
    assert "`journeys apply` or `journeys run`" in said
    with sqlite3.connect(path) as connection:
        assert [row[0] for row in connection.execute("SELECT name FROM sqlite_master")] == ["alembic_version"]
    connection.close()

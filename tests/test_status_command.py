"""``journeys status`` over the database of a project."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from golden import CASES

from runner.cli import run
from runner.engine.apply import apply_project
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
    assert "No journey has been applied" in capsys.readouterr().out
    assert run(["status", "--project", str(project), "--database", "nonsense"]) == 1
    assert "not a database URL" in capsys.readouterr().err


def test_a_version_that_came_after_leaves_runs_behind(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Applying other journeys shows the new version; nobody is on an older one."""
    database = Database.open(default_database(project))
    files = dict(read_files(project))
    path = "journeys/cart/journey.yaml"
    files[path] = files[path].replace("wait: 1h", "wait: 2h")
    apply_project(database, load_project(files), now=NOON.replace(hour=13), author="ana", git_commit=None)
    database.close()
    assert run(["status", "--project", str(project), "--format", "json"]) == 0
    cart, _ = json.loads(capsys.readouterr().out)["journeys"]
    assert (cart["since"], cart["on_older_versions"]) == ("2026-03-01T13:00:00Z", 0)

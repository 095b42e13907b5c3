"""``journeys pause``, ``resume`` and ``stop`` say what they did, and ask before what cannot be undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.cli import run as command
from runner.settings import default_database
from runner.store.audit import records
from runner.store.database import Database
from tests.paused import COURT, Paused, files
from tests.written import write_files


def project_with_two(folder: Path) -> Paused:
    """A project in ``folder`` with people who signed up an hour ago, whose greetings are ready."""
    write_files(folder, files(court=COURT))
    paused = Paused(Database.open(default_database(folder)), court=COURT)
    paused.shop.sign_up("ana", "bea")
    return paused


def test_the_commands_say_what_they_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paused = project_with_two(tmp_path)

    def journeys(*words: str) -> str:
        assert command([*words, "--project", str(tmp_path)]) == 0
        return capsys.readouterr().out

    assert journeys("resume", "court") == "court is not paused: nothing was changed.\n"
    assert (
        journeys("pause", "court") == "court is paused: 2 runs stay where they stand, 2 messages kept back.\n"
    )
    assert journeys("pause", "court").startswith("court is paused already: 2 runs stay")
    resumed = journeys("resume", "court")
    assert resumed.startswith("court goes on. 2 runs and 2 messages were overdue: released until ")
    assert resumed.endswith(" UTC, 600 a minute.\n")
    assert (
        journeys("stop", "court", "--send-nothing", "--yes")
        == "court is stopped: 2 runs ended, 2 messages cancelled.\n"
    )
    assert journeys("stop", "court") == "court is stopped already: nothing was changed.\n"
    assert journeys("resume", "court") == "court goes on.\n"
    with paused.database.read() as connection:
        verbs = [one.what for one in records(connection)][1:]
    assert verbs == ["pause court", "resume court", "stop court", "resume court"]
    paused.database.close()


def test_a_stop_is_asked_about_and_a_slip_of_the_pen_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paused = project_with_two(tmp_path)
    assert command(["stop", "court", "--project", str(tmp_path)]) == 2
    assert "say --yes" in capsys.readouterr().err
    assert command(["pause", "cort", "--project", str(tmp_path)]) == 1
    assert "Did you mean" in capsys.readouterr().err
    assert paused.runs() == {"ana": ("bought", None), "bea": ("bought", None)}
    paused.database.close()

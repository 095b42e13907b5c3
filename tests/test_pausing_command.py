"""``journeys pause``, ``resume`` and ``stop`` say what they did, and ask before what cannot be undone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import update

from runner.cli import run as command
from runner.settings import default_database
from runner.store.audit import records
from runner.store.database import Database
from runner.store.tables import message
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
    lost = "Who would enter it meanwhile does not, not even afterwards.\n"
    kept = "court is paused: 2 runs stay where they stand, 2 messages kept back.\n"
    assert journeys("pause", "court") == kept + lost
    assert "paused since" in journeys("status")
    assert "nobody enters, and who would have does not enter afterwards" in journeys("status")
    assert journeys("pause", "court").startswith("court is paused already: 2 runs stay")
    resumed = journeys("resume", "court")
    assert resumed.startswith("court goes on. 2 runs and 2 messages were overdue: released until ")
    passed_by = "Who would have entered it meanwhile did not, and does not now.\n"
    assert resumed.endswith(f" UTC, 600 a minute.\n{passed_by}")
    assert (
        journeys("stop", "court", "--send-nothing", "--yes")
        == "court is stopped: 2 runs ended, 2 messages cancelled.\n"
    )
    assert journeys("stop", "court") == "court is stopped already: nothing was changed.\n"
    assert journeys("resume", "court") == f"court goes on.\n{passed_by}"
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


def test_what_a_pause_keeps_back_is_named_with_its_journey_and_no_instant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paused = project_with_two(tmp_path)
    in_project = ["--project", str(tmp_path)]
    with paused.database.begin() as connection:
        # They were tried before, in vain.
        connection.execute(update(message).values(attempts=1))
    paused.database.close()
    assert command(["pause", "court", *in_project]) == 0
    capsys.readouterr()
    assert command(["run", "--once", *in_project]) == 0
    said = capsys.readouterr().out
    assert "2 messages of court kept back: it is paused." in said
    assert "next attempt" not in said
    for words in (["list"], ["list", "--format", "json"]):
        assert command(["messages", *words, *in_project]) == 0
        assert "9999" not in (listed := capsys.readouterr().out)
        assert ("kept back: the journey is paused" in listed) == (words == ["list"])


def test_applying_says_what_stays_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project_with_two(tmp_path).database.close()
    in_project = ["--project", str(tmp_path)]
    assert command(["stop", "court", "--yes", *in_project]) == 0
    capsys.readouterr()
    assert command(["apply", *in_project]) == 0
    assert "it is stopped, and stays so: `journeys resume court`" in capsys.readouterr().out
    assert command(["apply", "--format", "json", *in_project]) == 0
    assert [one["state"] for one in json.loads(capsys.readouterr().out)["journeys"]] == ["stopped"]

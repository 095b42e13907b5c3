"""The command line of check and init, and the error boundary around every command."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import click
import pytest
from standard_project import standard_files

from runner import cli
from runner.cli import COMMANDS, journeys, run
from runner.cli.examples import EXAMPLES
from runner.cli.init import project_files
from runner.journey.catalog import CONTACT_FIELDS
from runner.journey.project import load_project, read_files
from runner.problem import JourneysError, Problem, ProblemsFound, Span
from runner.review.check import check_folder
from tests.written import write_files


def test_check_of_a_clean_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path, standard_files({}))
    assert run(["check", "--project", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "No problems in 1 journey.\n"


def test_no_command_takes_the_place_of_what_calls_commands() -> None:
    for module, _ in COMMANDS.values():
        import_module(module)
    assert (cli.run, cli.main.__module__) == (run, "runner.cli")


def test_warnings_alone_are_no_finding_unless_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_files(tmp_path, standard_files({"journeys/demo/other.txt": "Hello"}))
    assert run(["check", "--project", str(tmp_path)]) == 0
    assert "1 warning in 1 file." in capsys.readouterr().out
    assert run(["check", "--project", str(tmp_path), "--strict"]) == 1


def test_check_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(
        tmp_path, standard_files({"journeys/demo/journey.yaml": "steps:\n  - {id: hello, sned: email}\n"})
    )
    assert run(["check", "--project", str(tmp_path), "--format", "json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed == {
        "journeys": 1,
        "problems": [
            {
                "file": "journeys/demo/journey.yaml",
                "line": 7,
                "column": 17,
                "length": 4,
                "code": "schema/unknown-key",
                "severity": "error",
                "message": "Unknown key `sned` in a step.",
                "hint": "Did you mean `send`?",
            }
        ],
    }


def test_the_name_of_a_file_steers_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path, {**standard_files({}), "journeys/hello/h\x1b[31m\u202e.txt": "Hello\n"})
    run(["check", "--project", str(tmp_path)])
    printed = capsys.readouterr()
    assert "\ufffd[31m\ufffd.txt" in printed.out + printed.err
    assert not {"\x1b", "\u202e"} & set(printed.out + printed.err)


def test_nothing_to_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--project", str(tmp_path)]) == 4
    write_files(tmp_path, {"journeys/catalog.yaml": "events: {}\n"})
    assert run(["check", "--project", str(tmp_path)]) == 4
    assert "Nothing to check" in capsys.readouterr().err


def test_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--project", str(tmp_path / "missing")]) == 2
    assert run(["check", "--no-such-option"]) == 2
    assert run(["chekc"]) == 2
    assert run(["run", "--listen", "foo", "--project", str(tmp_path)]) == 2
    assert "Did you mean 'check'?" in capsys.readouterr().err


def test_examples_of_the_help_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their options are options, and each is of the command that shows it."""
    monkeypatch.chdir(tmp_path)
    for name in ("people.ndjson", "list.csv", "before.ndjson.gz", "today.ndjson", "people.csv"):
        (tmp_path / name).touch()
    for name in ("recorded", "shop"):
        (tmp_path / name).mkdir()
    for of, shown in EXAMPLES.items():
        for typed, _ in shown:
            assert typed.startswith(of)
            command: click.Command = journeys
            words = shlex.split(typed)
            while isinstance(command, click.Group):
                name = words.pop(0)
                found = command.get_command(click.Context(command), name)
                assert found is not None, typed
                command = found
            command.make_context(typed, words)
            if of:
                assert f"journeys {typed}" in str(command.epilog)


def test_help_names_every_command_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in COMMANDS)
    script = (
        "import sys\nfrom runner.cli import run\nrun(['--help'])\n"
        "heavy = {'sqlalchemy', 'yaml', 'jinja2', 'jsonschema', 'apscheduler', 'rich', 'alembic'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def failing(error: BaseException) -> click.Command:
    @click.command("check")
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (JourneysError("The database is locked."), 1, "Error: The database is locked."),
        (
            ProblemsFound(
                [Problem(code="a/b", message="Wrong.", span=Span("f.yaml", 1, 1))], {"f.yaml": "abc"}
            ),
            1,
            "f.yaml:1:1: Wrong. [a/b]\n    1 | abc",
        ),
        (KeyboardInterrupt(), 130, "Interrupted."),
        (
            ZeroDivisionError("division"),
            3,
            "This is a bug in journeys, not in your files: ZeroDivisionError.",
        ),
    ],
)
def test_the_error_boundary(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: failing(error))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert run(["check"]) == code
    printed = capsys.readouterr().err
    assert said in printed
    assert "Traceback" not in printed
    if code == 3:
        (report,) = tmp_path.iterdir()
        assert "ZeroDivisionError: division" in report.read_text(encoding="utf-8")
        assert run(["--debug", "check"]) == 3
        assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_error() -> None:
    script = f"{sys.executable} -c 'from runner.cli import main; main()' --help | true"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {script}"], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_init_writes_a_project_without_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "shop"
    assert run(["init", str(folder)]) == 0
    assert "journeys events import --live people.ndjson" in capsys.readouterr().out
    checked = check_folder(folder)
    assert checked.problems == ()
    assert checked.journeys == 1
    assert list(load_project(read_files(folder)).journeys) == ["welcome"]
    assert (folder / ".gitignore").exists()
    assert {path.name for path in (folder / "schema").iterdir()} == {
        path.name for path in files("schema").iterdir() if path.name.endswith(".json")
    }
    for path in folder.rglob("*.yaml"):
        modeline = path.read_text(encoding="utf-8").splitlines()[0]
        assert (path.parent / modeline.partition("$schema=")[2]).resolve().is_file(), path


def test_init_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path, {"journeys/catalog.yaml": "events: {}\n", ".gitignore": "mine\n"})
    assert run(["init", str(tmp_path)]) == 1
    assert "exists already; nothing was written" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"journeys", ".gitignore"}
    (tmp_path / "journeys/catalog.yaml").unlink()
    assert run(["init", str(tmp_path)]) == 0
    assert (tmp_path / ".gitignore").read_text(encoding="utf-8") == "mine\n"


def test_settings_of_a_channel_that_the_catalog_does_not_have(tmp_path: Path) -> None:
    write_files(
        tmp_path, {**standard_files({}), "journeys.yaml": "channels: {e-mail: {file: {folder: sent}}}\n"}
    )
    (problem,) = check_folder(tmp_path).problems
    assert (problem.code, problem.span.column) == ("settings/channel", 12)
    assert problem.hint == "Did you mean `email`?"


def test_a_template_with_a_control_character_or_too_many_terms(tmp_path: Path) -> None:
    write_files(tmp_path, standard_files({"journeys/demo/hello.txt": "---\nsubject: Hi\n---\nOne\nTwo \0\n"}))
    (problem,) = check_folder(tmp_path).problems
    assert (problem.code, problem.span.line, problem.span.column) == ("template/character", 5, 5)
    terms = "---\nsubject: Hi\n---\n{{ 1" + "+1" * 20_000 + " }}\n"
    write_files(tmp_path, standard_files({"journeys/demo/hello.txt": terms}))
    (problem,) = check_folder(tmp_path).problems
    assert problem.message == "This template is nested too deeply."


def test_a_key_that_is_no_text_and_a_stretch_beyond_all_calendars(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_files(tmp_path, standard_files({}))
    assert run(["contacts", "show", "\udcff", "--project", str(tmp_path)]) == 1
    assert "there is no contact" in capsys.readouterr().err
    late = "9999-12-31T23:59:59..9999-12-31T23:59:59.999999"
    assert run(["run", "--virtual", late, "--project", str(tmp_path)]) == 2


def test_the_catalog_that_init_writes_names_what_every_contact_has() -> None:
    text = project_files()["journeys/catalog.yaml"].decode()
    (line,) = (line for line in text.splitlines() if line.startswith("# What is known of a contact"))
    assert set(re.findall(r"\w+", line.partition("beside ")[2])) - {"and"} == set(CONTACT_FIELDS)

"""Runs that were set aside are listed, and go on where they stood when an operator says so."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from runner.cli import run as journeys
from runner.engine.apply import apply_project
from runner.engine.aside import resume_runs
from runner.engine.pausing import stop_journey
from runner.engine.versions import load_versions
from runner.journey.project import load_project
from runner.settings import default_database
from runner.store.audit import records
from runner.store.database import Database
from runner.store.tables import contact, run
from runner.store.work.aside import Aside, runs_set_aside
from tests.failing_runs import failing_runs, tick_all
from tests.shop import FILES, GREET, START, Shop
from tests.written import write_files

DAY = START + timedelta(days=1)
LATER = DAY + timedelta(days=3)


def shop_with_one_set_aside(database: Database, files: dict[str, str] = FILES) -> Shop:
    """Everybody waits for a day; then ana goes on, and bob is set aside."""
    shop = Shop(database, files)
    shop.sign_up("ana", "bob")
    with failing_runs(shop, "bob"):
        tick_all(shop, DAY)
    return shop


def aside(shop: Shop) -> tuple[Aside, ...]:
    with shop.database.read() as connection:
        return runs_set_aside(connection, limit=9)


def standing(shop: Shop, key: str) -> list[tuple[Any, ...]]:
    of_contact = (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact)
    with shop.database.read() as connection:
        found = (
            select(run.c.status, run.c.step, run.c.reason)
            .join(contact, of_contact)
            .where(contact.c.key == key)
        )
        return [tuple(row) for row in connection.execute(found.order_by(run.c.id))]


def test_a_resumed_run_goes_on_where_it_stood(database: Database) -> None:
    shop = shop_with_one_set_aside(database)
    (bob,) = aside(shop)
    assert (bob.contact_key, bob.journey, bob.due_at) == ("bob", "greet", DAY)
    assert resume_runs(database, [bob], now=LATER, who="tests").on == (bob,)
    assert standing(shop, "bob") == [("active", "day", None)]
    shop.tick(LATER)
    assert standing(shop, "bob") == [("completed", None, None)]
    assert shop.ledger()["bob/again"].let_go_at == LATER
    with database.read() as connection:
        told = records(connection)[-1]
    assert (told.at, told.who, told.what) == (LATER, "tests", "runs resume")
    assert told.detail == {"runs": [["bob", "greet", "day"]]}
    assert resume_runs(database, [bob], now=LATER, who="tests").not_now == (bob,)


def test_a_run_whose_contact_has_entered_again_is_not_resumed(database: Database) -> None:
    shop = shop_with_one_set_aside(database)
    shop.sign_up("bob", at=LATER)
    (bob,) = aside(shop)
    done = resume_runs(database, [bob], now=LATER, who="tests")
    assert (done.on, done.not_now) == ((), (bob,))
    assert [status for status, _, _ in standing(shop, "bob")] == ["set_aside", "active"]


def test_the_version_of_a_run_that_is_set_aside_stays_in_use(database: Database) -> None:
    shop = shop_with_one_set_aside(database)
    changed = load_project({**FILES, "journeys/greet/journey.yaml": GREET.replace("wait: 1d", "wait: 9d")})
    apply_project(database, changed, now=LATER, author="tests", git_commit=None)
    shop.versions = load_versions(database)
    assert len(list(shop.versions)) == 2
    assert resume_runs(database, aside(shop), now=LATER, who="tests").on
    shop.tick(LATER)
    assert standing(shop, "bob") == [("completed", None, None)]


@pytest.mark.parametrize("how", ["stop", "retired"])
def test_nobody_goes_on_in_a_journey_that_everybody_has_left(database: Database, how: str) -> None:
    shop = shop_with_one_set_aside(database)
    if how == "stop":
        stop_journey(database, "greet", now=LATER, who="tests", send_nothing=True)
    else:
        ended = {**FILES, "journeys/greet/journey.yaml": GREET.replace("steps:", "retired: exit\nsteps:")}
        apply_project(database, load_project(ended), now=LATER, author="tests", git_commit=None)
    (bob,) = aside(shop)
    done = resume_runs(database, [bob], now=LATER, who="tests")
    assert (done.on, done.placeless, done.not_now, done.over) == ((), (), (), (bob,))
    assert [status for status, _, _ in standing(shop, "bob")] == ["set_aside"]


def test_exit_conditions_are_read_again(database: Database) -> None:
    rich = GREET.replace("exit:\n", "exit:\n  - {when: contact.points > 100, reason: rich}\n")
    shop = shop_with_one_set_aside(database, {**FILES, "journeys/greet/journey.yaml": rich})
    shop.identify("bob", at=DAY, points=500)
    assert resume_runs(database, aside(shop), now=LATER, who="tests").on
    shop.tick(LATER)
    assert standing(shop, "bob") == [("exited", None, "rich")]


def test_where_a_run_stood_may_not_be_known(database: Database) -> None:
    shop = shop_with_one_set_aside(database)
    with database.begin() as connection:
        connection.execute(update(run).where(run.c.status == "set_aside").values(node=None))
    done = resume_runs(database, aside(shop), now=LATER, who="tests")
    assert (done.on, [one.contact_key for one in done.placeless]) == ((), ["bob"])


# The command --------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_files(tmp_path, FILES)
    database = Database.open(default_database(tmp_path))
    shop_with_one_set_aside(database)
    database.close()
    return tmp_path


def test_the_command_lists_who_stands_on_a_step(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = Database.open(default_database(project))
    shop = Shop(database)
    shop.sign_up("cid", at=LATER)
    shop.sign_up("dan", at=LATER - timedelta(minutes=1))
    renamed = GREET.replace("id: day", "id: pause").replace(
        "topic: offers", "topic: offers\nmoved: {day: pause}"
    )
    changed = load_project({**FILES, "journeys/greet/journey.yaml": renamed})
    apply_project(database, changed, now=LATER, author="tests", git_commit=None)
    shop.versions = load_versions(database)
    shop.sign_up("eve", at=LATER)
    database.close()
    command = ["runs", "list", "--project", str(project), "--journey", "greet", "--step"]
    for name in ("pause", "day"):
        assert journeys([*command, name, "--format", "json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert [(one["contact"], one["step"], one["step_now"]) for one in told["runs"]] == [
            ("dan", "day", "pause"),
            ("cid", "day", "pause"),
            ("eve", "pause", "pause"),
        ]
        assert told["more"] == 0
    assert journeys([*command, "pause", "--limit", "2"]) == 0
    heads, first, _, more = capsys.readouterr().out.splitlines()
    assert heads.split() == ["SINCE", "CONTACT", "JOURNEY/STEP", "UNTIL", "DEFERRED"]
    assert first.split() == [
        *("2026-03-05", "09:59:00", "dan", "greet/day", "(now", "pause)", "2026-03-06", "09:59:00"),
    ]
    assert more == "1 more: `--limit 3` shows all."
    assert journeys([*command, "hello"]) == 0
    assert capsys.readouterr().out == "Nobody stands on greet/hello.\n"
    assert journeys([*command, "paus"]) == 1
    assert "No step of greet is called 'paus'. Did you mean `pause`?" in capsys.readouterr().err
    assert journeys([*command[:4], "--step", "pause"]) == 2


def test_the_command_lists_and_resumes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--project", str(project)]
    assert journeys(["runs", "list", *where]) == 0
    assert capsys.readouterr().out.split() == [
        *("SET", "ASIDE", "CONTACT", "JOURNEY/STEP", "REASON", "2026-03-02", "10:00:00", "bob", "greet/day"),
        *("the", "engine", "failed", "on", "this", "contact:", "IntegrityError"),
    ]
    assert journeys(["runs", "list", *where, "--format", "json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["runs"]
    assert (told["contact"], told["step"], told["due_at"]) == ("bob", "day", "2026-03-02T10:00:00Z")
    renamed = GREET.replace("id: day", "id: pause").replace(
        "topic: offers", "topic: offers\nmoved: {day: pause}"
    )
    changed = load_project({**FILES, "journeys/greet/journey.yaml": renamed})
    database = Database.open(default_database(project))
    apply_project(database, changed, now=LATER, author="tests", git_commit=None)
    database.close()
    assert journeys(["runs", "list", *where]) == 0
    assert "greet/day (now pause)" in capsys.readouterr().out
    assert journeys(["runs", "resume", *where]) == 2
    assert journeys(["runs", "resume", "ana", *where]) == 1
    assert "no run of ana is set aside" in capsys.readouterr().err
    assert journeys(["runs", "resume", "--journey", "greed", *where]) == 1
    assert "Did you mean `greet`?" in capsys.readouterr().err
    assert journeys(["runs", "resume", "--journey", "greet", *where]) == 2  # nobody there to be asked
    assert journeys(["stop", "greet", "--yes", *where]) == 0
    assert journeys(["runs", "resume", "--journey", "greet", "--yes", *where]) == 1
    assert "bob in greet: the journey is stopped, or retired with `exit`" in capsys.readouterr().err
    assert journeys(["resume", "greet", *where]) == 0
    capsys.readouterr()
    assert journeys(["runs", "resume", "--journey", "greet", "--yes", *where]) == 0
    assert capsys.readouterr().out == "1 run resumed.\n"
    assert journeys(["runs", "resume", "--journey", "greet", "--yes", *where]) == 0
    assert journeys(["runs", "list", *where]) == 0
    assert [line.split(" `", 1) for line in capsys.readouterr().out.splitlines()] == [
        ["No run of greet is set aside."],
        ["No run is set aside.", "--journey NAME --step STEP` lists who stands on a step, `journeys status` says how"
         " many do."],
    ]  # fmt: skip

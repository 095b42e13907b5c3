"""Another process holds the SQLite file: daemon and importers wait, or say so and go on when it is free again."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from channels.file import FileChannel
from runner.cli import run as journeys
from runner.problem import JourneysError
from runner.settings import default_database
from runner.store import engines
from runner.store.database import Database
from tests.living import living
from tests.shop import FILES, Shop
from tests.waiting import until
from tests.written import write_files

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA busy_timeout = 20000")
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
connection.execute("COMMIT")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_files(tmp_path, FILES)
    return tmp_path


@pytest.fixture
def shop(project: Path) -> Iterator[Shop]:
    database = Database.open(default_database(project))
    yield Shop(database)
    database.close()


@contextmanager
def another_process_holds(shop: Shop) -> Iterator[Callable[[], None]]:
    """Until the block ends, or what it is given is called."""
    file = str(shop.database.engine.url.database)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"

    def let_go() -> None:
        holder.communicate(timeout=30)

    try:
        yield let_go
    finally:
        if holder.poll() is None:
            let_go()


def impatient(monkeypatch: pytest.MonkeyPatch, milliseconds: int = 100) -> None:
    """Have databases that are opened from now on wait only so long: the test need not take a minute."""
    monkeypatch.setattr(engines, "BUSY_MILLISECONDS", milliseconds)


def test_it_waits_longer_than_the_minute_that_somebody_may_take() -> None:
    assert engines.BUSY_MILLISECONDS > 60_000


@pytest.mark.parametrize("patience", [60_000, 100], ids=["waits", "retries"])
def test_the_daemon_goes_on_when_the_file_is_free_again(
    project: Path,
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    patience: int,
) -> None:
    people = [f"c{number}" for number in range(20)]
    for key in people:
        shop.identify(key)
    shop.arrive(shop.event(key, "Signed Up", plan="pro", seats=1) for key in people)
    impatient(monkeypatch, patience)
    database = Database.open(default_database(project))
    try:
        with (
            another_process_holds(shop) as let_go,
            living(database, FileChannel(project / "outbox", durable=False), workers=2),
        ):
            if patience < 1_000:
                until(lambda: any("locked" in getattr(record, "error", "") for record in caplog.records))
            let_go()
            until(
                lambda: (project / "outbox").exists() and len(list((project / "outbox").glob("*.eml"))) == 20
            )
            until(lambda: set(shop.statuses().values()) == {"sent"})
    finally:
        database.close()
    assert len(shop.statuses()) == 20
    if patience < 1_000:
        told = [record for record in caplog.records if record.levelname == "ERROR"]
        assert {record.name for record in told} == {"runner.daemon.stage"}


def test_an_import_waits_until_the_file_is_free(project: Path, shop: Shop) -> None:
    imported: list[int] = []
    with another_process_holds(shop) as let_go:
        path = events(project, 50)
        thread = threading.Thread(
            target=lambda: imported.append(
                journeys(["events", "import", str(path), "--project", str(project)])
            )
        )
        thread.start()
        let_go()
        thread.join(60)
    assert imported == [0]
    assert count(shop) == 50


def test_an_import_that_gives_up_says_so_and_can_be_repeated(
    project: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = events(project, 50)
    command = ["events", "import", str(path), "--project", str(project)]
    impatient(monkeypatch)
    with another_process_holds(shop):
        assert journeys(command) == 1
    told = capsys.readouterr().err
    assert "locked" in told
    assert "try again" in told
    assert journeys(command) == 0
    assert count(shop) == 50


def test_a_transaction_in_vain_is_an_error_that_tells_the_file(
    project: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    database = Database.open(default_database(project))
    try:
        with another_process_holds(shop), pytest.raises(JourneysError, match=r"journeys\.db .*locked"):  # noqa: SIM117
            with database.begin():
                pytest.fail("two writers at a time")
    finally:
        database.close()


def events(project: Path, number: int) -> Path:
    path = project / "events.ndjson"
    lines = (
        {
            "type": "track",
            "userId": f"u{each}",
            "event": "Signed Up",
            "messageId": f"m{each}",
            "timestamp": "2026-03-01T10:00:00Z",
            "properties": {"plan": "pro"},
        }
        for each in range(number)
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def count(shop: Shop) -> int:
    from runner.store.tables import event

    with shop.database.read() as connection:
        return len(connection.execute(event.select().where(event.c.name == "Signed Up")).all())

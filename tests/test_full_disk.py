"""A disk that is full, under the database and under the outbox: nothing that was acknowledged is lost, nothing half
written counts as sent, and work goes on when there is space again. The disk is a small tmpfs, which root may mount."""

from __future__ import annotations

import json
import logging
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from channels.base import Message, Result
from channels.file import FileChannel
from runner.cli import run as journeys
from runner.engine.deliver import deliver
from runner.settings import default_database
from runner.store.database import Database
from tests.living import living
from tests.shop import FILES, START, Shop
from tests.waiting import until
from tests.written import write_files

MEGABYTE = 1_048_576


class SmallDisk:
    """A folder with little space. ``fill`` takes all of it, ``free`` gives it back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        block = b"\0" * 4096
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while file.write(block) == len(block):
                    pass
            except OSError:
                return

    def free(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={8 * MEGABYTE}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: whatever a failed test has left open must not keep it.
        subprocess.run(["umount", "-l", str(folder)], check=True)


def wholes(folder: Path) -> list[Path]:
    """The mails in ``folder``, each of which is whole."""
    found = sorted(folder.glob("*.eml"))
    for path in found:
        assert path.read_bytes().rstrip().endswith(b"--=_alternative--"), f"{path.name} is not whole"
    return found


def without_space_to_spare(database: Database) -> None:
    """Have the write-ahead log begin anew at its next write: it needs space then."""
    with database.engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]


def test_the_daemon_outlives_a_full_disk_under_its_database(
    disk: SmallDisk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database.open(f"sqlite:///{disk.folder / 'journeys.db'}")
    shop = Shop(database)
    people = [f"c{number:02}" for number in range(50)]
    for key in people:
        shop.identify(key)
    shop.arrive(shop.event(key, "Signed Up", plan="pro", seats=1) for key in people)
    without_space_to_spare(database)
    disk.fill()
    outbox = tmp_path / "outbox"
    with living(database, FileChannel(outbox)) as daemon:
        until(lambda: any("full" in getattr(record, "error", "") for record in caplog.records))
        assert daemon.is_alive()
        assert not any(record.levelno >= logging.CRITICAL for record in caplog.records)
        disk.free()
        until(lambda: len(wholes(outbox)) == 50)
        until(lambda: set(shop.statuses().values()) == {"sent"})
    assert set(shop.statuses()) == {f"{key}/hello" for key in people}
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    database.close()


def test_results_that_find_the_disk_full_are_written_later(disk: SmallDisk, tmp_path: Path) -> None:
    """It fills while messages are being handed over: none is sent again for it."""
    database = Database.open(f"sqlite:///{disk.folder / 'journeys.db'}")
    shop = Shop(database)
    people = [f"c{number:02}" for number in range(50)]
    for key in people:
        shop.identify(key)
    shop.arrive(shop.event(key, "Signed Up", plan="pro", seats=1) for key in people)
    shop.tick(START)
    sent: list[str] = []

    class Filling(FileChannel):
        def send(self, message: Message) -> Result:
            sent.append(message.contact)
            if len(sent) == 10:
                without_space_to_spare(database)
                disk.fill()
            return super().send(message)

    with living(database, Filling(tmp_path / "outbox")):
        until(lambda: len(sent) >= 10)
        time_to_fail = time.monotonic() + 1
        until(lambda: time.monotonic() > time_to_fail or len(sent) >= 50)
        disk.free()
        until(lambda: set(shop.statuses().values()) == {"sent"})
    assert sorted(sent) == people
    assert len(wholes(tmp_path / "outbox")) == 50
    database.close()


def test_a_full_disk_under_the_outbox_makes_messages_wait(disk: SmallDisk, sqlite_database: Database) -> None:
    shop = Shop(sqlite_database, {**FILES, "journeys/greet/hello.txt": "A line of a long mail.\n" * 400})
    shop.sign_up(*(f"c{number}" for number in range(8)))
    channel = FileChannel(disk.folder / "outbox")
    disk.fill()
    assert deliver(sqlite_database, shop.versions, {"email": channel}, START).retried == 8
    assert list((disk.folder / "outbox").iterdir()) == []
    assert any("No space left" in (row.reason or "") for row in shop.ledger().values())
    # A little space: some fit, and what does not is not there at all.
    disk.free()
    disk.fill()
    with (disk.folder / "ballast").open("r+b") as ballast:
        ballast.truncate(ballast.seek(0, 2) - 40_000)
    for minutes in (5, 20, 50):
        deliver(sqlite_database, shop.versions, {"email": channel}, START + timedelta(minutes=minutes))
    statuses = list(shop.statuses().values())
    assert 0 < statuses.count("sent") < 8
    assert statuses.count("sent") + statuses.count("ready") == 8
    assert len(wholes(disk.folder / "outbox")) == statuses.count("sent")
    disk.free()
    deliver(sqlite_database, shop.versions, {"email": channel}, START + timedelta(hours=3))
    assert set(shop.statuses().values()) == {"sent"}
    assert len(wholes(disk.folder / "outbox")) == 8
    assert len(list((disk.folder / "outbox").iterdir())) == 8


def test_an_import_onto_a_full_disk_tells_how_far_it_came(
    disk: SmallDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_files(disk.folder, FILES)
    shop = Shop(Database.open(default_database(disk.folder)))
    path = tmp_path / "events.ndjson"
    path.write_text(
        "".join(
            json.dumps(
                {
                    "type": "track",
                    "userId": f"u{number}",
                    "event": "Signed Up",
                    "messageId": f"m{number}",
                    "timestamp": "2026-03-01T10:00:00Z",
                    "properties": {"plan": "x" * 1_000},
                }
            )
            + "\n"
            for number in range(8_000)
        )
    )
    command = ["events", "import", str(path), "--project", str(disk.folder), "--batch", "500"]
    assert journeys(command) == 1
    told = capsys.readouterr().err
    assert "full" in told
    stored = count(shop)
    assert 0 < stored < 8_000
    assert f"{stored:,} lines of events.ndjson are stored" in told
    # There is room again; the same file goes in as if nothing had been.
    shop.database.close()
    subprocess.run(["mount", "-o", f"remount,size={64 * MEGABYTE}", str(disk.folder)], check=True)
    shop = Shop(Database.open(default_database(disk.folder)))
    assert journeys(command) == 0
    assert f"{8_000 - stored:,} new, {stored:,} already there" in capsys.readouterr().out
    assert count(shop) == 8_000
    shop.database.close()


def count(shop: Shop) -> int:
    with shop.database.read() as connection:
        found: int = connection.exec_driver_sql(
            "SELECT count(*) FROM event WHERE name = 'Signed Up'"
        ).scalar_one()
    return found

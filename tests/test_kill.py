"""``kill -9`` of the daemon at random moments: every message once in the outbox, and once in the ledger."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.clock import utc_now
from runner.settings import default_database
from runner.store.database import Database
from tests.shop import FILES, Shop

KILLS = 20
PEOPLE = 8
"""Who sign up before each start of the daemon."""
LEASE = "2s"
JOURNEY = FILES["journeys/greet/journey.yaml"].replace("wait: 1d", "wait: 1s")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {**FILES, "journeys/greet/journey.yaml": JOURNEY}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def shop(project: Path) -> Iterator[Shop]:
    database = Database.open(default_database(project))
    yield Shop(database, {**FILES, "journeys/greet/journey.yaml": JOURNEY})
    database.close()


@contextmanager
def a_daemon(project: Path) -> Iterator[subprocess.Popen[str]]:
    """``journeys run``, killed at the end of the block if it still runs. A hang of the test ends it after a minute."""
    command = ["run", "--project", str(project), "--interval", "1s", "--lease", LEASE]
    daemon = subprocess.Popen(
        [sys.executable, "-c", "from runner.cli import main; main()", *command],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    alarm = threading.Timer(60, daemon.kill)
    alarm.start()
    try:
        yield daemon
    finally:
        alarm.cancel()
        daemon.kill()
        daemon.wait()
        assert daemon.stderr is not None
        daemon.stderr.close()


def lines_of(daemon: subprocess.Popen[str]) -> Iterator[str]:
    assert daemon.stderr is not None
    yield from daemon.stderr


def while_it_writes(project: Path, files: int) -> None:
    """Return as soon as that many files more are in the outbox, finished or not; after three seconds anyway."""
    folder = project / "outbox"
    folder.mkdir(exist_ok=True)
    enough = len(os.listdir(folder)) + files
    last = time.monotonic() + 3
    while len(os.listdir(folder)) < enough and time.monotonic() < last:
        pass


def sign_up(shop: Shop, names: list[str]) -> None:
    now = utc_now()
    for name in names:
        shop.identify(name, now, first_name=name)
    shop.arrive(shop.event(name, "Signed Up", now, plan="pro", seats=1) for name in names)


def outbox(project: Path) -> list[str]:
    """The Message-IDs of the files in the outbox, and that each file is whole."""
    keys = []
    for path in sorted((project / "outbox").glob("*.eml")):
        content = path.read_text(encoding="utf-8")
        assert content.endswith("--=_alternative--\n"), f"{path.name} is not whole"
        match = re.search(r"^Message-ID: <([0-9a-f]{64})@", content, re.MULTILINE)
        assert match
        assert match[1].startswith(path.stem.rsplit("-", 1)[1])
        keys.append(match[1])
    return keys


def test_twenty_kills_lose_nothing_and_repeat_nothing(project: Path, shop: Shop) -> None:
    chance = random.Random(20_261_121)
    people: list[str] = []
    for round_ in range(KILLS):
        new = [f"c{round_:02}-{number}" for number in range(PEOPLE)]
        sign_up(shop, new)
        people += new
        with a_daemon(project) as daemon:
            # From its first word on it has work: the kill falls somewhere into it.
            assert next(lines_of(daemon))
            if round_ % 2:
                with pytest.raises(subprocess.TimeoutExpired):
                    daemon.wait(chance.uniform(0, 0.5))
            else:
                while_it_writes(project, chance.randint(1, 2 * PEOPLE))
            daemon.send_signal(signal.SIGKILL)
            assert daemon.wait() == -signal.SIGKILL

    expected = {f"{name}/{step}" for name in people for step in ("hello", "again")}
    with a_daemon(project) as daemon:
        for _ in lines_of(daemon):
            statuses = shop.statuses()
            if statuses.keys() == expected and set(statuses.values()) == {"sent"}:
                break

    assert shop.statuses() == dict.fromkeys(expected, "sent")
    keys = outbox(project)
    assert Counter(keys).most_common(1)[0][1] == 1
    names = {row.provider_id for row in shop.ledger().values()}
    assert names == {path.name for path in (project / "outbox").glob("*.eml")}
    assert len(keys) == len(expected)


def test_sigterm_finishes_and_exits_0_and_the_rest_goes_on_later(project: Path, shop: Shop) -> None:
    sign_up(shop, [f"c{number}" for number in range(30)])
    with a_daemon(project) as daemon:
        for line in lines_of(daemon):
            if "ticked" in line:
                daemon.terminate()
            assert "Traceback" not in line
        assert daemon.wait() == 0
    assert set(shop.statuses().values()) <= {"sent", "ready"}
    assert len(outbox(project)) == list(shop.statuses().values()).count("sent")

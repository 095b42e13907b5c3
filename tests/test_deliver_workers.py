"""Processes that deliver beside the runner: started, restarted, drained, and never left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from runner.clock import utc_now
from runner.daemon.workers import TRUSTED_AFTER, Workers, kept
from runner.settings import default_database
from runner.store.database import Database
from tests.servers import SmtpServer, an_smtp_server
from tests.shop import FILES, Shop
from tests.waiting import until
from tests.written import write_files

DEADLINE = 40
JOURNEY = re.sub(r"  - id: day.*", "", FILES["journeys/greet/journey.yaml"], flags=re.DOTALL)
SETTINGS = """
channels:
  email: {{smtp: {{host: 127.0.0.1, port: {port}, tls: none, local_hostname: tests.example}}}}
limits: {{connections: 2, grace: 10s}}
"""


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with an_smtp_server(
        tls_context=None, require_starttls=False, authenticator=None, auth_required=False
    ) as server:
        yield server


@pytest.fixture
def project(tmp_path: Path, server: SmtpServer) -> Path:
    files = {
        **FILES,
        "journeys/greet/journey.yaml": JOURNEY,
        "journeys.yaml": SETTINGS.format(port=server.port),
    }
    write_files(tmp_path, files)
    return tmp_path


@pytest.fixture
def shop(project: Path) -> Iterator[Shop]:
    database = Database.open(default_database(project))
    yield Shop(database, {**FILES, "journeys/greet/journey.yaml": JOURNEY})
    database.close()


@contextmanager
def a_runner(project: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = ["run", "--project", str(project), "--workers", "2", "--interval", "1s", "--lease", "2s"]
    # Started in the project, as people do, which has a folder `schema` of its own.
    (project / "schema").mkdir(exist_ok=True)
    program = [sys.executable, "-P", "-c", "from runner.cli import main; main()", *command]
    runner = subprocess.Popen(program, cwd=project)
    alarm = threading.Timer(2 * DEADLINE, runner.kill)
    alarm.start()
    try:
        yield runner
    finally:
        alarm.cancel()
        runner.kill()
        runner.wait()


def workers_of(runner: int) -> set[int]:
    """The processes that the runner started and that are not dead."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == runner and state != "Z":
            found.add(int(status.parent.name))
    return found


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def greet(shop: Shop, *names: str) -> None:
    now = utc_now()
    for name in names:
        shop.identify(name, now, first_name=name)
    shop.arrive(shop.event(name, "Signed Up", now, plan="pro", seats=1) for name in names)


def all_sent(shop: Shop, number: int) -> Callable[[], bool]:
    def condition() -> bool:
        statuses = list(shop.statuses().values())
        return len(statuses) == number and set(statuses) == {"sent"}

    return condition


def keys(server: SmtpServer) -> list[bytes]:
    return [content.split(b"Message-ID: <")[1].split(b"@")[0] for content in server.contents]


def test_workers_deliver_are_started_anew_and_end_with_the_runner(
    project: Path, shop: Shop, server: SmtpServer
) -> None:
    greet(shop, *(f"a{number}" for number in range(20)))
    with a_runner(project) as runner:
        until(all_sent(shop, 20))
        first = workers_of(runner.pid)
        assert len(first) == 2
        killed = min(first)
        os.kill(killed, signal.SIGKILL)
        until(lambda: len(workers_of(runner.pid) - {killed}) == 2)
        greet(shop, *(f"b{number}" for number in range(20)))
        until(all_sent(shop, 40))
        last = workers_of(runner.pid)
        runner.terminate()
        assert runner.wait(DEADLINE) == 0
        assert not any(map(alive, last))
    assert len(set(keys(server))) == len(keys(server)) == 40


def test_workers_that_are_killed_while_they_send_lose_nothing_and_send_nothing_twice(
    project: Path, shop: Shop, server: SmtpServer
) -> None:
    messages, processes, connections = 80, 2, 2
    greet(shop, *(f"c{number}" for number in range(messages)))
    killed: set[int] = set()

    def kill(number: int) -> None:
        if number == 10:
            present = workers_of(runner.pid)
            killed.update(present)
            for process in present:
                os.kill(process, signal.SIGKILL)

    def decided() -> bool:
        statuses = list(shop.statuses().values())
        return len(statuses) == messages and set(statuses) <= {"sent", "unknown"}

    server.on_data = kill
    with a_runner(project) as runner:
        until(decided)
        runner.terminate()
        assert runner.wait(DEADLINE) == 0
    assert len(killed) >= processes
    assert len(set(keys(server))) == len(keys(server))
    # In doubt is at most what was on its way: one message a connection.
    in_doubt = list(shop.statuses().values()).count("unknown")
    assert 1 <= in_doubt <= processes * connections
    assert messages - in_doubt <= len(keys(server)) <= messages


def test_workers_end_by_themselves_when_their_runner_is_killed(project: Path, shop: Shop) -> None:
    greet(shop, "ana")
    with a_runner(project) as runner:
        until(all_sent(shop, 1))
        workers = workers_of(runner.pid)
        assert len(workers) == 2
        runner.kill()
        runner.wait()
        until(lambda: not any(map(alive, workers)))


def test_a_worker_that_does_not_finish_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.daemon.workers.MARGIN", timedelta(0))
    deaf = [sys.executable, "-c", "import time; time.sleep(600)"]
    workers = Workers(1)
    with kept(workers, deaf, grace=timedelta(seconds=0.2), stopping=lambda: False):
        until(lambda: workers.identities != (None,))
        (process,) = workers.identities
    assert process is not None
    assert not alive(process)


def test_processes_that_end_again_and_again_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.daemon.workers.LOOK_EVERY", 0.02)
    workers = Workers(2)
    assert workers.trouble() == "no delivering process has started yet"
    broken = [sys.executable, "-S", "-c", "raise SystemExit(3)"]
    with kept(workers, broken, grace=timedelta(0), stopping=lambda: False):
        until(lambda: workers.restarts >= 2 and workers.identities == (None, None))
        assert workers.trouble() == "no delivering process lives (the last one ended with 3)"


def test_a_process_that_took_the_place_of_another_counts_once_it_has_lived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers = Workers(1)
    waits = [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"]
    with kept(workers, waits, grace=timedelta(seconds=5), stopping=lambda: False):
        until(lambda: workers.identities != (None,))
        assert workers.trouble() is None
        (first,) = workers.identities
        assert first is not None
        os.kill(first, signal.SIGKILL)
        until(lambda: workers.identities not in {(first,), (None,)})
        assert workers.trouble() == (
            f"no delivering process has lived for {TRUSTED_AFTER:.0f} s (the last one ended with -9)"
        )
        monkeypatch.setattr("runner.daemon.workers.TRUSTED_AFTER", 0)
        assert (workers.restarts, workers.trouble()) == (1, None)


def test_a_runner_with_a_bad_key_does_not_start(project: Path, shop: Shop, server: SmtpServer) -> None:
    settings = SETTINGS.format(port=server.port).replace(
        "tests.example", "tests.example, dkim: {domain: shop.example, selector: s, key_file: dkim.pem}"
    )
    (project / "journeys.yaml").write_text(settings)
    command = [sys.executable, "-c", "from runner.cli import main; main()", "run", "--project", str(project)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert ended.returncode != 0
    assert "channel email: dkim: the key file" in ended.stderr
    assert "dkim.pem cannot be read: No such file" in ended.stderr
    assert "Traceback" not in ended.stderr

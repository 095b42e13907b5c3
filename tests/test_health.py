"""Whether a process lives and is of use, as others ask over HTTP and as systemd is told."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from watched import Beat, Process, at_once, seen

from runner.cli import run as journeys
from runner.clock import utc_now
from runner.daemon.observe import endpoint
from runner.daemon.observe.endpoint import listening, pages
from runner.daemon.observe.health import SILENT, Health, Seen, look
from runner.daemon.observe.lately import Lately
from runner.daemon.observe.metrics import Metrics
from runner.daemon.observe.systemd import notify, telling_systemd, watchdog_every
from runner.daemon.workers import Workers
from runner.problem import JourneysError
from runner.store.database import Database
from runner.store.migrations import Standing
from tests.shop import FILES
from tests.waiting import until
from tests.written import write_files


def health(process: Process, what: Callable[[], Seen] = seen, *, patience: float = 3.0) -> Health:
    return Health(process, at_once(what, patience=patience))


def away() -> Seen:
    raise JourneysError("the database postgresql://shop@db.example/shop failed: away")


# The two judgements ------------------------------------------------------------------------------------------------


def test_a_process_whose_stages_beat_is_healthy_whatever_its_database_does() -> None:
    process = Process([Beat(failure="the database is away", silent=SILENT)])
    assert health(process, away).unhealthy() == ()


def test_a_silent_stage_is_named() -> None:
    silent = Beat(name="deliver 1", silent=SILENT + timedelta(seconds=6))
    assert health(Process([Beat(), silent])).unhealthy() == (
        "stage deliver 1 has given no sign of life for 306 s",
    )


def test_a_stage_that_rests_long_may_be_silent_for_longer() -> None:
    rests = Beat(name="housekeeping", every=timedelta(minutes=2), silent=SILENT + timedelta(minutes=1))
    assert health(Process([rests])).unhealthy() == ()


@pytest.mark.parametrize(
    ("process", "what", "reason"),
    [
        (Process(stopping=True), seen, "it is stopping"),
        (Process(), away, "the database postgresql://shop@db.example/shop failed: away"),
        (Process(), lambda: seen(Standing.BEHIND), "misses migrations"),
        (Process(), lambda: seen(Standing.EMPTY), "none of our tables"),
        (Process(), lambda: seen(Standing.TOO_NEW), "a newer version"),
        (Process([Beat(worked=False)]), seen, "stage tick: has not been through its first look"),
        (Process([Beat(failure="channel email: no host")]), seen, "stage tick: channel email: no host"),
    ],
)
def test_a_process_is_not_ready_for_a_reason(process: Process, what: Callable[[], Seen], reason: str) -> None:
    (told,) = health(process, what).unready()
    assert reason in told


def test_a_process_for_which_nobody_delivers_is_not_ready() -> None:
    judged = Health(Process(), at_once(seen), workers=Workers(2))
    assert judged.unready() == ("no delivering process has started yet",)
    assert judged.unhealthy() == ()


@pytest.mark.parametrize("standing", [Standing.CURRENT, Standing.AHEAD])
def test_a_process_that_can_work_is_ready(standing: Standing) -> None:
    assert health(Process(), lambda: seen(standing)).unready() == ()


def test_a_database_that_hangs_is_not_waited_for() -> None:
    over = threading.Event()

    def hangs() -> Seen:
        over.wait(30)
        return seen()

    judged = health(Process(), hangs, patience=0.05)
    try:
        assert judged.unready() == ("the database: no answer within 0.05 seconds",)
    finally:
        over.set()


def test_a_database_is_looked_at(database: Database) -> None:
    found = look(database, utc_now)
    assert (found.in_force, found.signs.due) == ((), None)


def test_a_migrated_database_is_fit(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'journeys.db'}")
    try:
        assert Health(Process(), at_once(lambda: look(database, utc_now))).unready() == ()
    finally:
        database.close()


# What was found out a moment ago -----------------------------------------------------------------------------------


def test_many_who_ask_at_once_cause_one_look() -> None:
    go, looks, answers = threading.Event(), [], []

    def once() -> int:
        looks.append(1)
        go.wait(20)
        return 7

    lately = Lately(once, patience=20)
    asking = [threading.Thread(target=lambda: answers.append(lately.ask())) for _ in range(8)]
    for thread in asking:
        thread.start()
    go.set()
    for thread in asking:
        thread.join(20)
    assert (answers, looks) == ([7] * 8, [1])


def test_an_old_answer_is_not_given_and_an_error_neither() -> None:
    answers: Iterator[Any] = iter([1, ValueError("away"), 3])

    def next_one() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return int(answer)

    lately = Lately(next_one, fresh=0)
    assert lately.ask() == 1
    with pytest.raises(ValueError, match="away"):
        lately.ask()
    assert lately.ask() == 3
    assert Lately(iter([1, 2]).__next__, fresh=60).ask() == 1


def test_what_takes_long_is_asked_for_less_often() -> None:
    looks = []

    def slow() -> int:
        looks.append(time.monotonic())
        threading.Event().wait(0.02)
        return len(looks)

    lately = Lately(slow, fresh=0, share=1000)
    assert [lately.ask(), lately.ask()] == [1, 1]


# Over HTTP ---------------------------------------------------------------------------------------------------------


@contextmanager
def served(process: Process | None = None, what: Callable[[], Seen] = seen) -> Iterator[tuple[str, int]]:
    process, metrics, looked = process or Process(), Metrics(), at_once(what)
    metrics.watch(process, looked, Lately(dict))
    with listening("127.0.0.1:0", pages(metrics, Health(process, looked))) as place:
        yield place


def asked(place: tuple[str, int], path: str, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(*place, timeout=20)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def test_a_well_process_answers_200() -> None:
    with served() as place:
        for path in ("/health", "/ready", "/health?from=probe"):
            answer, body = asked(place, path)
            assert (answer.status, json.loads(body)) == (200, {"ok": True, "reasons": []})
        answer, body = asked(place, "/metrics")
        assert answer.status == 200
        assert answer.getheader("Content-Type", "").startswith("text/plain; version=")
        assert b"journeys_build_info{" in body


def test_an_ill_process_answers_503_with_reasons() -> None:
    with served(Process([Beat(failure="away", silent=timedelta(hours=1))]), away) as place:
        answer, body = asked(place, "/health")
        assert (answer.status, len(json.loads(body)["reasons"])) == (503, 1)
        answer, body = asked(place, "/ready")
        assert (answer.status, len(json.loads(body)["reasons"])) == (503, 2)
        answer, body = asked(place, "/metrics")
        assert answer.status == 200
        assert b"journeys_database_up 0.0" in body


def test_head_is_get_without_a_body_and_nothing_else_is_allowed() -> None:
    with served() as place:
        answer, body = asked(place, "/metrics", "HEAD")
        assert (answer.status, body) == (200, b"")
        assert int(answer.getheader("Content-Length", "0")) > 0
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
            answer, _ = asked(place, "/health", method)
            assert (answer.status, answer.getheader("Allow")) == (405, "GET, HEAD")
        answer, body = asked(place, "/")
        assert answer.status == 404
        assert b"/metrics, /health, /ready" in body


def test_a_page_that_fails_is_500_and_the_others_answer(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> Seen:
        raise ZeroDivisionError("a bug")

    with served(what=fails) as place:
        answer, body = asked(place, "/ready")
        assert answer.status == 500
        assert b"bug" not in body
        assert asked(place, "/health")[0].status == 200
    assert "ZeroDivisionError" in caplog.text


def test_clients_that_say_nothing_hold_up_nobody_and_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "CONNECTION_SECONDS", 0.5)
    with served() as place:
        dripping = [socket.create_connection(place, timeout=20) for _ in range(8)]
        for one in dripping:
            one.sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")
        assert asked(place, "/health")[0].status == 200
        for one in dripping:
            assert one.recv(1) == b""
            one.close()


def test_more_connections_than_there_may_be_are_closed_and_come_free_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint, "CONNECTIONS", 2)
    with served() as place:
        held = [socket.create_connection(place, timeout=20) for _ in range(3)]
        # The third, or one whose turn came later, is closed; connections are taken in order.
        assert held[2].recv(1) == b""
        for one in held:
            one.close()
        until(lambda: status_or_none(place) == 200)


def status_or_none(place: tuple[str, int]) -> int | None:
    try:
        return asked(place, "/health")[0].status
    except (OSError, http.client.HTTPException):
        return None


@pytest.mark.parametrize(
    "address",
    [
        "9464",
        "localhost",
        "localhost:http",
        "127.0.0.1:99999",
        ":9464",
        "[::1",
        "no.such.host.invalid:1",
        "x y:1",
    ],
)
def test_an_address_that_is_none_is_an_error(address: str) -> None:
    with pytest.raises(JourneysError, match="cannot listen on"), listening(address, {}):
        pass


def test_an_address_of_another_machine_or_of_another_process_is_an_error() -> None:
    with served() as (host, port):
        for address in (f"{host}:{port}", "192.0.2.1:0"):
            with pytest.raises(JourneysError, match=f"cannot listen on {address}"), listening(address, {}):
                pass


def test_an_address_beyond_the_machine_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with listening("localhost:0", {}):
        assert not caplog.records or caplog.records[0].levelname != "WARNING"
    with listening("0.0.0.0:0", {}):
        assert "whoever reaches this address" in caplog.text


# The command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    write_files(folder, FILES)
    return folder


def test_the_daemon_can_be_asked_and_tells_systemd_until_it_is_stopped(
    project: Path, systemd: socket.socket
) -> None:
    (project / "journeys.yaml").write_text('listen: "127.0.0.1:0"\n', encoding="utf-8")
    daemon = subprocess.Popen(
        [sys.executable, "-c", "from runner.cli import main; main()", "run", "--project", str(project)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NOTIFY_SOCKET": systemd.getsockname()},
    )
    alarm = threading.Timer(60, daemon.kill)
    alarm.start()
    try:
        assert daemon.stderr is not None
        first = json.loads(daemon.stderr.readline())
        place = first["host"], first["port"]
        assert systemd.recv(4096).startswith(b"READY=1\n")
        until(lambda: asked(place, "/ready")[0].status == 200)
        assert b'journeys_in_force{state="live"} 0.0' in asked(place, "/metrics")[1]
        daemon.send_signal(signal.SIGTERM)
        others = [json.loads(line) for line in daemon.stderr]
        assert daemon.wait() == 0
    finally:
        alarm.cancel()
        daemon.kill()
        daemon.wait()
        assert daemon.stderr is not None
        daemon.stderr.close()
    assert others[-1]["event"] == "stopped"
    until(lambda: systemd.recv(4096).startswith(b"STOPPING=1"))


def test_a_port_of_another_process_ends_the_command_with_1(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.daemon.log.log_to_stderr", lambda form, aside: None)
    with served() as (host, port):
        assert journeys(["run", "--project", str(project), "--listen", f"{host}:{port}"]) == 1
    told = capsys.readouterr().err
    assert f"Error: cannot listen on {host}:{port}: Address already in use; another runner has it?" in told
    assert "`--listen HOST:PORT` overrides `listen` of journeys.yaml" in told


# systemd -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket at which systemd would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening_socket:
        listening_socket.bind(str(tmp_path / "notify"))
        listening_socket.settimeout(20)
        yield listening_socket


def test_systemd_is_told_of_start_life_state_and_end(systemd: socket.socket) -> None:
    process = Process()
    environ = {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "30000"}
    with telling_systemd(health(process), environ):
        assert systemd.recv(4096) == b"READY=1\nWATCHDOG=1\nSTATUS=ready"
        assert systemd.recv(4096) == b"WATCHDOG=1\nSTATUS=ready"
        process.stages = [Beat(silent=timedelta(hours=1), failure="away")]
        until(lambda: systemd.recv(4096) == b"STATUS=not ready: stage tick: away")
    said = b""
    while b"STOPPING" not in said:
        said = systemd.recv(4096)
    assert said == b"STOPPING=1\nSTATUS=stopped"


def test_without_a_watchdog_systemd_hears_of_the_start_alone(systemd: socket.socket) -> None:
    with telling_systemd(health(Process(), away), {"NOTIFY_SOCKET": systemd.getsockname()}):
        assert systemd.recv(4096).startswith(b"READY=1\nSTATUS=not ready: the database")


def test_an_abstract_socket_is_reached(tmp_path: Path) -> None:
    name = f"journeys-{os.getpid()}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as abstract:
        abstract.bind(f"\0{name}")
        abstract.settimeout(20)
        notify("READY=1", {"NOTIFY_SOCKET": f"@{name}"})
        assert abstract.recv(100) == b"READY=1"


def test_where_systemd_does_not_ask_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    threads = threading.active_count()
    with telling_systemd(health(Process()), {}):
        assert threading.active_count() == threads
    notify("READY=1", {})
    assert not caplog.records
    notify("READY=1", {"NOTIFY_SOCKET": "/nowhere/at/all"})
    assert "systemd could not be told" in caplog.text


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WATCHDOG_USEC": "60000000"}, timedelta(seconds=20)),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, timedelta(seconds=20)),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_told_three_times_in_its_time(
    environ: dict[str, str], expected: timedelta | None
) -> None:
    assert watchdog_every(environ) == expected

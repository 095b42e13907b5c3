"""The daemon and its stages: once, in virtual time, and for as long as nobody stops it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from channels.base import Channel, Message, Result, RetryLater
from channels.file import FileChannel
from runner.cli import run as journeys
from runner.clock import utc_now
from runner.daemon.daemon import STALLED_EXIT, Daemon, Pulse
from runner.daemon.once import run_once, run_virtual
from runner.daemon.stage import Stage
from runner.engine.apply import apply_project
from runner.engine.deliver import LEASE, Delivered
from runner.engine.tick import tick
from runner.engine.versions import Versions, load_versions
from runner.journey.project import load_project
from runner.problem import JourneysError
from runner.settings import default_database
from runner.store.database import Database
from runner.store.sending import messages
from runner.store.tables import ConsentState
from tests.shop import FILES, GREET, START, Shop, Sink
from tests.waiting import until
from tests.written import write_files

QUICK = Pulse(every=timedelta(milliseconds=20))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_files(tmp_path, FILES)
    return tmp_path


@pytest.fixture
def file_database(project: Path) -> Iterator[Database]:
    """On disk, as the daemon has it: several threads, each with a connection of its own."""
    database = Database.open(default_database(project))
    yield database
    database.close()


@dataclass
class Opened:
    """An opener of channels that remembers what it opened."""

    channel: Channel
    times: int = 0
    versions: list[Versions] = field(default_factory=list)

    def __call__(self, versions: Versions) -> Mapping[str, Channel]:
        self.times += 1
        self.versions.append(versions)
        return {"email": self.channel}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Once --------------------------------------------------------------------------------------------------------------


def test_once_does_what_is_due_and_no_more(database: Database) -> None:
    shop, sink = Shop(database), Sink()
    shop.identify("ana")
    shop.arrive([shop.event("ana", "Signed Up", START, plan="pro", seats=1)])
    assert run_once(database, Opened(sink), START).delivered == Delivered(claimed=1, sent=1)
    assert run_once(database, Opened(sink), START + timedelta(hours=23)).delivered == Delivered()
    assert run_once(database, Opened(sink), START + timedelta(hours=24)).delivered.sent == 1
    assert [message.step for message in sink.messages] == ["hello", "again"]


def test_once_takes_up_what_a_dead_process_left(database: Database, tmp_path: Path) -> None:
    shop = Shop(database)
    shop.sign_up("ana", "bob")
    with database.begin() as connection:
        messages.claim(connection, now=START, lease_until=START + LEASE, limit=1)
    told = run_once(database, Opened(FileChannel(tmp_path)), START + LEASE).delivered
    assert told == Delivered(claimed=2, sent=2)  # nothing is left to be tried again


def test_once_lives_by_the_clock_while_a_server_is_slow(database: Database) -> None:
    """Each message takes longer than half a lease: what is claimed is held from then on, and judged then."""
    shop = Shop(database)
    shop.sign_up("ana", "ben", "cem", "dan", "eve")
    now = START

    def think(_message: Message) -> None:
        nonlocal now
        held = [row.lease_until for row in shop.ledger().values() if row.status == "sending"]
        assert held == [now + LEASE]
        now += LEASE * 0.6
        shop.consent(sink.contacts[0] if len(sink.contacts) > 1 else "eve", ConsentState.WITHDRAWN)

    sink = Sink(on_send=think)
    run_once(database, Opened(sink), START, clock=lambda: now)
    statuses = shop.statuses()
    assert statuses.pop("eve/hello") == "blocked"
    assert shop.ledger()["eve/hello"].reason == "no_consent"
    assert set(statuses.values()) == {"sent"}
    assert len(sink.contacts) == len(set(sink.contacts)) == 4


def test_once_stops_though_what_it_put_off_is_due_again(database: Database) -> None:
    shop = Shop(database)
    shop.sign_up("ana", "ben")
    now = START

    def think(_message: Message) -> None:
        nonlocal now
        now += timedelta(hours=1)

    later = RetryLater("busy")
    sink = Sink(answers={"ana": later, "ben": later}, on_send=think)
    assert run_once(database, Opened(sink), START, clock=lambda: now).delivered.retried == 2
    assert sink.contacts == ["ana", "ben"]


# Virtual time ------------------------------------------------------------------------------------------------------


def test_virtual_time_lives_every_instant_in_its_place(database: Database, tmp_path: Path) -> None:
    shop = Shop(database)
    moments = {"ana": START, "bob": START + timedelta(days=3, seconds=7), "eve": START + timedelta(days=40)}
    for key, at in moments.items():
        shop.identify(key, at)
        shop.arrive([shop.event(key, "Signed Up", at, plan="pro", seats=1)])
    seen: list[datetime] = []
    until = START + timedelta(days=41)
    lived = run_virtual(
        database,
        Opened(FileChannel(tmp_path, durable=False)),
        START - timedelta(days=1),
        until,
        progress=lambda instant, lived: seen.append(instant),
    )
    assert lived.delivered == Delivered(claimed=6, sent=6)
    ledger = shop.ledger()
    assert {name: row.sent_at for name, row in ledger.items()} == {
        f"{key}/{step}": at + timedelta(days=days)
        for key, at in moments.items()
        for step, days in (("hello", 0), ("again", 1))
    }
    assert sorted(row.provider_id for row in ledger.values()) == names(tmp_path)
    assert seen == sorted(seen)
    assert seen[-1] == until


def test_it_does_not_matter_how_virtual_time_is_cut(tmp_path: Path) -> None:
    outcomes = []
    for place, cuts in enumerate([[], [1, 2, 3, 30], [0.001, 25, 26]]):
        folder = tmp_path / str(place)
        with Database.scratch() as database:
            shop = Shop(database)
            for number in range(12):
                at = START + timedelta(hours=7 * number)
                shop.identify(f"c{number}", at)
                shop.arrive([shop.event(f"c{number}", "Signed Up", at, plan="pro", seats=number)])
            shop.arrive([shop.event("c1", "Left", START + timedelta(hours=12))])
            begin = START - timedelta(days=1)
            for days in [*cuts, 60]:
                until = START + timedelta(days=days)
                run_virtual(database, Opened(FileChannel(folder, durable=False)), begin, until)
                begin = until
        outcomes.append({name: (folder / name).read_bytes() for name in names(folder)})
    assert len(outcomes[0]) == 23
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_virtual_time_that_was_killed_goes_on_where_it_was(database: Database, tmp_path: Path) -> None:
    shop = Shop(database)
    shop.sign_up("ana", "bob", "eve")

    class Killed(BaseException):
        pass

    class Dying(FileChannel):
        def send(self, message: Message) -> Result:
            if message.contact == "bob":
                raise Killed
            return super().send(message)

    until = START + timedelta(days=9)
    with pytest.raises(Killed):
        run_virtual(database, Opened(Dying(tmp_path)), START, until)
    assert run_virtual(database, Opened(FileChannel(tmp_path)), START, until).delivered.sent == 5
    assert set(shop.statuses().values()) == {"sent"}
    assert len(names(tmp_path)) == 6


# The command -------------------------------------------------------------------------------------------------------


def test_the_command_lives_virtual_time_and_says_what_it_did(
    project: Path, file_database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop(file_database)
    shop.identify("ana")
    shop.arrive([shop.event("ana", "Signed Up", START, plan="pro", seats=1)])
    arguments = ["run", "--project", str(project), "--virtual", "2026-02-28..2026-03-05T12:00:00+04:00"]
    assert journeys(arguments) == 0
    assert capsys.readouterr().out == "2 messages sent.\n"
    assert len(names(project / "outbox")) == 2
    assert journeys(arguments) == 0
    assert capsys.readouterr().out == "0 messages sent.\n"


def test_virtual_time_is_for_files_alone(project: Path, file_database: Database, capsys: Any) -> None:
    Shop(file_database)
    (project / "journeys.yaml").write_text("channels: {email: {smtp: {host: mail.example}}}\n")
    assert journeys(["run", "--project", str(project), "--virtual", "2026-01-01..2026-02-01"]) == 1
    assert "the channel email uses smtp" in capsys.readouterr().err


def test_virtual_time_is_not_for_people_who_were_written_to(
    project: Path, file_database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    Shop(file_database).sign_up("ana")
    run_once(file_database, Opened(Sink()), START)
    assert journeys(["run", "--project", str(project), "--virtual", "2026-01-01..2026-02-01"]) == 1
    assert "were written to in real time" in capsys.readouterr().err


def test_what_waits_for_its_next_attempt_is_seen(
    project: Path, file_database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop(file_database)
    now = utc_now()
    shop.identify("ana")
    shop.arrive([shop.event("ana", "Signed Up", now, plan="pro", seats=1)])
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]  # where nobody answers once it is closed
    options = f"{{host: 127.0.0.1, port: {port}, tls: none}}"
    (project / "journeys.yaml").write_text(f"channels: {{email: {{smtp: {options}}}}}\n")
    at = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    for _run in range(2):
        assert journeys(["run", "--project", str(project), "--once"]) == 0
        told = capsys.readouterr().out
        assert re.fullmatch(
            rf"0 messages sent\.\n1 waits for its next attempt, the first at {at} UTC\.\n", told
        ), told
    assert journeys(["messages", "list", "--project", str(project)]) == 0
    assert re.search(rf"ready +.*; next attempt {at}", capsys.readouterr().out)
    assert journeys(["contacts", "show", "ana", "--project", str(project)]) == 0
    assert re.search(rf"by email ready \(.*; next attempt {at}\)", capsys.readouterr().out)


def test_what_another_process_holds_is_told(
    project: Path, file_database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop(file_database)
    now = utc_now()
    shop.sign_up("ana", "ben", at=now)
    with file_database.begin() as connection:
        messages.take(connection, now=now, lease_until=now + LEASE, limit=1)
    assert journeys(["run", "--project", str(project), "--once"]) == 0
    until = f"{now + LEASE:%Y-%m-%d %H:%M:%S}"
    told = f"1 message sent.\n1 message is held by another process; if it is dead, until {until} UTC.\n"
    assert capsys.readouterr().out == told


def test_after_virtual_time_nobody_real_is_written_to(
    project: Path, file_database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    Shop(file_database)
    assert journeys(["run", "--project", str(project), "--virtual", "2026-01-01..2026-02-01"]) == 0
    assert journeys(["run", "--project", str(project), "--once"]) == 0
    (project / "journeys.yaml").write_text("channels: {email: {smtp: {host: mail.example}}}\n")
    assert journeys(["run", "--project", str(project), "--once"]) == 1
    told = capsys.readouterr().err
    assert "has lived in virtual time" in told
    mend = re.search(r"`(channels: .*)`", told)
    assert mend is not None
    (project / "journeys.yaml").write_text(f"{mend[1]}\n")
    assert journeys(["run", "--project", str(project), "--once"]) == 0


def test_nothing_applied_is_said_and_a_wrong_transport_too(
    project: Path, file_database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert journeys(["run", "--project", str(project), "--once"]) == 1
    assert "Nothing was applied yet" in capsys.readouterr().err
    Shop(file_database)
    (project / "journeys.yaml").write_text("channels: {email: {file: {folder: ''}}}\n")
    assert journeys(["run", "--project", str(project), "--once"]) == 1
    assert "folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--once", "--virtual", "2026-01-01..2026-02-01"],
        ["--virtual", "2026-02-01..2026-01-01"],
        ["--virtual", "2026-01-01"],
        ["--virtual", "yesterday..today"],
        ["--interval", "5"],
        ["--interval", "0s"],
        ["--lease", "soon"],
        ["--once", "--workers", "2"],
        ["--once", "--listen", "127.0.0.1:9464"],
        ["--virtual", "2026-01-01..2026-02-01", "--listen", "127.0.0.1:9464"],
    ],
)
def test_wrong_usage(project: Path, arguments: list[str]) -> None:
    assert journeys(["run", "--project", str(project), *arguments]) == 2


# The daemon --------------------------------------------------------------------------------------------------------


def run_until(worker: Daemon, happened: threading.Event) -> int:
    """Run the daemon until ``happened``, or for 20 seconds; answers its exit code."""
    watcher = threading.Thread(target=lambda: (happened.wait(20), worker.stop()))
    watcher.start()
    code = worker.run()
    watcher.join()
    assert happened.is_set()
    return code


def test_the_daemon_delivers_until_it_is_stopped(file_database: Database) -> None:
    shop, done = Shop(file_database), threading.Event()
    shop.identify("ana")
    shop.arrive([shop.event("ana", "Signed Up", START, plan="pro", seats=1)])
    sink = Sink(on_send=lambda message: done.set())
    assert run_until(Daemon(file_database, Opened(sink), QUICK, clock=lambda: START), done) == 0
    assert shop.statuses() == {"ana/hello": "sent"}


def test_what_is_applied_while_the_daemon_runs_takes_effect(file_database: Database) -> None:
    sink = Sink()
    opened = Opened(sink)
    worker = Daemon(file_database, opened, QUICK, clock=lambda: START)
    ticking, delivering, _ = worker.stages
    ticking.run()
    delivering.run()
    shop = Shop(file_database)
    shop.identify("ana")
    shop.arrive([shop.event("ana", "Signed Up", START, plan="pro", seats=1)])
    ticking.run()
    delivering.run()
    assert sink.contacts == ["ana"]
    assert [set(versions.current) for versions in opened.versions] == [set(), {"greet"}]


def test_an_event_after_an_apply_is_never_handled_by_the_versions_from_before_it(database: Database) -> None:
    before = load_versions(database)
    shop = Shop(database)
    shop.identify("ana")
    shop.arrive([shop.event("ana", "Signed Up", START, plan="pro", seats=1)])
    # Another process, or this one a moment ago, had read the versions before they were applied.
    while tick(database, before, START).more:
        pass
    shop.tick(START)
    assert shop.statuses() == {"ana/hello": "ready"}


def test_an_event_that_waits_while_a_version_is_applied_enters_the_new_one(database: Database) -> None:
    shop = Shop(database)
    shop.identify("ana")
    shop.arrive([shop.event("ana", "Signed Up", START, plan="pro", seats=1)])
    later = load_project({**FILES, "journeys/greet/journey.yaml": GREET.replace("wait: 1d", "wait: 2d")})
    apply_project(database, later, now=START + timedelta(seconds=1), author="tests", git_commit=None)
    shop.versions = load_versions(database)
    shop.tick(START + timedelta(seconds=2))
    assert shop.statuses() == {"ana/hello": "ready"}


def test_a_stage_that_raises_is_logged_and_tried_again(
    file_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    shop, done = Shop(file_database), threading.Event()
    shop.sign_up("ana")
    sink = Sink(on_send=lambda message: done.set())

    class Failing(Opened):
        def __call__(self, versions: Versions) -> Mapping[str, Channel]:
            if not super().__call__(versions) or self.times < 4:
                raise JourneysError("channel email: not yet")
            return {"email": self.channel}

    opened = Failing(sink)
    assert run_until(Daemon(file_database, opened, QUICK, clock=lambda: START), done) == 0
    assert "channel email: not yet" in {vars(record).get("error") for record in caplog.records}
    assert "Traceback" not in caplog.text
    assert shop.statuses() == {"ana/hello": "sent"}


def test_a_stage_pauses_longer_the_more_often_it_fails(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> bool:
        raise OSError("away")

    stage = Stage("tick", fails, threading.Event())
    for _ in range(3):
        stage._not_before = 0
        stage.run()
    stage.run()
    assert [vars(record)["pause_seconds"] for record in caplog.records] == [1, 2, 4]
    assert all(record.exc_info for record in caplog.records)
    assert stage.idle.is_set()


def test_a_stage_that_waits_for_the_database_tells_it_in_a_line_and_does_not_pause_long(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails() -> bool:
        raise JourneysError("the database does not answer")

    stage = Stage("tick", fails, threading.Event())
    for _ in range(6):
        stage._not_before = 0
        stage.run()
    told = [(vars(record)["error"], vars(record)["pause_seconds"]) for record in caplog.records]
    assert told == [("the database does not answer", pause) for pause in (1, 2, 4, 8, 10, 10)]
    assert not any(record.exc_info for record in caplog.records)


def test_a_daemon_that_has_others_deliver_says_how_many(
    file_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    pulse = Pulse(every=timedelta(milliseconds=20), workers=2, processes=3)
    worker = Daemon(file_database, Opened(Sink()), pulse, clock=lambda: START)
    assert [stage.name for stage in worker.stages] == ["tick", "housekeeping"]
    worker.stop()
    assert worker.run() == 0
    (started,) = (vars(record) for record in caplog.records if record.message == "started")
    assert (started["processes"], started["workers"]) == (3, 6)


def test_more_than_the_grace_is_not_waited_for(file_database: Database) -> None:
    shop, begun, over = Shop(file_database), threading.Event(), threading.Event()
    shop.sign_up("ana")

    def hang(message: Message) -> None:
        begun.set()
        over.wait(20)

    pulse = Pulse(every=timedelta(milliseconds=20), grace=timedelta(milliseconds=100))
    worker = Daemon(file_database, Opened(Sink(on_send=hang)), pulse, clock=lambda: START)
    try:
        assert run_until(worker, begun) == 1
        assert shop.statuses() == {"ana/hello": "sending"}
    finally:
        over.set()
        for stage in worker.stages:
            stage.idle.wait(20)


@pytest.mark.parametrize("ticks", [True, False])
def test_a_daemon_renews_the_lease_of_what_it_hands_over(file_database: Database, ticks: bool) -> None:
    """One that only delivers too: the other side takes longer than the lease, by the clock that counts."""
    shop, done = Shop(file_database), threading.Event()
    shop.sign_up("ana", at=utc_now())
    pulse = replace(QUICK, lease=timedelta(seconds=1), ticks=ticks)

    def think(_message: Message) -> None:
        lapsed = utc_now() + pulse.lease
        until(lambda: shop.ledger()["ana/hello"].lease_until > lapsed)
        done.set()

    sink = Sink(on_send=think)
    assert run_until(Daemon(file_database, Opened(sink), pulse), done) == 0
    assert (shop.statuses(), sink.contacts) == ({"ana/hello": "sent"}, ["ana"])


def test_a_daemon_whose_stage_hangs_ends_its_process(project: Path, file_database: Database) -> None:
    Shop(file_database).sign_up("ana")
    program = _hanging(project)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.returncode == STALLED_EXIT, ended.stderr
    assert "has hung; the process ends" in ended.stderr


def _hanging(project: Path, log: str = "") -> str:
    """A program whose daemon has a channel that never answers."""
    return f"""
import threading
from datetime import timedelta
from runner.daemon.daemon import Daemon, Pulse
from runner.daemon.log import log_to_stderr
from runner.store.database import Database
from tests.shop import START

class Hanging:
    def send(self, message):
        threading.Event().wait()
    def close(self):
        pass

log_to_stderr({log})
database = Database.open({default_database(project)!r})
Daemon(database, lambda versions: {{"email": Hanging()}}, Pulse(every=timedelta(milliseconds=20)),
       clock=lambda: START, stalled=timedelta(seconds=1)).run()
"""


@contextmanager
def full_pipe() -> Iterator[int]:
    """The end for writing of a pipe that has no room, and that nobody reads."""
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        with suppress(BlockingIOError):
            while os.write(writing, b"x" * 65536):
                pass
        with suppress(BlockingIOError):
            while os.write(writing, b"x"):
                pass
        os.set_blocking(writing, True)
        yield writing
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_log_that_nobody_reads_holds_nothing_up(
    project: Path, file_database: Database, workers: str
) -> None:
    shop = Shop(file_database)
    command = ("run", "--project", str(project), "--workers", workers, "--interval", "1s")
    program = ("-P", "-c", "from runner.cli import main; main()", *command)
    with full_pipe() as log, subprocess.Popen([sys.executable, *program], stderr=log) as daemon:
        try:
            shop.sign_up("ana", at=utc_now())
            until(lambda: "sent" in shop.statuses().values())
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(30) == 0
        finally:
            daemon.kill()


def test_a_stage_that_hangs_ends_the_process_though_nobody_reads_the_log(
    project: Path, file_database: Database
) -> None:
    Shop(file_database).sign_up("ana")
    with full_pipe() as log:
        program = [sys.executable, "-c", _hanging(project, "aside=True")]
        assert subprocess.run(program, stderr=log, timeout=60).returncode == STALLED_EXIT


def test_who_is_told_to_stop_while_it_starts_ends_in_order(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        (project / "journeys.yaml").write_text(
            f"database: postgresql://{host}:{port}/shop\n", encoding="utf-8"
        )
        program = ("-c", "from runner.cli import main; main()", "run", "--project", str(project))
        with subprocess.Popen([sys.executable, *program]) as starting:
            silent.settimeout(30)
            waited_for, _ = silent.accept()
            with waited_for:  # it waits for an answer of its database
                starting.send_signal(signal.SIGTERM)
                assert starting.wait(30) == 0


def test_channels_are_opened_once_a_worker_and_closed(file_database: Database) -> None:
    Shop(file_database).sign_up("ana", "bob")
    done, closed = threading.Event(), []

    class Closing(Sink):
        def close(self) -> None:
            closed.append(self)

    sink = Closing(on_send=lambda message: done.set())
    opened = Opened(sink)
    assert run_until(Daemon(file_database, opened, QUICK, clock=lambda: START), done) == 0
    assert opened.times == len(closed)
    assert opened.times <= 2


def test_after_a_year_away_what_waited_is_expired(database: Database) -> None:
    Shop(database).sign_up("ana", "bob", "eve")
    delivered = run_once(database, Opened(Sink()), START + timedelta(days=365)).delivered
    assert (delivered.blocked, delivered.sent) == (3, 3)

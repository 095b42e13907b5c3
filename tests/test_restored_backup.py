"""A backup is restored: what the lost life has sent is not sent again by surprise, and nothing is forgotten."""

from __future__ import annotations

import re
import secrets
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from channels.base import Message, RetryLater
from channels.file import FileChannel
from runner.cli import run as journeys
from runner.daemon.daemon import Daemon, Pulse
from runner.engine.apply import apply_project
from runner.engine.deliver import deliver
from runner.engine.doubt import resend_unknown
from runner.engine.pausing import pause_journey, resume_journey
from runner.engine.restore import Lost, Settled, live_until_lost, look_at_restored, recover_restored
from runner.engine.versions import load_versions
from runner.journey.project import load_project
from runner.problem import JourneysError
from runner.settings import default_database
from runner.store.audit import records
from runner.store.database import Database
from runner.store.sending import messages
from runner.store.watching.examination import runners
from tests.shop import FILES, START, Shop, Sink
from tests.waiting import until
from tests.written import write_files

BACKUP = START + timedelta(hours=12)
NOW = START + timedelta(hours=32)
RECEIPTS = {
    **FILES,
    "journeys/greet/journey.yaml": FILES["journeys/greet/journey.yaml"].replace(
        "topic: offers", "topic: receipts"
    ),
}


@dataclass
class Backups:
    """Makes databases and copies of them, by URL. ``opened`` are to be closed at the end."""

    make: Callable[[], str]
    copy: Callable[[str], str]
    opened: list[Database] = field(default_factory=list)

    def open(self, url: str) -> Database:
        database = Database.open(url)
        self.opened.append(database)
        return database


def on_sqlite(folder: Path) -> Backups:
    def place() -> str:
        return f"sqlite:///{folder / secrets.token_hex(4)}.db"

    def copy(url: str) -> str:
        target = place()
        with (
            sqlite3.connect(url.removeprefix("sqlite:///")) as source,
            sqlite3.connect(target.removeprefix("sqlite:///")) as destination,
        ):
            source.backup(destination)
        return target

    return Backups(make=place, copy=copy)


def on_postgres(server: str, made: list[str]) -> Backups:
    engine = create_engine(
        make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )

    def url_of(name: str) -> str:
        made.append(name)
        return make_url(server).set(database=name).render_as_string(hide_password=False)

    def create(source: str) -> str:
        name = f"backup_{secrets.token_hex(6)}"
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {source}"))
        return url_of(name)

    return Backups(make=lambda: create("template0"), copy=lambda url: create(str(make_url(url).database)))


@pytest.fixture
def sqlite_backups(tmp_path: Path) -> Iterator[Backups]:
    backups = on_sqlite(tmp_path)
    yield backups
    for database in backups.opened:
        database.close()


@pytest.fixture
def postgres_backups(postgres_url: str) -> Iterator[Backups]:
    made: list[str] = []
    backups = on_postgres(postgres_url, made)
    yield backups
    for database in backups.opened:
        database.close()
    engine = create_engine(
        make_url(postgres_url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        for name in made:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture(params=["sqlite_backups", "postgres_backups"])
def backups(request: pytest.FixtureRequest) -> Backups:
    backups: Backups = request.getfixturevalue(request.param)
    return backups


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def live(shop: Shop, channel: Any, *hours: float) -> None:
    """What a daemon that keeps up does, at the instants at which there is something to do."""
    for now in map(at, hours):
        resend_unknown(shop.database, shop.versions, now)
        shop.tick(now)
        deliver(shop.database, shop.versions, {"email": channel}, now)


def sign_up(shop: Shop, key: str, instant: datetime) -> None:
    shop.identify(key, instant)
    shop.arrive([shop.event(key, "Signed Up", instant, plan="pro", seats=3)])


def lose(backups: Backups, channel: Any, files: Any = FILES) -> Shop:
    """A life that is lost, and what was restored instead. ``bob`` had just signed up when the backup was taken; ``eve``
    did in the lost life; ``gail``'s second message was due after the crash, ``fred``'s is due after all of it."""
    url = backups.make()
    database = Database.open(url)
    shop = Shop(database, files)
    for key, hours in (("ana", 0), ("gail", 7), ("fred", 11)):
        sign_up(shop, key, at(hours))
    live(shop, channel, 0, 7, 11)
    sign_up(shop, "bob", BACKUP)
    shop.tick(BACKUP)
    assert shop.statuses()["bob/hello"] == "ready"
    database.close()
    copy = backups.copy(url)
    database = backups.open(url)
    shop = Shop(database, files)
    sign_up(shop, "eve", at(20))
    live(shop, channel, 12, 20, 24, 30)
    sent = {f"{key}/hello" for key in ("ana", "bob", "eve", "fred", "gail")} | {"ana/again"}
    assert shop.statuses() == dict.fromkeys(sent, "sent")
    return Shop(backups.open(copy), files)


def recover(shop: Shop, channel: Any, now: datetime = NOW) -> Settled:
    return recover_restored(
        shop.database, shop.versions, {"email": channel}, restored_at=BACKUP, now=now, who="tests"
    )


def live_on(shop: Shop, channel: Any) -> None:
    live(shop, channel, 32.01, 32.1, 35, 36, 44, 60)


def sends(sink: Sink) -> Counter[str]:
    return Counter(f"{message.contact}/{message.step}" for message in sink.messages)


# Channels that cannot be asked ----------------------------------------------------------------------------------------


def test_what_may_have_been_sent_is_unknown_and_nothing_goes_twice(backups: Backups) -> None:
    sink = Sink()
    shop = lose(backups, sink)
    sign_up(shop, "eve", at(20))  # her source sends it again
    assert recover(shop, sink) == Settled(unknown=4)
    in_doubt = {"ana/again", "bob/hello", "eve/hello", "gail/again"}
    assert {name for name, status in shop.statuses().items() if status == "unknown"} == in_doubt
    live_on(shop, sink)
    assert set(sends(sink).values()) == {1}
    # Gail's second message was due after the crash: it is in doubt, not forgotten.
    expected = {
        f"{key}/{step}" for key in ("ana", "bob", "eve", "fred", "gail") for step in ("hello", "again")
    }
    assert set(sends(sink)) == expected - {"gail/again"}
    assert set(shop.statuses()) == expected
    assert {name for name, status in shop.statuses().items() if status == "unknown"} == in_doubt


def test_without_it_people_would_get_their_mail_twice(sqlite_backups: Backups) -> None:
    sink = Sink()
    shop = lose(sqlite_backups, sink)
    live_on(shop, sink)
    assert sends(sink)["ana/again"] == 2


def test_transactional_messages_are_sent_again_and_counted(sqlite_backups: Backups) -> None:
    sink = Sink()
    shop = lose(sqlite_backups, sink, RECEIPTS)
    assert recover(shop, sink) == Settled(unknown=3)
    live_on(shop, sink)
    assert {name for name, count in sends(sink).items() if count == 2} == {"ana/again"}
    marked = {name for name, row in shop.ledger().items() if row.reason == "possible_duplicate"}
    assert marked == {"ana/again", "gail/again"}
    keys: dict[str, set[str]] = {}
    for message in sink.messages:
        keys.setdefault(f"{message.contact}/{message.step}", set()).add(message.idempotency_key)
    assert {name: len(found) for name, found in keys.items()} == dict.fromkeys(keys, 1)
    # What has expired meanwhile is not sent again, whatever its topic says.
    assert {name for name, status in shop.statuses().items() if status != "sent"} == {"bob/hello"}


# Channels that can be asked -------------------------------------------------------------------------------------------


def test_a_channel_that_can_be_asked_is_asked(backups: Backups, tmp_path: Path) -> None:
    outbox = FileChannel(tmp_path / "outbox")
    shop = lose(backups, outbox)
    sign_up(shop, "eve", at(20))
    assert recover(shop, outbox) == Settled(sent=3, ready=1)
    assert shop.statuses()["gail/again"] == "ready"
    live_on(shop, outbox)
    assert set(shop.statuses().values()) == {"sent"}
    files = list((tmp_path / "outbox").iterdir())
    assert len(files) == 10
    assert {row.provider_id for row in shop.ledger().values()} == {path.name for path in files}


def test_a_receiver_that_knows_keys_gets_again_what_was_there_before_and_the_rest_is_unknown(
    sqlite_backups: Backups,
) -> None:
    class Idempotent(Sink):
        def look_up(self, message: Message) -> RetryLater:
            return RetryLater("it honours the key")

    sink = Idempotent()
    shop = lose(sqlite_backups, sink)
    sign_up(shop, "eve", at(20))
    # Eve's run began after the backup: its number, and so the key, need not be what it was.
    assert recover(shop, sink) == Settled(ready=3, unknown=1)
    live_on(shop, sink)
    assert shop.statuses()["eve/hello"] == "unknown"
    by_key = {message.idempotency_key: f"{message.contact}/{message.step}" for message in sink.messages}
    assert len(by_key) == len(set(by_key.values())) == 10


# What was commanded in the lost life ----------------------------------------------------------------------------------

PEOPLE = [f"p{number:02}" for number in range(12)]
SHORTER = {
    **FILES,
    "journeys/greet/journey.yaml": FILES["journeys/greet/journey.yaml"]
    .replace("entry: {reentry: always}", "entry: {reentry: always}\nin_flight: follow\ntimers: recompute")
    .replace("wait: 1d", "wait: 1h"),
}
ONE_A_MINUTE = 1


def apply_at(database: Database, instant: datetime) -> None:
    apply_project(
        database,
        load_project(SHORTER),
        now=instant,
        author="tests",
        git_commit=None,
        released_per_minute=ONE_A_MINUTE,
    )


def resume_at(database: Database, instant: datetime) -> None:
    resume_journey(database, "greet", now=instant, who="tests", per_minute=ONE_A_MINUTE)


@pytest.mark.parametrize("command", [apply_at, resume_at])
def test_whom_a_lost_command_let_go_is_not_written_to_again(
    backups: Backups, command: Callable[[Database, datetime], None]
) -> None:
    """One a minute are let go; after five minutes the database is lost, and those whose turn was to come get theirs."""
    sink, paused = Sink(), command is resume_at
    files = FILES if paused else SHORTER
    url = backups.make()
    shop = Shop(Database.open(url))
    for key in PEOPLE:
        sign_up(shop, key, START)
    live(shop, sink, 0)
    if paused:
        pause_journey(shop.database, "greet", now=at(1), who="tests")
    shop.database.close()
    copy = backups.copy(url)
    commanded = at(30 if paused else 20)
    restored_at = commanded - timedelta(hours=1)

    lost = Shop(backups.open(url))
    command(lost.database, commanded)
    lost = Shop(lost.database, files)
    minutes = [commanded + timedelta(minutes=number) for number in range(6)]
    live(lost, sink, *((instant - START) / timedelta(hours=1) for instant in minutes))
    in_time = {message.contact for message in sink.messages if message.step == "again"}
    assert 4 <= len(in_time) < len(PEOPLE)

    database = backups.open(copy)
    now = minutes[-1]
    again = Lost(at=commanded, again=lambda instant: command(database, instant))
    live_until_lost(database, [again], restored_at=restored_at, now=now, who="tests")
    settled = recover_restored(
        database, load_versions(database), {"email": sink}, restored_at=restored_at, now=now, who="tests"
    )
    assert settled == Settled(unknown=len(in_time))
    shop = Shop(database, files)
    live(shop, sink, *((now - START) / timedelta(hours=1) + minute / 60 for minute in range(1, 60)))
    assert set(sends(sink).values()) == {1}
    assert len(sends(sink)) == 2 * len(PEOPLE)


def test_a_command_before_it_is_refused(sqlite_backups: Backups) -> None:
    sink = Sink()
    shop = lose(sqlite_backups, sink)
    apply_at(shop.database, NOW)
    with pytest.raises(JourneysError, match="`journeys apply greet` was called at"):
        recover(shop, sink, NOW + timedelta(minutes=1))


def test_a_lost_command_is_of_the_time_since_the_backup(sqlite_backups: Backups) -> None:
    shop = lose(sqlite_backups, Sink())
    for wrong in (BACKUP - timedelta(minutes=1), NOW + timedelta(minutes=1)):
        again = Lost(at=wrong, again=lambda instant: apply_at(shop.database, instant))
        with pytest.raises(JourneysError, match="not between the backup and now"):
            live_until_lost(shop.database, [again], restored_at=BACKUP, now=NOW, who="tests")


# Care -----------------------------------------------------------------------------------------------------------------


def test_a_number_that_is_given_out_again_makes_no_key_again(sqlite_backups: Backups) -> None:
    """Or the receiver would take a new message for one of the lost life, and drop it."""
    sink = Sink()
    shop = lose(sqlite_backups, sink)
    lost = {message.idempotency_key for message in sink.messages if message.contact == "eve"}
    recover(shop, sink)
    # Whoever sends is started after it.
    shop = Shop(sqlite_backups.open(str(shop.database.engine.url)))
    sign_up(shop, "zoe", at(33))
    live(shop, sink, 33, 60)
    keys = {message.contact: message.idempotency_key for message in sink.messages if message.step == "hello"}
    assert shop.ledger()["zoe/hello"].contact == 5  # Eve's number in the lost life
    assert lost
    assert keys["zoe"] not in lost
    assert len(set(keys.values())) == len(keys)


def test_exits_of_the_lost_life_are_lived_too(sqlite_backups: Backups) -> None:
    sink = Sink()
    shop = lose(sqlite_backups, sink)
    shop.arrive([shop.event("gail", "Left", at(25))])
    recover(shop, sink)
    live_on(shop, sink)
    assert "gail/again" not in shop.statuses()


def test_it_may_be_broken_off_and_begun_again(sqlite_backups: Backups, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    class Dying(FileChannel):
        def look_up(self, message: Message) -> Any:
            if message.contact == "bob":
                raise Killed
            return super().look_up(message)

    outbox = FileChannel(tmp_path / "outbox")
    shop = lose(sqlite_backups, outbox)
    with pytest.raises(Killed):
        recover(shop, Dying(tmp_path / "outbox"))
    # What was claimed has a lease, as if somebody were at work.
    with pytest.raises(JourneysError, match="stop every"):
        recover(shop, outbox)
    assert recover(shop, outbox, NOW + timedelta(minutes=3)) == Settled(sent=2, ready=1)
    live_on(shop, outbox)
    eve = 1  # nobody sent her event again
    assert len(list((tmp_path / "outbox").iterdir())) == len(shop.statuses()) + eve


def test_it_is_refused_where_it_would_do_harm(sqlite_backups: Backups) -> None:
    sink = Sink()
    shop = lose(sqlite_backups, sink)
    for wrong, why in ((NOW + timedelta(hours=1), "yet to come"), (at(5), "no backup of")):
        with pytest.raises(JourneysError, match=why):
            recover_restored(
                shop.database, shop.versions, {"email": sink}, restored_at=wrong, now=NOW, who="tests"
            )
    with shop.database.begin() as connection:
        messages.claim(connection, now=NOW, lease_until=NOW + timedelta(minutes=1), limit=1)
    with pytest.raises(JourneysError, match="stop every"):
        recover(shop, sink)
    assert shop.statuses()["bob/hello"] == "claimed"


def test_what_was_done_is_written_down(sqlite_backups: Backups) -> None:
    sink = Sink()
    shop = lose(sqlite_backups, sink)
    before = look_at_restored(shop.database, restored_at=BACKUP, now=NOW)
    assert (before.messages, before.runs, before.events) == (1, 2, 0)
    recover(shop, sink)
    with shop.database.read() as connection:
        begun, done = records(connection)[-2:]
    assert begun.what == "recover --restored-at 2026-03-01T22:00:00+00:00"
    assert (done.what, done.detail) == ("recovered", {"sent": 0, "ready": 0, "unknown": 3})


def test_the_command_shows_then_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path, FILES)
    outbox = FileChannel(tmp_path / "outbox")
    lost = lose(on_sqlite(tmp_path), outbox).database
    lost.close()
    place = Path(default_database(tmp_path).removeprefix("sqlite:///"))
    place.parent.mkdir()
    shutil.copy(str(lost.engine.url.database), place)
    command = ["recover", "--project", str(tmp_path), "--restored-at", "2026-03-01T22:00:00Z"]
    write_files(tmp_path, SHORTER)
    assert journeys([*command, "--dry-run"]) == journeys([*command, "--yes"]) == 1
    refused = capsys.readouterr().err
    assert "not what is in force in the backup: `greet`." in refused
    assert "--applied-at INSTANT" in refused
    assert journeys([*command, "--dry-run", "--not-applied"]) == 0
    assert journeys([*command, "--dry-run", "--applied-at", "2026-03-01T23:00:00Z"]) == 0
    write_files(tmp_path, FILES)
    capsys.readouterr()
    assert journeys([*command, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "1 message may have been sent, 4 runs due, 0 events not handled" in told
    assert "which this does not count" in told
    assert journeys([*command, "--yes"]) == 0
    assert "2 messages had been sent, 3 had not and will be, 0 unknown." in capsys.readouterr().out


def test_the_command_refuses_while_a_daemon_is_connected(
    postgres_backups: Backups, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outbox = FileChannel(tmp_path / "outbox")
    restored = lose(postgres_backups, outbox).database
    for database in postgres_backups.opened:
        database.close()
    url = restored.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    write_files(tmp_path, {**FILES, "journeys.yaml": f"database: {url}\n"})
    command = ["recover", "--project", str(tmp_path), "--restored-at", "2026-03-01T22:00:00Z"]
    daemon = Daemon(restored, lambda versions: {"email": outbox}, Pulse(workers=0), clock=lambda: BACKUP)
    running = threading.Thread(target=daemon.run)
    running.start()
    try:
        until(lambda: _listening(restored))
        capsys.readouterr()
        assert journeys([*command, "--yes"]) == 1
        refused = capsys.readouterr().err
        assert re.search(r"journeys \d{4} \(server process \d+, since .* UTC\)", refused)
        assert "stop these daemons first" in refused
        assert journeys([*command, "--dry-run"]) == 0
    finally:
        daemon.stop()
        running.join()
        restored.close()
    until(lambda: not _listening(restored))
    restored.close()
    assert journeys([*command, "--yes"]) == 0, capsys.readouterr().err


def _listening(database: Database) -> bool:
    with database.read() as connection:
        return bool(runners(connection, database.deployment))


def test_the_command_applies_and_resumes_as_the_lost_life_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_files(tmp_path, SHORTER)
    outbox = FileChannel(tmp_path / "outbox")
    lost = lose(on_sqlite(tmp_path), outbox).database
    pause_journey(lost, "greet", now=BACKUP, who="tests")
    lost.close()
    place = Path(default_database(tmp_path).removeprefix("sqlite:///"))
    place.parent.mkdir()
    shutil.copy(str(lost.engine.url.database), place)
    command = ["recover", "--project", str(tmp_path), "--restored-at", "2026-03-01T22:00:00Z", "--yes"]
    instants = ["--applied-at", "2026-03-01T23:00:00Z", "--resumed", "greet", "2026-03-02T00:00:00Z"]
    assert journeys([*command, *instants]) == 0, capsys.readouterr().err
    database = Database.open(f"sqlite:///{place}")
    with database.read() as connection:
        written = [(one.what.split(" --")[0], one.at) for one in records(connection)][-5:]
    database.close()
    assert [what for what, _ in written] == ["recover", "apply greet", "resume greet", "recover", "recovered"]
    assert [at for _, at in written[1:3]] == [BACKUP + timedelta(hours=hours) for hours in (1, 2)]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("2026-03-01T22:00:00", "does not say its offset; write 2026-03-01T22:00:00Z"),
        ("2026-03-01", "does not say its offset; write 2026-03-01T00:00:00Z"),
        ("0001-01-01T00:00:00+10:00", "is no instant"),
        ("0001-01-01T00:00:00Z", "is before 1970"),
        ("yesterday", "is no instant; write 2026-03-01T10:00:00Z"),
    ],
)
def test_an_instant_that_cannot_be_meant_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], written: str, told: str
) -> None:
    assert journeys(["recover", "--project", str(tmp_path), "--dry-run", "--restored-at", written]) == 2
    assert told in capsys.readouterr().err

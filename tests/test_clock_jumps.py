"""The clock is set back or forward an hour while the daemon lives: nothing is lost, and nothing happens twice."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from channels.base import Message, Result
from channels.file import FileChannel
from runner.engine.deliver import LEASE, Delivered, deliver
from runner.engine.recover import recover
from runner.settings import default_database
from runner.store.database import Database
from runner.store.people.events import store_events
from runner.store.sending import messages
from runner.store.tables import event
from tests.living import living
from tests.shop import START, Shop, Sink
from tests.waiting import until

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass
class Clock:
    """A clock that is set by hand, and goes on from there."""

    at: datetime = START
    since: float = field(default_factory=time.monotonic)

    def __call__(self) -> datetime:
        return self.at + timedelta(seconds=time.monotonic() - self.since)

    def set(self, at: datetime) -> None:
        self.at, self.since = at, time.monotonic()


@pytest.fixture
def file_database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(default_database(tmp_path))
    yield database
    database.close()


@pytest.mark.parametrize(
    "jumps", [[HOUR, -HOUR], [-HOUR, HOUR], [-HOUR, -HOUR, 26 * HOUR], [26 * HOUR, -25 * HOUR]]
)
def test_a_daemon_whose_clock_jumps_sends_each_message_once(
    file_database: Database, jumps: list[timedelta]
) -> None:
    shop, sink, clock = Shop(file_database), Sink(), Clock()
    signed_up: dict[str, datetime] = {}

    def all_is_sent() -> bool:
        """Everybody has the first message, and the second whose day is over; nothing is on its way."""
        due = {(key, "hello") for key in signed_up}
        due |= {(key, "again") for key, at in signed_up.items() if at + DAY <= clock() - timedelta(seconds=1)}
        sent = {(message.contact, message.step) for message in sink.messages}
        return due <= sent and set(shop.statuses().values()) == {"sent"}

    with living(file_database, sink, workers=2, lease=timedelta(seconds=2), clock=clock):
        for number, jump in enumerate([timedelta(), *jumps, DAY + HOUR]):
            clock.set(clock() + jump)
            for key in (f"c{number}-{place}" for place in range(3)):
                now = clock()
                shop.identify(key, now)
                shop.arrive([shop.event(key, "Signed Up", now, plan="pro", seats=1)])
                signed_up[key] = now
            until(all_is_sent)
        # However the clock went, everybody's day is over in the end.
        clock.set(max(signed_up.values()) + DAY + HOUR)
        until(all_is_sent)
    sent = Counter((message.contact, message.step) for message in sink.messages)
    assert sent == Counter({(key, step): 1 for key in signed_up for step in ("hello", "again")})


def test_ticks_that_go_backwards_do_nothing_again(database: Database) -> None:
    shop = Shop(database)
    shop.sign_up("ana")
    for hours in (24, 3, 25, -5, 24):
        shop.tick(START + hours * HOUR)
    assert shop.statuses() == {"ana/hello": "ready", "ana/again": "ready"}
    # What was let go while the clock was ahead waits until the clock is there again: late, but neither lost nor twice.
    sink = Sink()
    assert deliver(database, shop.versions, {"email": sink}, START + HOUR).sent == 1
    assert deliver(database, shop.versions, {"email": sink}, START + 24 * HOUR).sent == 1
    assert Counter(message.step for message in sink.messages) == {"hello": 1, "again": 1}


def test_an_event_that_is_stored_while_the_clock_is_behind_keeps_its_turn(database: Database) -> None:
    shop = Shop(database)
    shop.sign_up("ana")
    # Her run is a day ahead; then the clock is set back, and she leaves.
    shop.tick(START + 23 * HOUR)
    shop.arrive([shop.event("ana", "Left", START + 22 * HOUR)])
    shop.tick(START + 22 * HOUR)
    shop.tick(START + 24 * HOUR)
    assert shop.statuses() == {"ana/hello": "cancelled"}


def test_a_lease_holds_when_the_clock_goes_back_and_only_then_ends_late(database: Database) -> None:
    shop = Shop(database)
    shop.sign_up("ana")
    with database.begin() as connection:
        messages.claim(connection, now=START + HOUR, lease_until=START + HOUR + LEASE, limit=1)
    # An hour back: the holder is dead, and its lease seems to last an hour longer. Nobody takes the message meanwhile.
    assert recover(database, {}, START) == Delivered()
    assert deliver(database, shop.versions, {"email": Sink()}, START) == Delivered()
    assert recover(database, {}, START + HOUR + LEASE).retried == 1


def test_a_jump_forward_while_messages_are_handed_over_repeats_none(
    database: Database, tmp_path: Path
) -> None:
    shop, clock = Shop(database), Clock()
    shop.sign_up(*(f"c{number}" for number in range(6)))
    others: list[Delivered] = []

    class Jumping(FileChannel):
        def send(self, message: Message) -> Result:
            if message.contact == "c2":
                clock.set(START + HOUR)
                # Another worker finds that all of this one's leases have run out.
                channels = {"email": FileChannel(tmp_path)}
                others.append(recover(database, channels, clock()))
                others.append(deliver(database, shop.versions, channels, clock(), clock=clock))
            return super().send(message)

    deliver(database, shop.versions, {"email": Jumping(tmp_path)}, START, clock=clock)
    assert others
    assert set(shop.statuses().values()) == {"sent"}
    assert len(list(tmp_path.iterdir())) == 6


def test_an_event_from_the_future_counts_as_of_its_receipt(database: Database) -> None:
    shop = Shop(database)
    shop.identify("ana")
    arrival = shop.event("ana", "Signed Up", START + 5 * HOUR, plan="pro", seats=1)
    with database.begin() as connection:
        store_events(connection, database.deployment, [arrival], received_at=START, pending=True)
    shop.tick(START)
    assert shop.statuses() == {"ana/hello": "ready"}
    with database.read() as connection:
        stored = connection.execute(event.select().where(event.c.name == "Signed Up")).one()
    assert (stored.at, stored.received_at) == (START, START)

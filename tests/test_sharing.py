"""Runners share one PostgreSQL by the locks on partitions: each finds work, nobody waits, nobody starves, and what a
killed or stopped one held is taken over."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import psycopg
import pytest
from sqlalchemy import event, make_url, text

from runner.engine.tick import LIVE, Pace, tick
from runner.engine.versions import load_versions
from runner.store.database import Database
from runner.store.tables import shard
from runner.store.work.partitions import FEW, hold_partitions, look_for_work
from tests.shop import START, Shop

PARTITIONS = 32
SOON = 30.0


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    """A database of its own, that other processes can open as well."""
    name = f"sharing_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    yield _named(postgres_url, name)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _named(url: str, name: str) -> str:
    """The same server, another database."""
    return make_url(url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database.open(url, partitions=PARTITIONS)
    yield database
    database.close()


def with_people(database: Database, number: int) -> tuple[Shop, list[str]]:
    """So many who have just signed up."""
    shop, people = Shop(database), [f"c{n:04}" for n in range(number)]
    shop.arrive([shop.event(person, "Signed Up", START, plan="pro", seats=1) for person in people])
    return shop, people


def found(database: Database, now: datetime = START, after: int = -1) -> tuple[int, ...]:
    """The partitions in which something is due."""
    with database.read() as connection:
        return look_for_work(connection, now, after=after).partitions


# How many partitions -----------------------------------------------------------------------------------------------


def test_little_work_is_taken_whole(database: Database) -> None:
    with_people(database, 100)
    with database.begin() as connection:
        held = hold_partitions(connection, found(database), START, size=20_000)
    assert held == found(database)


def test_of_much_work_each_runner_takes_what_fills_its_batch_and_nobody_waits(database: Database) -> None:
    with_people(database, 400)
    everything = found(database)
    taken: list[int] = []
    with held_by_others(database) as hold:
        for _ in range(FEW // 2):
            held = hold(everything, size=10)
            assert 0 < len(held) <= 4
            taken += held
        assert len(set(taken)) == len(taken)
        rest = hold(everything, size=100_000)
        assert set(rest) == set(everything) - set(taken)
        assert hold(everything, size=10) == ()


@contextmanager
def held_by_others(database: Database) -> Iterator[Callable[..., tuple[int, ...]]]:
    """Each call holds partitions for another runner, until the end of the block."""
    connections = []

    def hold(found: tuple[int, ...], *, size: int) -> tuple[int, ...]:
        connection = database.engine.connect()
        connections.append(connection)
        return hold_partitions(connection, found, START, size=size)

    try:
        yield hold
    finally:
        for connection in connections:
            connection.close()


def test_partitions_have_their_turn(database: Database) -> None:
    with_people(database, 400)
    assert found(database) == tuple(range(PARTITIONS))
    assert found(database, after=9) == (*range(10, PARTITIONS), *range(10))
    with database.begin() as connection:
        assert hold_partitions(connection, found(database, after=9), START, size=1, most=2)[0] == 10


def test_a_storm_on_one_contact_does_not_hold_up_the_other_partitions(database: Database) -> None:
    shop, _ = with_people(database, 100)
    with database.begin() as connection:
        connection.execute(text("UPDATE event SET pending = false WHERE partition > 5"))
    storm = [
        shop.event("c0001", "Signed Up", START + timedelta(seconds=n), plan="p", seats=n) for n in range(60)
    ]
    shop.arrive(storm)
    now, last = START + timedelta(minutes=2), -1
    busy = len(found(database, now))
    for _ in range(2 * busy):
        last = tick(database, shop.versions, now, Pace(partitions=1), after=last).last
    assert len(found(database, now)) == 1


@pytest.mark.parametrize("most", [1, 3])
def test_a_bound_on_partitions_changes_nothing_in_what_happens(most: int) -> None:
    def lived(database: Database, pace: Pace) -> dict[str, object]:
        shop, _ = with_people(database, 40)
        for days in (0, 1, 2):
            shop.tick(START + timedelta(days=days), pace)
        return {name: (row.status, row.reason, row.let_go_at) for name, row in shop.ledger().items()}

    with Database.scratch(partitions=7) as one, Database.scratch(partitions=7) as other:
        bounded = lived(one, Pace(partitions=most, contacts=5))
        assert len(bounded) == 80
        assert bounded == lived(other, LIVE)


def test_one_partition_is_named_by_equality(database: Database) -> None:
    shop, people = with_people(database, 40)
    locks: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FOR UPDATE" in statement and shard.name in statement:
            locks.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    shop.tick(START, Pace(partitions=1))
    assert len(shop.ledger()) == len(people)
    assert locks
    assert all("shard.partition = %(partition)s" in statement for statement in locks)


# Two at a time -----------------------------------------------------------------------------------------------------


def test_two_runners_share_the_work(database: Database, url: str) -> None:
    shop, people = with_people(database, 800)
    handled: list[list[int]] = [[], []]
    ready = threading.Barrier(2)

    def run(place: int) -> None:
        own = Database.open(url)
        versions, last = load_versions(own), place * PARTITIONS // 2
        ready.wait()
        while found(own):
            ticked = tick(own, versions, START, Pace(contacts=20), after=last)
            last = ticked.last
            handled[place].append(ticked.contacts)
        own.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(shop.ledger()) == len(people)
    assert sum(map(sum, handled)) == len(people)
    assert all(sum(one) > len(people) / 10 for one in handled)


STUCK = """
import sys, threading
from runner.engine.tick import tick
from runner.engine.versions import load_versions
from runner.store.database import Database
from sqlalchemy import event
from tests.shop import START

database = Database.open(sys.argv[1])
versions = load_versions(database)

def hang(_connection, _cursor, statement, *_):
    if statement.startswith("INSERT INTO message"):
        print("within", flush=True)
        sys.stdin.readline()

event.listen(database.engine, "before_cursor_execute", hang)
tick(database, versions, START)
"""
"""A runner that comes to a halt within a tick, its partitions held, until it is given a line."""


@contextmanager
def a_runner_within_a_tick(url: str) -> Iterator[subprocess.Popen[str]]:
    runner = subprocess.Popen(
        [sys.executable, "-c", STUCK, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert runner.stdout is not None
        assert runner.stdout.readline() == "within\n", runner.communicate()
        yield runner
    finally:
        runner.kill()
        runner.communicate()


def taken_over(shop: Shop, people: list[str]) -> None:
    """Tick until everybody was greeted."""
    deadline = time.monotonic() + SOON
    while len(shop.ledger()) < len(people):
        shop.tick(START)
        assert time.monotonic() < deadline
    assert set(shop.statuses()) == {f"{person}/hello" for person in people}


def test_a_killed_runner_leaves_its_partitions_at_once(database: Database, url: str) -> None:
    shop, people = with_people(database, 50)
    with a_runner_within_a_tick(url) as runner:
        assert not tick(database, shop.versions, START).more  # it holds all that have work
        assert shop.ledger() == {}
        runner.kill()
        runner.wait()
        begun = time.monotonic()
        taken_over(shop, people)
        assert time.monotonic() - begun < SOON / 2


def test_a_stopped_runner_loses_its_partitions_after_a_while(database: Database, url: str) -> None:
    shop, people = with_people(database, 50)
    impatient = f"{url}{'&' if '?' in url else '?'}options=-c%20idle_in_transaction_session_timeout%3D500"
    with a_runner_within_a_tick(impatient) as runner:
        runner.send_signal(signal.SIGSTOP)
        taken_over(shop, people)
        runner.send_signal(signal.SIGCONT)
        _, said = runner.communicate("\n", timeout=SOON)
        assert runner.returncode != 0
        assert "idle-in-transaction" in said or "terminat" in said or "closed" in said, said
    taken_over(shop, people)  # and it has left nothing behind


def test_sessions_cannot_hold_a_partition_for_ever(url: str, database: Database) -> None:
    with database.read() as connection:
        assert connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar() == "1min"

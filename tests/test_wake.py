"""Who stores events, or makes messages ready, wakes those who wait for them; and no wake-up is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import text

from runner.clock import utc_now
from runner.daemon.batch import MOST
from runner.daemon.daemon import Daemon, Pulse
from runner.daemon.listener import listening
from runner.daemon.stage import Stage
from runner.journey.catalog import IDENTIFIED
from runner.problem import JourneysError
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.people.contacts import grant_consent
from runner.store.people.events import store_events
from runner.store.work.wake import Work
from tests.shop import START, Shop, Sink

NEVER = timedelta(hours=1)
"""How often these daemons look by themselves: what happens, happens because they were woken."""
SOON = 20.0
"""Seconds after which a test gives up."""


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@contextmanager
def running(daemon: Daemon) -> Iterator[None]:
    """The daemon, once each of its stages has been through its first look."""
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        wait_until(lambda: all(stage.worked for stage in daemon.stages))
        yield
    finally:
        daemon.stop()
        thread.join(SOON)
        assert not thread.is_alive()


@contextmanager
def a_listener(database: Database) -> Iterator[list[Work]]:
    """What is heard, from the moment on at which somebody listens."""
    heard: list[Work] = []
    stopping = threading.Event()
    thread = threading.Thread(target=listening, args=(database, heard.append, stopping))
    thread.start()
    try:
        wait_until(lambda: len(heard) == len(Work))
        assert heard == list(Work)  # something may have been told before
        heard.clear()
        yield heard
    finally:
        stopping.set()
        thread.join(SOON)


def a_daemon(database: Database, sink: Sink, *, workers: int = 1, ticks: bool = True) -> Daemon:
    pulse = Pulse(every=NEVER, lease=4 * NEVER, workers=workers, ticks=ticks)
    return Daemon(database, lambda versions: {"email": sink}, pulse)


# The stage ---------------------------------------------------------------------------------------------------------


def test_a_wake_up_while_the_stage_works_has_it_look_once_more() -> None:
    looks: list[int] = []

    def step() -> bool:
        looks.append(len(looks))
        if len(looks) == 1:
            stage.wake()  # from within, as from any other thread: the stage is at work
        return False

    stage = Stage("tick", step, threading.Event())
    stage.run()
    assert looks == [0, 1]


def test_no_wake_up_is_lost_however_many_threads_wake() -> None:
    """After each wake-up there is a look that begins later than it."""
    done: list[int] = []
    tasks: list[int] = []

    def step() -> bool:
        done[:] = list(tasks)
        return False

    stage = Stage("tick", step, threading.Event())
    stage.woken_by(lambda: threading.Thread(target=stage.run).start())

    def wake(first: int) -> None:
        for number in range(first, first + 200):
            tasks.append(number)
            stage.wake()

    threads = [threading.Thread(target=wake, args=(1_000 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: sorted(done) == sorted(tasks))
    assert len(done) == 800


def test_a_stream_of_wake_ups_is_taken_by_the_handful() -> None:
    looks: list[float] = []
    stopping = threading.Event()

    def step() -> bool:
        looks.append(time.monotonic())
        if len(looks) < 5:
            stage.wake()
        return False

    stage = Stage("tick", step, stopping)
    stage.run()
    assert all(later - earlier >= 0.04 for earlier, later in pairwise(looks))


def test_a_stage_that_is_to_stop_is_not_woken() -> None:
    stopping = threading.Event()
    stage = Stage("tick", lambda: pytest.fail("it looked"), stopping)
    stopping.set()
    stage.wake()
    stage.run()


# Within a process --------------------------------------------------------------------------------------------------


def test_a_tick_wakes_delivery_in_its_process(shared: Database) -> None:
    shop, sink, now = Shop(shared), Sink(), utc_now()
    shop.identify("ana", now)
    daemon = a_daemon(shared, sink, workers=2)
    with running(daemon):
        shop.arrive([shop.event("ana", "Signed Up", now, plan="pro", seats=1)])
        daemon.wake(Work.DUE)
        wait_until(lambda: sink.contacts == ["ana"])


def test_much_to_hand_over_wakes_everybody_who_delivers(shared: Database) -> None:
    shop, now = Shop(shared), utc_now()
    together = threading.Barrier(3, timeout=SOON)
    met = threading.Event()

    def meet(message: object) -> None:
        if not met.is_set():
            together.wait()
            met.set()

    people = [f"c{number}" for number in range(2 * MOST + 1)]
    sink = Sink(on_send=meet)
    daemon = a_daemon(shared, sink, workers=3)
    with running(daemon):
        shop.arrive([identified(person, now) for person in people], pending=False)
        with shared.begin() as connection:
            grant_consent(connection, shared.deployment, None, topic="offers", at=now, source="tests")
        shop.arrive(shop.event(person, "Signed Up", now, plan="pro", seats=1) for person in people)
        daemon.wake(Work.DUE)
        wait_until(lambda: len(sink.messages) == len(people))


# Between processes -------------------------------------------------------------------------------------------------


def test_who_stores_events_is_heard_when_it_has_committed(postgres_database: Database) -> None:
    shop = Shop(postgres_database)
    with a_listener(postgres_database) as heard:
        shop.identify("ana")  # history: nobody has to do anything
        with postgres_database.begin() as connection:
            arrivals = [shop.event("ana", "Signed Up", START, plan="pro", seats=1)]
            store_events(connection, postgres_database.deployment, arrivals, pending=True)
            time.sleep(0.1)
            assert heard == []
        wait_until(lambda: heard == [Work.DUE])
        shop.arrive(arrivals)  # the same again
        shop.tick(START)
        wait_until(lambda: heard == [Work.DUE, Work.READY])


def test_an_event_stored_elsewhere_reaches_its_channel_without_waiting_for_the_next_look(
    postgres_database: Database,
) -> None:
    shop, sink, now = Shop(postgres_database), Sink(), utc_now()
    shop.identify("ana", now)
    ticking = a_daemon(postgres_database, Sink(), workers=0)
    delivering = a_daemon(postgres_database, sink, ticks=False)
    with running(ticking), running(delivering), a_listener(postgres_database):
        wait_until(lambda: len(listeners(postgres_database)) == 3)
        shop.arrive([shop.event("ana", "Signed Up", now, plan="pro", seats=1)])
        wait_until(lambda: sink.contacts == ["ana"])


def test_a_listener_that_was_cut_off_listens_again(
    postgres_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop(postgres_database)
    shop.identify("ana")
    with a_listener(postgres_database) as heard:
        wait_until(lambda: len(listeners(postgres_database)) == 1)
        (pid,) = listeners(postgres_database)
        with postgres_database.begin() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        wait_until(lambda: heard == list(Work))  # it looks for what it may have missed
        shop.arrive([shop.event("ana", "Signed Up", START, plan="pro", seats=1)])
        wait_until(lambda: heard == [*Work, Work.DUE])
    assert "not woken by the database" in caplog.text


def test_without_listen_work_is_found_by_looking(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As behind a pooler that refuses it."""

    def refused(*_: object) -> Iterator[Work]:
        raise JourneysError("nothing is heard from the database: LISTEN is not supported")

    monkeypatch.setattr("runner.daemon.listener.listen", refused)
    shop, sink, now = Shop(postgres_database), Sink(), utc_now()
    shop.identify("ana", now)
    pulse = Pulse(every=timedelta(milliseconds=50))
    daemon = Daemon(postgres_database, lambda versions: {"email": sink}, pulse)
    with running(daemon):
        shop.arrive([shop.event("ana", "Signed Up", now, plan="pro", seats=1)])
        wait_until(lambda: sink.contacts == ["ana"])
    assert "not woken by the database" in caplog.text


def identified(person: str, at: datetime) -> Arrival:
    properties = {"email": f"{person}@x.example"}
    return Arrival(
        contact=person, name=IDENTIFIED, at=at, properties=properties, undeclared={}, dedup_key=f"i {person}"
    )


def listeners(database: Database) -> list[int]:
    """The server's processes of those who listen."""
    query = text("SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()")
    with database.read() as connection:
        return list(connection.execute(query).scalars())

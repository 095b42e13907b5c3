"""Connections of one process share commits: fewer of them, the same promise, and none waits for a slow one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy import event as sqlalchemy_event

from channels.base import Message, RetryLater
from runner.engine.deliver import LEASE, Delivered, Delivery, Unrecorded
from runner.store.database import Database
from tests.shop import START, Shop, Sink

CONNECTIONS = 6
SECONDS = 30


@pytest.fixture
def shop(shared: Database) -> Shop:
    return Shop(shared)


def over(shop: Shop, sinks: Sequence[Any], **options: Any) -> Delivery:
    return Delivery(shop.database, [{"email": sink} for sink in sinks], **{"clock": lambda: START, **options})


def drained(shop: Shop, delivery: Delivery, limit: int = 200) -> Delivered:
    """All that is ready, handed over and written down."""
    total = Delivered()
    while (done := delivery.step(shop.versions, START, limit=limit)).claimed:
        total += done
    return total + done + delivery.finish(SECONDS)


def contacts(sinks: Sequence[Sink]) -> list[str]:
    return [message.contact for sink in sinks for message in sink.messages]


def test_connections_share_commits_and_each_has_one_message_on_its_way(shop: Shop) -> None:
    each = 5
    shop.sign_up(*(f"c{number:02}" for number in range(CONNECTIONS * each)))
    meeting = threading.Barrier(CONNECTIONS)
    on_their_way: list[int] = []

    def meet(_message: Message) -> None:
        # All connections hand over at the same time, so that all come to commit at the same time.
        if meeting.wait(SECONDS) == 0:
            on_their_way.append(list(shop.statuses().values()).count("sending"))
        meeting.wait(SECONDS)

    sinks = [Sink(on_send=meet) for _ in range(CONNECTIONS)]
    committed: list[object] = []

    def count(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not (options.get("journeys_reading") or options.get("postgresql_readonly")):
            committed.append(connection)

    sqlalchemy_event.listen(shop.database.engine, "commit", count)
    done = drained(shop, over(shop, sinks))
    sqlalchemy_event.remove(shop.database.engine, "commit", count)
    assert done == Delivered(claimed=CONNECTIONS * each, sent=CONNECTIONS * each)
    assert on_their_way == [CONNECTIONS] * each
    assert set(shop.statuses().values()) == {"sent"}
    assert [len(sink.messages) for sink in sinks] == [each] * CONNECTIONS
    assert len(set(contacts(sinks))) == CONNECTIONS * each
    # Claims, one for each time that they met, and one for the last results. What only reads waits for no disk.
    assert len(committed) < CONNECTIONS * each / 2


def test_a_slow_connection_holds_up_no_other(shop: Shop) -> None:
    shop.sign_up(*(f"c{number}" for number in range(10)))
    begun, go_on, first = threading.Event(), threading.Event(), threading.Lock()

    def hang(_message: Message) -> None:
        if first.acquire(blocking=False):
            begun.set()
            assert go_on.wait(SECONDS)

    sinks = [Sink(on_send=hang) for _ in range(2)]
    delivery = over(shop, sinks)
    try:
        done = delivery.step(shop.versions, START, limit=200)
        assert begun.is_set()
        while sorted(shop.statuses().values()) != ["sending", *["sent"] * 9]:
            done += delivery.step(shop.versions, START, limit=200)
        assert delivery.pending
        # What comes meanwhile goes over the other.
        shop.sign_up("eve")
        done += delivery.step(shop.versions, START, limit=200)
        done += delivery.step(shop.versions, START, limit=200)
        assert done == Delivered(claimed=11, sent=10)
        assert delivery.finish(0.0) == Delivered()
    finally:
        go_on.set()
    assert delivery.finish(SECONDS) == Delivered(sent=1)
    assert not delivery.pending
    assert len(set(contacts(sinks))) == 11


def test_who_waits_for_a_slow_connection_can_be_woken(shop: Shop) -> None:
    shop.sign_up("ana")
    begun, go_on = threading.Event(), threading.Event()

    def hang(_message: Message) -> None:
        begun.set()
        assert go_on.wait(SECONDS)

    delivery = over(shop, [Sink(on_send=hang), Sink(on_send=hang)])
    try:
        assert delivery.step(shop.versions, START, limit=9) == Delivered(claimed=1)
        assert begun.wait(SECONDS)
        assert delivery.lines.busy_for() > 0
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(delivery.lines.collect, SECONDS)
            delivery.lines.nudge()
            assert waiting.result(SECONDS / 2) is None
    finally:
        go_on.set()
    assert delivery.finish(SECONDS) == Delivered(sent=1)


def test_a_commit_that_fails_fails_for_all_and_no_result_is_lost(shop: Shop) -> None:
    shop.sign_up(*(f"c{number}" for number in range(2 * CONNECTIONS)))
    away: list[bool] = []
    meeting = threading.Barrier(CONNECTIONS, action=lambda: away.append(True))

    def fails(_connection: Any) -> None:
        if away:
            raise ConnectionError("the database is away")

    sinks = [Sink(on_send=lambda _message: meeting.wait(SECONDS)) for _ in range(CONNECTIONS)]
    unrecorded = Unrecorded()
    delivery = over(shop, sinks, unrecorded=unrecorded)
    sqlalchemy_event.listen(shop.database.engine, "begin", fails)
    try:
        with pytest.raises(ConnectionError):
            delivery.step(shop.versions, START, limit=200)
        with pytest.raises(ConnectionError):
            delivery.finish(SECONDS)
        away.clear()
        assert len(unrecorded.changes) == CONNECTIONS
        done = drained(shop, delivery)
    finally:
        sqlalchemy_event.remove(shop.database.engine, "begin", fails)
    assert done.sent == CONNECTIONS
    assert len(contacts(sinks)) == CONNECTIONS
    assert sorted(shop.statuses().values()) == ["claimed"] * CONNECTIONS + ["sent"] * CONNECTIONS


def test_a_channel_that_cannot_be_reached_is_asked_once_a_connection(shop: Shop) -> None:
    shop.sign_up(*(f"c{number:02}" for number in range(50)))
    sinks = [
        Sink(answers={f"c{number:02}": RetryLater("refused", unreachable=True) for number in range(50)})
        for _ in range(CONNECTIONS)
    ]
    done = drained(shop, over(shop, sinks))
    assert done == Delivered(claimed=50, retried=50)
    assert len(contacts(sinks)) <= 2 * CONNECTIONS


def test_who_is_told_to_stop_hands_back_what_was_not_begun(shop: Shop) -> None:
    shop.sign_up(*(f"c{number:02}" for number in range(20)))
    stop, go_on = threading.Event(), threading.Event()

    def hang(_message: Message) -> None:
        stop.set()
        delivery.lines.nudge()
        assert go_on.wait(SECONDS)

    sinks = [Sink(on_send=hang) for _ in range(2)]
    delivery = over(shop, sinks, stopping=stop.is_set)
    try:
        assert delivery.step(shop.versions, START, limit=200) == Delivered(claimed=20, skipped=18)
    finally:
        go_on.set()
    assert delivery.finish(SECONDS) == Delivered(sent=2)
    assert sorted(shop.statuses().values()) == ["ready"] * 18 + ["sent"] * 2


def test_a_bug_in_one_connection_ends_nobody_elses_message(shop: Shop) -> None:
    """What no channel should raise, and what is no ``Exception`` at all, reaches the thread that delivers."""
    shop.sign_up("ana", "bob")

    def fall(message: Message) -> None:
        if message.contact == "ana":
            raise KeyboardInterrupt

    sinks = [Sink(on_send=fall) for _ in range(2)]
    delivery = over(shop, sinks)
    with pytest.raises(KeyboardInterrupt):
        drained(shop, delivery)
    delivery.finish(SECONDS)
    assert shop.statuses() == {"ana/hello": "sending", "bob/hello": "sent"}


def test_lines_get_other_channels_once_they_are_free(shop: Shop) -> None:
    shop.sign_up("ana")
    begun, go_on = threading.Event(), threading.Event()
    closed: list[str] = []

    class Closing(Sink):
        def __init__(self, name: str, on_send: Callable[[Message], None] | None = None) -> None:
            super().__init__(on_send=on_send)
            self.name = name

        def close(self) -> None:
            closed.append(self.name)

    def hang(_message: Message) -> None:
        begun.set()
        assert go_on.wait(SECONDS)

    old = [Closing("old", hang), Closing("old", hang)]
    delivery = over(shop, old)
    try:
        delivery.step(shop.versions, START, limit=9)
        assert begun.wait(SECONDS)
        new: Sequence[Mapping[str, Any]] = [{"email": Closing("new")}, {"email": Closing("new")}]
        delivery.lines.use(new)
        assert closed == ["old"]
    finally:
        go_on.set()
    assert delivery.finish(SECONDS) == Delivered(sent=1)
    assert closed == ["old", "old"]
    shop.sign_up("bob", "eve")
    assert drained(shop, delivery).sent == 2
    delivery.lines.close()
    assert closed == ["old", "old", "new", "new"]


def test_a_claim_that_runs_out_while_connections_are_slow_is_handed_back(shop: Shop) -> None:
    shop.sign_up(*(f"c{number}" for number in range(6)))
    now = [START]

    def later(_message: Message) -> None:
        now[0] = START + LEASE * 0.9

    def clock() -> datetime:
        return now[0]

    sinks = [Sink(on_send=later) for _ in range(2)]
    delivery = over(shop, sinks, clock=clock)
    done = delivery.step(shop.versions, START, limit=200) + delivery.finish(SECONDS)
    assert (done.sent, done.skipped) == (2, 4)

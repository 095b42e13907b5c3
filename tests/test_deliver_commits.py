"""Connections of one process share commits: fewer of them, the same promise, and none waits for a slow one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event

from channels.base import Message
from runner.engine.commits import Commits
from runner.engine.deliver import Delivered, Unrecorded, deliver
from runner.store.database import Database
from tests.shop import START, Shop, Sink

CONNECTIONS = 6
SECONDS = 30


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """On disk: several threads need a connection each."""
    if request.param == "postgresql":
        yield Shop(request.getfixturevalue("postgres_database"))
        return
    database = Database.open(f"sqlite:///{tmp_path}/shop.db")
    yield Shop(database)
    database.close()


def hand_over(shop: Shop, sink: Any, commits: Commits, **options: Any) -> Delivered:
    return deliver(shop.database, shop.versions, {"email": sink}, START, commits=commits, **options)


def together(works: list[Callable[[], Any]]) -> list[Any]:
    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(SECONDS) for future in [pool.submit(work) for work in works]]


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
    commits = Commits(shop.database)
    committed: list[object] = []

    def count(connection: object) -> None:
        committed.append(connection)

    sqlalchemy_event.listen(shop.database.engine, "commit", count)
    done = together(
        [lambda sink=sink: hand_over(shop, sink, commits, limit=each) for sink in sinks]  # type: ignore[misc]
    )
    sqlalchemy_event.remove(shop.database.engine, "commit", count)
    assert done == [Delivered(claimed=each, sent=each)] * CONNECTIONS
    assert on_their_way == [CONNECTIONS] * each
    assert set(shop.statuses().values()) == {"sent"}
    sent = [message.contact for sink in sinks for message in sink.messages]
    assert len(set(sent)) == len(sent) == CONNECTIONS * each
    # One by one it would be a claim each, a commit each message, and one for the last result of each.
    assert len(committed) < CONNECTIONS * (each + 2)


def test_a_slow_connection_holds_up_no_other(shop: Shop) -> None:
    shop.sign_up(*(f"c{number}" for number in range(10)))
    begun, go_on = threading.Event(), threading.Event()

    def hang(_message: Message) -> None:
        begun.set()
        assert go_on.wait(SECONDS)

    commits, slow, quick = Commits(shop.database), Sink(on_send=hang), Sink()
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(hand_over, shop, slow, commits, limit=1)
        assert begun.wait(SECONDS)
        try:
            assert hand_over(shop, quick, commits) == Delivered(claimed=9, sent=9)
            assert sorted(shop.statuses().values()) == ["sending", *["sent"] * 9]
        finally:
            go_on.set()
        assert hanging.result(SECONDS) == Delivered(claimed=1, sent=1)


def test_a_commit_that_fails_fails_for_all_and_no_result_is_lost(shop: Shop) -> None:
    shop.sign_up(*(f"c{number}" for number in range(2 * CONNECTIONS)))
    meeting = threading.Barrier(CONNECTIONS, action=lambda: away.append(True))
    away: list[bool] = []

    def fails(_connection: Any) -> None:
        if away:
            raise ConnectionError("the database is away")

    sinks = [Sink(on_send=lambda _message: meeting.wait(SECONDS)) for _ in range(CONNECTIONS)]
    unrecorded = [Unrecorded() for _ in sinks]
    commits = Commits(shop.database)

    def work(place: int) -> Delivered:
        return hand_over(shop, sinks[place], commits, limit=2, unrecorded=unrecorded[place])

    def fail(place: int) -> None:
        with pytest.raises(ConnectionError):
            work(place)

    sqlalchemy_event.listen(shop.database.engine, "begin", fails)
    try:
        together([lambda place=place: fail(place) for place in range(CONNECTIONS)])  # type: ignore[misc]
        away.clear()
        assert [len(one.changes) for one in unrecorded] == [1] * CONNECTIONS
        done = together([lambda place=place: work(place) for place in range(CONNECTIONS)])  # type: ignore[misc]
    finally:
        sqlalchemy_event.remove(shop.database.engine, "begin", fails)
    assert sum(each.sent for each in done) == CONNECTIONS
    assert sorted(shop.statuses().values()) == ["claimed"] * CONNECTIONS + ["sent"] * CONNECTIONS

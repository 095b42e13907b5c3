"""A journey is stopped by hand: its runs end, and its messages as its keeper says."""

from __future__ import annotations

import pytest

from runner.engine.pausing import stop_journey
from runner.store.database import Database
from tests.paused import AFTER, COURT, HOUR, MINUTE, Paused
from tests.shop import START


def test_a_stop_ends_all_runs_and_delivers_what_was_let_go(database: Database) -> None:
    paused = Paused(database, court=COURT, after=AFTER)
    paused.shop.sign_up("ana", "bea")
    done = stop_journey(database, "court", now=START, who="tests")
    assert done.runs == 2
    assert paused.runs() == {"ana": ("exited", "stopped"), "bea": ("exited", "stopped")}
    paused.shop.sign_up("cleo", at=START + MINUTE)
    paused.until(START + MINUTE)
    # Their greetings leave, a journey that begins with such an end begins, and nobody enters any more.
    assert sorted(paused.sink.contacts) == ["ana", "ana", "bea", "bea"]
    assert set(paused.runs()) == {"ana", "bea"}
    paused.resume(START + HOUR)
    paused.happens("cleo", "Signed Up", START + 2 * HOUR)
    assert paused.runs()["cleo"] == ("bought", None)


@pytest.mark.parametrize("pausing", [False, True])
def test_a_stop_that_sends_nothing_cancels_what_is_ready(sqlite_database: Database, pausing: bool) -> None:
    paused = Paused(sqlite_database, court=COURT)
    paused.shop.sign_up("ana", "bea")
    if pausing:
        paused.pause(START)
    done = stop_journey(sqlite_database, "court", now=START, who="tests", send_nothing=True)
    assert (done.runs, done.messages) == (2, 2)
    paused.until(START + HOUR)
    assert paused.sink.messages == []
    assert set(paused.shop.statuses().values()) == {"cancelled"}


def test_a_stop_of_a_paused_journey_delivers_what_was_kept_back(sqlite_database: Database) -> None:
    paused = Paused(sqlite_database, court=COURT)
    paused.shop.sign_up("ana")
    paused.pause(START)
    stop_journey(sqlite_database, "court", now=START + HOUR, who="tests")
    paused.until(START + HOUR)
    assert paused.sink.contacts == ["ana"]
    assert paused.runs() == {"ana": ("exited", "stopped")}

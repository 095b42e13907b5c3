"""A message is not handed over by somebody who may have lost it, nor in doubt where nothing was handed over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event

from runner.engine.deliver import LEASE, Delivered, Unrecorded, deliver
from runner.engine.recover import recover
from runner.store.database import Database
from tests.shop import START, Shop, Sink


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database)


def test_who_wakes_after_the_lease_hands_nothing_over(shop: Shop) -> None:
    """A process stopped between the commit of ``sending`` and the handing over, while another gave the message up."""
    shop.sign_up("ana")
    sink = Sink()
    looks = iter((START, START + LEASE))

    def clock() -> Any:
        now = next(looks, START + LEASE)
        if now > START and shop.statuses() == {"ana/hello": "sending"}:
            recover(shop.database, {"email": sink}, now)
            assert shop.statuses() == {"ana/hello": "unknown"}
        return now

    counted = deliver(shop.database, shop.versions, {"email": sink}, START, clock=clock)
    assert counted == Delivered(claimed=1, retried=1)
    assert sink.messages == []
    assert shop.statuses() == {"ana/hello": "ready"}


def test_a_commit_whose_answer_is_lost_puts_nothing_in_doubt(shop: Shop) -> None:
    shop.sign_up("ana")
    sink, unrecorded = Sink(), Unrecorded()
    lost: list[str] = []

    def lose(connection: Any) -> None:
        status = connection.exec_driver_sql("SELECT status FROM message").scalar()
        if status == "sending" and not lost:
            lost.append(status)
            connection.exec_driver_sql("COMMIT")
            raise ConnectionError("the answer was lost")

    sqlalchemy_event.listen(shop.database.engine, "commit", lose)
    try:
        with pytest.raises(ConnectionError):
            deliver(shop.database, shop.versions, {"email": sink}, START, unrecorded=unrecorded)
    finally:
        sqlalchemy_event.remove(shop.database.engine, "commit", lose)
    assert shop.statuses() == {"ana/hello": "sending"}
    later = START + timedelta(seconds=1)
    counted = deliver(shop.database, shop.versions, {"email": sink}, later, unrecorded=unrecorded)
    assert counted == Delivered(claimed=1, sent=1)
    assert shop.statuses() == {"ana/hello": "sent"}

"""A message is not handed over by somebody who may have lost it, nor in doubt where nothing was handed over."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event

from channels.base import Message, Rejected, Result, Sent, Unknown
from channels.file import FileChannel
from runner.engine.deliver import LEASE, Delivered, Delivery, Unrecorded, deliver
from runner.engine.doubt import resend_unknown
from runner.engine.recover import recover
from runner.store.database import Database
from runner.store.sending import messages, recovery
from runner.store.tables import MessageStatus
from tests.shop import CATALOG, FILES, START, Shop, Sink


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database)


def test_who_wakes_after_the_lease_hands_nothing_over(shop: Shop) -> None:
    """A process stopped between the commit of ``sending`` and the handing over, while another gave the message up."""
    shop.sign_up("ana")
    sink = Sink()
    looks = iter((START, START))  # at the claim, and before the commit

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


def impatient(shop: Shop) -> Shop:
    """The same shop, in which what may have arrived is sent again."""
    catalog = CATALOG.replace("opt_in: explicit}", "opt_in: explicit, on_unknown: resend}")
    return Shop(shop.database, {**FILES, "journeys/catalog.yaml": catalog})


def test_a_slow_server_keeps_a_message_for_who_hands_it_over(shop: Shop) -> None:
    """The lease is renewed while the server thinks, so others who keep house leave the message alone."""
    shop = impatient(shop)
    shop.sign_up("ana")
    now = START

    def think(_message: Message) -> None:
        nonlocal now
        for _ in range(20):
            now += LEASE / 4
            delivery.renew()
            recover(shop.database, {"email": sink}, now)
            resend_unknown(shop.database, shop.versions, now)
            assert shop.statuses() == {"ana/hello": "sending"}

    sink = Sink(on_send=think)
    delivery = Delivery(shop.database, [{"email": sink}], clock=lambda: now)
    counted = delivery.step(shop.versions, now, limit=9) + delivery.finish()
    assert (counted.sent, len(sink.messages), shop.statuses()) == (1, 1, {"ana/hello": "sent"})
    delivery.renew()
    assert shop.ledger()["ana/hello"].lease_until is None


def test_who_died_holds_nothing_longer_than_the_lease(shop: Shop) -> None:
    """Another process that lives renews its own messages, not those of the dead."""
    shop.sign_up("ana")

    class Killed(BaseException):
        pass

    def die(_message: Message) -> None:
        raise Killed

    dead = Delivery(shop.database, [{"email": Sink(on_send=die)}], clock=lambda: START)
    with pytest.raises(Killed):
        dead.step(shop.versions, START, limit=9)
    dead.renew()
    shop.sign_up("ben")
    now = START + LEASE / 2

    def look(_message: Message) -> None:
        nonlocal now
        now = START + LEASE
        living.renew()
        recover(shop.database, {"email": sink}, now)
        assert shop.statuses() == {"ana/hello": "unknown", "ben/hello": "sending"}

    sink = Sink(on_send=look)
    living = Delivery(shop.database, [{"email": sink}], clock=lambda: now)
    living.step(shop.versions, now, limit=9)
    assert sink.contacts == ["ben"]


def housekeep(shop: Shop, sink: Sink, now: datetime) -> None:
    """What a daemon does beside its work: the message is taken for lost, and is to be sent again."""
    recover(shop.database, {"email": sink}, now)
    resend_unknown(shop.database, shop.versions, now)


@pytest.mark.parametrize(
    ("answer", "becomes"),
    [(Sent("late"), "sent"), (Rejected("nobody here"), "failed"), (Unknown("?"), "ready")],
)
def test_a_result_that_comes_late_spares_a_message_its_second_hand_over(
    shop: Shop, answer: Any, becomes: str
) -> None:
    """Nobody renewed the lease, as where the database was away: the message was to be sent again by then."""
    shop = impatient(shop)
    shop.sign_up("ana")
    later = START + LEASE

    def think(_message: Message) -> None:
        housekeep(shop, sink, later)
        assert shop.statuses() == {"ana/hello": "ready"}

    sink = Sink(answers={"ana": answer}, on_send=think)
    deliver(shop.database, shop.versions, {"email": sink}, START)
    assert shop.statuses() == {"ana/hello": becomes}
    again = Sink()
    deliver(shop.database, shop.versions, {"email": again}, later + timedelta(hours=1))
    assert again.contacts == (["ana"] if becomes == "ready" else [])


def test_a_result_that_comes_late_leaves_a_message_to_who_has_claimed_it_since(shop: Shop) -> None:
    shop = impatient(shop)
    shop.sign_up("ana")
    later = START + LEASE

    def think(_message: Message) -> None:
        housekeep(shop, sink, later)
        at = later + timedelta(minutes=1)
        with shop.database.begin() as connection:
            assert messages.take(connection, now=at, lease_until=at + LEASE, limit=9)

    sink = Sink(on_send=think)
    deliver(shop.database, shop.versions, {"email": sink}, START)
    assert shop.statuses() == {"ana/hello": "claimed"}


def test_another_transport_is_not_asked_about_what_it_never_saw(shop: Shop, tmp_path: Path) -> None:
    """Killed while it spoke SMTP, and started again with files: that no file is there says nothing."""

    class Killed(BaseException):
        pass

    def die(_message: Message) -> None:
        raise Killed

    shop.sign_up("ana")
    with pytest.raises(Killed):
        deliver(shop.database, shop.versions, {"email": Sink(on_send=die)}, START)
    with shop.database.read() as connection:
        (listed,) = recovery.listed(connection, MessageStatus.SENDING, limit=9)
    assert listed.provider_id is None
    recover(shop.database, {"email": FileChannel(tmp_path)}, START + LEASE)
    assert shop.statuses() == {"ana/hello": "unknown"}
    assert shop.ledger()["ana/hello"].provider_id is None


def test_a_transport_that_can_be_asked_is_asked(shop: Shop, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    class Dying(FileChannel):
        def send(self, message: Message) -> Result:
            super().send(message)
            raise Killed

    shop.sign_up("ana")
    with pytest.raises(Killed):
        deliver(shop.database, shop.versions, {"email": Dying(tmp_path)}, START)
    recover(shop.database, {"email": FileChannel(tmp_path)}, START + LEASE)
    assert shop.statuses() == {"ana/hello": "sent"}

"""What suppresses an address holds for whoever has it, however it is written, and longer than any contact."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from shop import START, Shop, Sink
from sqlalchemy import delete, insert, select, update
from test_second_look import KEPT, SENT, became, signed_up

from channels.base import RetryLater
from runner.cli.story import contact_json, contact_text
from runner.engine.deliver import Delivery, deliver
from runner.engine.tick import EXACT
from runner.insight.status import read_status, status_json, status_text
from runner.journey.catalog import MESSAGE_BOUNCED, MESSAGE_COMPLAINED, MESSAGE_UNSUBSCRIBED
from runner.store.database import Database
from runner.store.people.contacts import find_contact
from runner.store.sending import suppressed_addresses
from runner.store.sending.suppressed_addresses import (
    Address,
    kept_from,
    note_suppressions,
    suppressed_among,
)
from runner.store.tables import contact, suppressed_address, suppression
from tests.followed import HOUR

SHARED = "Ana@X.example"
"""The address that ana has, as others have typed it in."""


def sharing(database: Database, head: str = "") -> Shop:
    """Ana, and ben who has her address; carl has another one. Messages to all are ready."""
    shop = signed_up(database, "ana", head=head)
    for key, address in (("ben", SHARED), ("carl", "carl@x.example")):
        shop.identify(key, country="US", email=address)
    shop.arrive(shop.event(key, "Signed Up") for key in ("ben", "carl"))
    shop.tick(START)
    return shop


def of(shop: Shop, key: str) -> dict[str, tuple[str, str | None]]:
    return {name.split("/")[1]: what for name, what in became(shop).items() if name.startswith(f"{key}/")}


ALL = ("hello", "receipt", "tip")


def page(shop: Shop, key: str) -> list[str]:
    """What `journeys contacts show` says of suppression."""
    with shop.database.read() as connection:
        found = find_contact(connection, shop.database.deployment, key)
        assert found
        suppressed = kept_from(connection, shop.database.deployment, found)
    told = contact_json(found, [], suppressed, [], shop.catalog)["suppressed"]
    assert [one["told_of_this_contact"] for one in told] == [one.own for one in suppressed]
    text = contact_text(found, [], suppressed, [], shop.catalog)
    return [line.strip() for line in text.partition("Suppressed\n")[2].splitlines()[: len(suppressed)]]


@pytest.mark.parametrize("noted", [False, True])
def test_it_is_shown(database: Database, noted: bool) -> None:
    shop = sharing(database)
    assert page(shop, "ana") == []
    assert "nothing is sent" not in status_text(read_status(database), START)
    shop.arrive([shop.event("ana", MESSAGE_COMPLAINED)])
    shop.tick(START)
    assert not noted or note_suppressions(database) == 1
    since = "complained since 2026-03-01 10:00"
    assert page(shop, "ana") == [f"email, ana@x.example: {since}"]
    assert page(shop, "ben") == [f"email, {SHARED}: {since}, told of somebody else who has this address"]
    assert page(shop, "carl") == []
    assert "addresses to which nothing is sent: 1\n" in status_text(read_status(database), START)
    assert status_json(read_status(database))["suppressed_addresses"] == 1


@pytest.mark.parametrize(
    ("name", "said", "receipts"),
    [
        (MESSAGE_COMPLAINED, {"run": 1, "step": "hello"}, KEPT),
        (MESSAGE_BOUNCED, {}, KEPT),
        (MESSAGE_BOUNCED, {"soft": True}, SENT),
        (MESSAGE_UNSUBSCRIBED, {}, SENT),
    ],
)
def test_another_contact_with_the_address_is_not_written_to(
    database: Database, name: str, said: dict[str, Any], receipts: tuple[str, str | None]
) -> None:
    shop = sharing(database)
    shop.arrive([shop.event("ana", name, **said)])
    shop.tick(START)
    deliver(database, shop.versions, {"email": Sink()}, START)
    others = SENT if said.get("soft") else KEPT
    assert of(shop, "ben") == {"hello": others, "receipt": receipts, "tip": others}
    assert of(shop, "carl") == dict.fromkeys(ALL, SENT)
    with database.read() as connection:
        noted = connection.execute(select(suppressed_address.c.address)).scalars().all()
        assert connection.execute(select(suppression.c.noted)).scalars().all().count(None) == 0
    assert len(noted) == (not said.get("soft"))
    assert not any("x.example" in address.lower() for address in noted)


def test_it_outlives_the_contact_of_whom_it_was_told(database: Database) -> None:
    shop = sharing(database)
    shop.arrive([shop.event("ana", MESSAGE_COMPLAINED)])
    shop.tick(START)
    assert note_suppressions(database) == 1
    with database.begin() as connection:
        connection.execute(delete(suppression))
        connection.execute(update(contact).where(contact.c.key == "ana").values(email=None))
    deliver(database, shop.versions, {"email": Sink()}, START)
    assert of(shop, "ben") == dict.fromkeys(ALL, KEPT)


def test_a_complaint_that_comes_while_a_message_is_handed_over_holds_for_the_next_attempt(
    database: Database,
) -> None:
    shop = sharing(database)

    def complain(_: object) -> None:
        sink.on_send = None
        shop.arrive([shop.event("ana", MESSAGE_COMPLAINED)])
        shop.tick(START)

    sink = Sink(answers={"ben": RetryLater("busy")}, on_send=complain)
    deliver(database, shop.versions, {"email": sink}, START)
    assert {status for status, _ in of(shop, "ben").values()} == {"ready"}
    before = sink.contacts.count("ben")
    deliver(database, shop.versions, {"email": sink}, START + HOUR)
    assert of(shop, "ben") == dict.fromkeys(ALL, KEPT)
    assert sink.contacts.count("ben") == before


def test_in_virtual_time_what_comes_later_does_not_count(database: Database) -> None:
    """A message counts as handed over at the instant that lets it go."""
    shop = sharing(database)
    shop.arrive([shop.event("ana", MESSAGE_COMPLAINED, START + HOUR)])
    shop.tick(START + HOUR, EXACT)
    deliver(database, shop.versions, {"email": Sink()}, START + HOUR, exact=True)
    assert of(shop, "ben") == dict.fromkeys(ALL, SENT)
    shop.arrive([shop.event("ben", "Signed Up", START + 2 * HOUR)])
    shop.tick(START + 2 * HOUR, EXACT)
    deliver(database, shop.versions, {"email": Sink()}, START + 2 * HOUR, exact=True)
    again = [(row.status, row.reason) for name, row in shop.messages() if name[:3] == "ben" and row.run == 2]
    assert again == [KEPT] * 3


def test_what_was_told_before_there_were_notes_is_noted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By several processes at once, in several transactions; of what goes by no address there is nothing to note."""
    monkeypatch.setattr(suppressed_addresses, "MOST", 7)
    shop = Shop(database)
    shop.identify("ana")
    with database.begin() as connection:
        partition, number = connection.execute(select(contact.c.partition, contact.c.id)).one()
        row = {"partition": partition, "contact": number, "since": START, "reason": "bounced"}
        connection.execute(
            insert(suppression),
            [{**row, "channel": "email", "address": f"{each}@x.example"} for each in range(40)]
            + [{**row, "channel": "email", "address": SHARED, "reason": "unsubscribed"}]
            + [{**row, "channel": "email", "address": SHARED.lower()}]
            + [{**row, "channel": "push", "address": "ana"}],
        )
    with ThreadPoolExecutor(3 if database.dialect == "postgresql" else 1) as threads:
        counts = list(threads.map(lambda _: note_suppressions(database), range(9)))
    assert sum(counts) + note_suppressions(database) == 43
    with database.read() as connection:
        reasons = connection.execute(select(suppressed_address.c.reason)).scalars().all()
    assert reasons == ["bounced"] * 41
    assert note_suppressions(database) == 0


def test_of_very_many_that_are_to_be_noted_all_are_heeded_and_a_message_waits_for_few(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an upgrade of a deployment to which very much was told before there were notes."""
    monkeypatch.setattr(suppressed_addresses, "MOST", 7)
    shop = sharing(database)
    partition = database.deployment.partitions - 1
    row = {"partition": partition, "since": START, "reason": "bounced", "channel": "email"}
    addresses = [*(f"{each}@x.example" for each in range(30)), SHARED.upper()]
    with database.begin() as connection:
        connection.execute(
            insert(suppression),
            [{**row, "contact": 1_000 + at, "address": address} for at, address in enumerate(addresses)],
        )
    delivery = Delivery(database, [{"email": Sink()}], clock=lambda: START)
    delivery.step(shop.versions, START, limit=50)
    delivery.finish()
    assert of(shop, "ben") == dict.fromkeys(ALL, KEPT)
    assert of(shop, "carl") == dict.fromkeys(ALL, SENT)
    assert to_note(database) == 24
    # The rest is noted while nothing is ready.
    for _ in range(5):
        delivery.step(shop.versions, START, limit=50)
    assert to_note(database) == 0


def test_what_another_runner_notes_meanwhile_is_heeded(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one look-up leaves is looked for by another: between the two it may be noted."""
    database = postgres_database
    monkeypatch.setattr(suppressed_addresses, "MOST", 7)
    row = {"partition": 0, "since": START, "reason": "bounced", "channel": "email"}
    asked = [Address("email", f"{each}@x.example") for each in range(30)]
    with database.begin() as connection:
        connection.execute(
            insert(suppression),
            [{**row, "contact": at, "address": one.address} for at, one in enumerate(asked, 1_000)],
        )
    spelled = suppressed_addresses._spelled

    def once_others_have_noted(dialect: str) -> Any:
        while note_suppressions(database):
            pass
        return spelled(dialect)

    monkeypatch.setattr(suppressed_addresses, "_spelled", once_others_have_noted)
    with database.engine.connect() as connection:
        found = suppressed_among(connection, database.deployment, asked)
    assert set(found.by_address) == set(asked)


def to_note(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(suppression.c.noted)).scalars().all().count(None)

"""Contacts lie beside those who share their account: made there, and moved, whole and once, whatever happens."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from shop import FILES, START, Shop
from sqlalchemy import event as engine_event
from sqlalchemy import func, select, text, update

from runner.engine.prepare import idempotency_key
from runner.engine.tick import EXACT
from runner.journey.catalog import IDENTIFIED
from runner.store.database import Database
from runner.store.partition import partition_of
from runner.store.people.arrival import Arrival
from runner.store.people.contacts import find_contact
from runner.store.people.moves import OWNED, move_misplaced
from runner.store.sending import messages
from runner.store.tables import contact, event, metadata, placement

HOUR = timedelta(hours=1)


@pytest.fixture(params=["sqlite", "postgresql"])
def apart(request: pytest.FixtureRequest) -> Any:
    """A database of several partitions, once of each kind."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    with Database.scratch(url, partitions=8) as database:
        yield database


def account_elsewhere(key: str, partitions: int) -> str:
    """An account that belongs into another partition than the key."""
    names = (f"account-{number}" for number in range(1_000))
    return next(name for name in names if partition_of(name, partitions) != partition_of(key, partitions))


def identified(key: str, at: datetime, **traits: Any) -> Arrival:
    return Arrival(
        contact=key,
        name=IDENTIFIED,
        at=at,
        properties=traits,
        undeclared={},
        dedup_key=f"identify {key} {at} {sorted(traits.items())}",
    )


def lies(database: Database, key: str) -> list[int]:
    """The partitions in which there is a contact of this key: one, or the key is there twice."""
    with database.read() as connection:
        return list(connection.execute(select(contact.c.partition).where(contact.c.key == key)).scalars())


def owned(database: Database, key: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows that belong to the contact, without their partition."""
    with database.read() as connection:
        found = find_contact(connection, database.deployment, key)
        assert found is not None
        return {
            table.name: sorted(
                tuple(map(str, row))
                for row in connection.execute(
                    select(*(each for each in table.columns if each.name != "partition")).where(
                        table.c.contact == found.identity[1]
                    )
                )
            )
            for table in OWNED
        }


def strays(database: Database) -> dict[str, int]:
    """Rows that belong to nobody in their partition, by table."""
    with database.read() as connection:
        counts = {
            table.name: connection.execute(
                select(func.count())
                .select_from(
                    table.outerjoin(
                        contact,
                        (contact.c.partition == table.c.partition) & (contact.c.id == table.c.contact),
                    )
                )
                .where(contact.c.id.is_(None), table.c.contact.is_not(None))
            ).scalar_one()
            for table in OWNED
        }
    return {name: count for name, count in counts.items() if count}


def test_whoever_is_new_and_has_an_account_is_made_there(apart: Database) -> None:
    shop = Shop(apart)
    elsewhere = account_elsewhere("ana", 8)
    shop.arrive([identified("ana", START, account=elsewhere), identified("ben", START)])
    assert lies(apart, "ana") == [partition_of(elsewhere, 8)]
    assert lies(apart, "ben") == [partition_of("ben", 8)]
    shop.tick(START)
    assert lies(apart, "ana") == [partition_of(elsewhere, 8)]
    # And is found there: nobody is made twice.
    shop.arrive([shop.event("ana", "Left", START), shop.event("ben", "Left", START)])
    assert len(lies(apart, "ana")) == len(lies(apart, "ben")) == 1
    assert not strays(apart)


def test_whoever_changes_the_account_is_moved_with_everything(apart: Database) -> None:
    shop = Shop(apart)
    shop.sign_up("ana")
    shop.arrive([shop.event("ana", "Left", START + HOUR)])
    shop.tick(START + HOUR)
    shop.sign_up("ana", at=START + 2 * HOUR)
    before = owned(apart, "ana")
    assert before["event"]
    assert before["message"]
    for name in ("one", "two", None):
        account = account_elsewhere("ana", 8) if name is None else name
        shop.arrive([identified("ana", START + 3 * HOUR, account=account)], pending=False)
        shop.tick(START + 3 * HOUR)
        assert lies(apart, "ana") == [partition_of(account, 8)], account
    shop.arrive([identified("ana", START + 4 * HOUR, account=None)], pending=False)
    shop.tick(START + 4 * HOUR)
    assert lies(apart, "ana") == [partition_of("ana", 8)]
    with apart.read() as connection:
        assert not connection.execute(select(placement)).all()
    after = owned(apart, "ana")
    for table in before.keys() - {"event"}:
        assert after[table] == before[table], table
    assert {row[1] for row in before["event"]} < {row[1] for row in after["event"]}
    assert not strays(apart)


def test_a_message_keeps_its_key_and_is_sent_once(apart: Database) -> None:
    """Who has a message under way stays until it has been handed over; what was handed over before is known by the
    same key after the move."""
    shop = Shop(apart)
    shop.sign_up("ana")
    deployment = apart.deployment
    with apart.begin() as connection:
        [claimed] = messages.claim(connection, now=START, lease_until=START + HOUR, limit=10)
    key = idempotency_key(deployment, claimed.held.key, claimed.made_in)
    account = account_elsewhere("ana", 8)
    shop.arrive([identified("ana", START, account=account)], pending=False)
    shop.tick(START)
    assert lies(apart, "ana") == [partition_of("ana", 8)]
    with apart.begin() as connection:
        assert messages.release_lapsed(connection, lapsed_by=START + HOUR, now=START + HOUR, limit=10) == 1
    shop.tick(START + HOUR)
    assert lies(apart, "ana") == [partition_of(account, 8)]
    with apart.begin() as connection:
        [again] = messages.claim(connection, now=START + HOUR, lease_until=START + 2 * HOUR, limit=10)
    assert again.held.key != claimed.held.key
    assert idempotency_key(deployment, again.held.key, again.made_in) == key


def test_a_move_that_is_cut_short_has_not_begun(apart: Database) -> None:
    """At whichever of its statements it ends, everything is where it was; the next attempt moves all of it."""
    shop = Shop(apart)
    shop.sign_up("ana", "ben")
    account = account_elsewhere("ana", 8)
    with apart.begin() as connection:
        where = contact.c.key == "ana"
        connection.execute(update(contact).values(belongs_in=partition_of(account, 8)).where(where))
    before, home = owned(apart, "ana"), partition_of("ana", 8)
    allowed = 0

    class Cut(BaseException):
        pass

    def cut(_connection: Any, _cursor: Any, _statement: str, *_: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Cut

    while True:
        left = allowed
        engine_event.listen(apart.engine, "before_cursor_execute", cut)
        try:
            assert move_misplaced(apart, [home], START) == 1
            break
        except Cut:
            pass
        finally:
            engine_event.remove(apart.engine, "before_cursor_execute", cut)
        allowed += 1
        assert lies(apart, "ana") == [home]
        assert owned(apart, "ana") == before
    assert allowed > len(OWNED)
    assert lies(apart, "ana") == [partition_of(account, 8)]
    assert owned(apart, "ana") == before
    assert not strays(apart)


def test_tables_that_name_a_contact_go_with_it() -> None:
    """A new one must say whose its rows are by these two columns."""
    beside = {"shard", "account", "contact", "placement", "begun", "appointing", "firing"}
    beside |= {"broadcast_heard", "broadcast_hearing"}
    beside |= {"address_use", "suppressed_address"}  # an address may be several contacts'
    partitioned = {name for name, table in metadata.tables.items() if "partition" in table.columns}
    assert {table.name for table in OWNED} == partitioned - beside


def test_events_that_arrive_while_their_contact_is_moved_find_it(postgres_url: str) -> None:
    """Two who store events, and one who moves the contact to and fro: no event is lost or lies astray, and nobody is
    made twice."""
    with Database.scratch(postgres_url, partitions=8) as database:
        shop = Shop(database, {"journeys/catalog.yaml": FILES["journeys/catalog.yaml"]})
        keys = ["ana", "ben"]
        accounts = ["one", "two", "three"]
        stop, stored = threading.Event(), [0, 0]

        def store(number: int) -> None:
            while not stop.is_set():
                at = START + timedelta(milliseconds=stored[number])
                arrivals = [
                    Arrival(
                        contact=key,
                        name="Left",
                        at=at,
                        properties={},
                        undeclared={},
                        dedup_key=f"{number} {stored[number]} {key}",
                    )
                    for key in keys
                ]
                shop.arrive(arrivals)
                stored[number] += 1

        threads = [threading.Thread(target=store, args=(number,)) for number in (0, 1)]
        for thread in threads:
            thread.start()
        moved = 0
        try:
            for turn in range(60):
                partition = {key: partition_of(accounts[turn % 3], 8) for key in keys}
                with database.begin() as connection:
                    for key in keys:
                        connection.execute(
                            text("UPDATE contact SET belongs_in = nullif(:to, partition) WHERE key = :key"),
                            {"to": partition[key], "key": key},
                        )
                moved += move_misplaced(database, range(8), START)
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
        assert moved > 60
        assert all(len(lies(database, key)) == 1 for key in keys)
        assert not strays(database)
        with database.read() as connection:
            count = connection.execute(select(func.count()).select_from(event)).scalar_one()
        assert count == sum(stored) * len(keys)


def test_two_who_make_the_same_contact_make_one(postgres_url: str) -> None:
    """One of them knows its account, and puts it elsewhere."""
    with Database.scratch(postgres_url, partitions=8) as database:
        shop = Shop(database, {"journeys/catalog.yaml": FILES["journeys/catalog.yaml"]})
        for turn in range(25):
            key = f"contact-{turn}"
            account = account_elsewhere(key, 8)
            together = threading.Barrier(2)

            def arrive(arrival: Arrival, together: threading.Barrier = together) -> None:
                together.wait(10)
                shop.arrive([arrival])

            both = [identified(key, START, account=account), shop.event(key, "Left", START)]
            threads = [threading.Thread(target=arrive, args=(each,)) for each in both]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            assert len(lies(database, key)) == 1
        shop.tick(START, EXACT)
        assert not strays(database)
        for turn in range(25):
            key = f"contact-{turn}"
            assert lies(database, key) == [partition_of(account_elsewhere(key, 8), 8)]

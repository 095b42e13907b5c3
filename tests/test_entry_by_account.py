"""One run an account at a time: colleagues count as one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from shop import START, Shop
from sqlalchemy import select

from runner.engine.tick import EXACT
from runner.store.database import Database
from runner.store.tables import contact, run

CATALOG = """
events:
  Asked: {topic: string}
topics:
  receipts: {title: Receipts, opt_in: none}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
"""
CALL = """
journey: call
language: 1
title: One call an account
trigger: {event: Asked}
entry: {by: account, per: trigger.topic, reentry: %s}
steps:
  - {id: pause, wait: 1d}
"""


def entered(database: Database, reentry: str, *asked: tuple[str, int, str]) -> list[tuple[Any, ...]]:
    """Who entered, and for which topic, when ``asked`` (key, hour, topic) happened in several partitions."""
    shop = Shop(database, {"journeys/catalog.yaml": CATALOG, "journeys/call/journey.yaml": CALL % reentry})
    for key in ("a1", "a2", "a3"):
        shop.identify(key, START - timedelta(days=1), account="acme")
    for key in ("b1", "none-1", "none-2"):
        shop.identify(key, START - timedelta(days=1), **({"account": "beta"} if key == "b1" else {}))
    for key, hour, topic in asked:
        at = START + timedelta(hours=hour)
        shop.tick(at - timedelta(minutes=1))
        shop.arrive([shop.event(key, "Asked", at, topic=topic)])
        shop.tick(at)
    query = (
        select(contact.c.key, run.c.per)
        .join(contact, (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact))
        .order_by(run.c.entered_at, contact.c.key)
    )
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_colleagues_do_not_enter_while_one_is_in(database: Database) -> None:
    assert entered(
        database,
        "always",
        ("a1", 0, "x"),
        ("a2", 1, "x"),
        ("a2", 2, "y"),
        ("b1", 3, "x"),
        ("none-1", 4, "x"),
        ("none-2", 5, "x"),
        ("a3", 30, "x"),
    ) == [("a1", "x"), ("a2", "y"), ("b1", "x"), ("none-1", "x"), ("none-2", "x"), ("a3", "x")]


def test_reentry_counts_the_entries_of_all(database: Database) -> None:
    assert entered(database, "3d", ("a1", 0, "x"), ("a2", 30, "x"), ("a3", 72, "x"), ("a1", 100, "x")) == [
        ("a1", "x"),
        ("a3", "x"),
    ]


def test_of_colleagues_at_one_instant_one_enters(database: Database) -> None:
    shop = Shop(database, {"journeys/catalog.yaml": CATALOG, "journeys/call/journey.yaml": CALL % "never"})
    keys = [f"c{number}" for number in range(12)]
    for key in keys:
        shop.identify(key, START - timedelta(days=1), account="acme")
    shop.arrive([shop.event(key, "Asked", START, topic="x") for key in keys])
    shop.tick(START)
    with database.read() as connection:
        assert len(connection.execute(select(run.c.contact)).all()) == 1


NUDGE = """
journey: nudge
language: 1
title: Asks for them
trigger: {event: Waits}
steps:
  - {id: pause, wait: 3h}
  - {id: ask, emit: {event: Asked, properties: {topic: z}}}
  - {id: others, condition: 'people(in_journey("call"), by="account") == 1'}
"""


def test_colleagues_go_in_the_order_of_time_though_one_tick_comes_to_all(database: Database) -> None:
    # Side by side, each at its next instant, a3 would enter at hour 7 before a1's timer has brought a1 to hour 6.
    files = {
        "journeys/catalog.yaml": CATALOG.replace("events:", "events:\n  Waits: {}"),
        "journeys/call/journey.yaml": CALL % "always",
        "journeys/nudge/journey.yaml": NUDGE,
    }
    shop = Shop(database, files)
    for key in ("a1", "a2", "a3"):
        shop.identify(key, START - timedelta(days=1), account="acme")
    shop.arrive([shop.event("a1", "Waits", START + timedelta(hours=3))])
    asked = (("a1", 10, "x"), ("a2", 1, "y"), ("a2", 2, "y"), ("a2", 5, "x"), ("a3", 7, "z"))
    shop.arrive(
        [shop.event(key, "Asked", START + timedelta(hours=hour), topic=topic) for key, hour, topic in asked]
    )
    shop.tick(START + timedelta(hours=20), EXACT)
    query = select(contact.c.key, run.c.journey, run.c.per, run.c.status).join(
        contact, (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact)
    )
    with database.read() as connection:
        found = sorted(tuple(row) for row in connection.execute(query))
    assert found == [
        ("a1", "call", "z", "active"),
        ("a1", "nudge", "", "completed"),
        ("a2", "call", "x", "active"),
        ("a2", "call", "y", "active"),
    ]

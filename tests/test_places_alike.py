"""Partitions change nothing: what colleagues do counts on 64 partitions of PostgreSQL as it does on one of SQLite,
whoever joins, leaves and changes accounts, and whenever."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from shop import START, Shop
from sqlalchemy import select

from runner.engine.tick import EXACT
from runner.journey.catalog import ACCOUNT_IDENTIFIED, IDENTIFIED
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.tables import contact, message, run, step_log

CATALOG = """
attributes:
  level: {type: number}
accounts:
  seats: {type: number}
events:
  Used: {amount: number}
  Asked: {}
topics:
  receipts: {title: Receipts, opt_in: none}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
"""
ASKS = """
journey: asks
language: 1
title: What colleagues do
topic: receipts
trigger: {event: Asked}
entry: {reentry: always}
steps:
  - id: who
    branch:
      - name: large
        when: total("Used", "amount", by="account") > 10 and account.seats > 2
        steps: [{id: big, send: {channel: email, template: hello}}]
      - name: several
        when: people(contact.level > 1, by="account") >= 2
        steps: [{id: many, send: {channel: email, template: hello}}]
      - name: just
        when: did("Used", within="5h", by="account")
        steps: [{id: lately, send: {channel: email, template: hello}}]
      - {name: rest, else: []}
  - {id: pause, wait: 90m}
  - id: then
    branch:
      - name: much
        when: count("Used", by="account") > 4
        steps: [{id: often, send: {channel: email, template: hello}}]
      - {name: rest, else: []}
"""
MOVES = """
journey: moves
language: 1
title: A step may say to which account a contact belongs
topic: receipts
trigger: {event: Used, where: event.amount >= 8}
entry: {reentry: 6h}
steps:
  - {id: joins, update: {set: {account: a1}}}
  - {id: moved, wait: 1m}
  - id: colleagues
    branch:
      - name: some
        when: people(contact.level >= 0, by="account") > 2
        steps: [{id: welcome, send: {channel: email, template: hello}}]
      - {name: rest, else: []}
"""
FILES = {
    "journeys/catalog.yaml": CATALOG,
    "journeys/asks/journey.yaml": ASKS,
    "journeys/asks/hello.txt": "---\nsubject: Hello\n---\n{{ account.seats }} seats\n",
    "journeys/moves/journey.yaml": MOVES,
    "journeys/moves/hello.txt": "---\nsubject: Hello\n---\nHello.\n",
}
UNIT = 1_000_000


def lives(seed: int) -> Iterator[tuple[int, list[Arrival]]]:
    """What happens, hour by hour: whoever changes an account does so at an instant of its own."""
    dice = random.Random(seed)
    for hour in range(30):
        arrivals: list[Arrival] = []
        happening = dice.sample(range(12), k=dice.randint(1, 5))
        for number in happening:
            what = dice.choice(("identify", "identify", "used", "used", "used", "asked", "asked", "account"))
            at = START + timedelta(hours=hour, minutes=number)
            key, name, properties = f"c{number}", "Asked", {}
            if what == "account":
                key, name = f"a{number % 4}", ACCOUNT_IDENTIFIED
                properties = {"seats": dice.randint(1, 4) * UNIT}
            elif what == "identify":
                name = IDENTIFIED
                properties = {
                    "email": f"{key}@x.example",
                    "level": dice.randint(0, 3) * UNIT,
                    "account": dice.choice(("a0", "a1", "a2", "a3", None)),
                }
            elif what == "used":
                name, properties = "Used", {"amount": dice.randint(1, 9) * UNIT}
            arrivals.append(
                Arrival(
                    contact=key,
                    name=name,
                    at=at,
                    properties=properties,
                    undeclared={},
                    dedup_key=f"{seed} {hour} {number}",
                )
            )
        yield hour, arrivals


def outcome(database: Database, seed: int) -> dict[str, list[Any]]:
    """All runs, steps and messages, with the keys of their contacts; ticked each hour and an hour later."""
    shop = Shop(database, FILES)
    for hour, arrivals in lives(seed):
        for arrival in sorted(arrivals, key=lambda each: each.at):
            shop.arrive([arrival])
            shop.tick(arrival.at, EXACT)
        shop.tick(START + timedelta(hours=hour, minutes=59), EXACT)
    found = {}
    with database.read() as connection:
        for table, columns in (
            (run, ("id", "journey", "status", "step", "entered_at", "due_at")),
            (step_log, ("run", "step", "outcome", "at")),
            (message, ("run", "step", "status", "let_go_at")),
        ):
            owner = (contact.c.partition == table.c.partition) & (contact.c.id == table.c.contact)
            query = select(contact.c.key, *(table.c[name] for name in columns)).join(contact, owner)
            found[table.name] = sorted(tuple(map(str, row)) for row in connection.execute(query))
        whose = connection.execute(select(contact.c.key, contact.c.account, contact.c.belongs_in)).all()
    found["account"] = sorted((row.key, row.account) for row in whose)
    assert not [row for row in whose if row.belongs_in is not None]
    return found


@pytest.mark.parametrize("seed", [0])
def test_colleagues_count_alike_on_one_partition_and_on_64(postgres_url: str, seed: int) -> None:
    with Database.scratch() as one, Database.scratch(postgres_url, partitions=64) as many:
        alone, apart = outcome(one, seed), outcome(many, seed)
        with many.read() as connection:
            places = connection.execute(select(contact.c.partition)).scalars().all()
        assert len(set(places)) > 2
    assert {row[2] for row in alone["message"]} & {"big", "many", "lately", "often"}
    assert apart == alone

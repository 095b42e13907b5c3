"""Events that have no contact: whoever an equality finds hears them, once."""

from __future__ import annotations

from datetime import timedelta

from plays import holds
from shop import START, Shop
from sqlalchemy import func, select

from runner.engine.tick import tick
from runner.journey.fit import fit_event
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.people.events import NOBODY, Arrival, store_events
from runner.store.tables import broadcast, contact, event, run

CATALOG = """
attributes:
  size: {type: string}
  points: {type: number}
events:
  Looked: {sku: string}
  Back In Stock: {broadcast: true, sku: string, size: string, left: number}
topics:
  receipts: {title: Receipts, opt_in: none}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
"""
BY_SIZE = """
journey: by-size
language: 1
title: Whoever has that size
topic: receipts
trigger: {event: Back In Stock, where: event.size == contact.size and event.left > 1}
entry: {reentry: always}
steps:
  - {id: pause, wait: 1h}
"""
LOOKED = """
journey: looked
language: 1
title: Whoever looked at it
topic: receipts
trigger: {event: Looked}
entry: {per: trigger.sku, reentry: always}
exit:
  - {event: Back In Stock, where: event.sku == trigger.sku and event.left == 0, reason: sold-out}
steps:
  - id: back
    wait:
      event: Back In Stock
      where: trigger.sku == event.sku and event.left > 0
      up_to: 2d
      then: [{id: there, exit: there}]
"""
FILES = {
    "journeys/catalog.yaml": CATALOG,
    "journeys/by-size/journey.yaml": BY_SIZE,
    "journeys/looked/journey.yaml": LOOKED,
}


def test_triggers_exits_and_waits_hear_it_through_an_equality(database: Database) -> None:
    holds(
        database,
        FILES,
        "by-size",
        """
  - name: of the contact
    contact: {id: ana, size: m}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 1h, event: Back In Stock, size: m, left: 5}
      - {at: 3h, event: Back In Stock, size: l, left: 5}
      - {at: 5h, event: Back In Stock, size: m, left: 1}
    expect: [{at: 2h, completed: true}]
  - name: a change of the same instant that came before counts
    contact: {id: bea, size: m}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 1h, identify: {size: l}}
      - {at: 2h, event: Back In Stock, size: l, left: 5}
      - {at: 4h, event: Back In Stock, size: m, left: 5}
    expect: [{at: 3h, completed: true}]
""",
    )
    holds(
        database,
        FILES,
        "looked",
        """
  - name: of what started the run
    contact: {id: ana, size: s}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Looked, sku: a}
      - {at: 10m, event: Looked, sku: b}
      - {at: 1h, event: Back In Stock, sku: c, left: 5}
      - {at: 2h, event: Back In Stock, sku: a, left: 5}
      - {at: 3h, event: Back In Stock, sku: b, left: 0}
    expect:
      - {at: 2h, exit: there}
      - {at: 3h, exit: sold-out}
""",
    )


def send(shop: Shop, key: str, at=START, **properties: object) -> int:  # type: ignore[no-untyped-def]
    fitted = fit_event(shop.catalog, "Back In Stock", properties)
    arrival = Arrival(
        contact=NOBODY,
        name="Back In Stock",
        at=at,
        properties=fitted.properties,
        undeclared={},
        dedup_key=key,
    )
    with shop.database.begin() as connection:
        return store_events(connection, shop.database.deployment, [arrival], pending=True).new


def test_each_contact_gets_one_copy_over_all_partitions(database: Database) -> None:
    shop = Shop(database, FILES)
    people = [f"c{number}" for number in range(40)]
    for number, key in enumerate(people):
        shop.identify(key, START - timedelta(hours=1), size="m" if number % 4 else "l")
    assert send(shop, "one", size="m", left=5) == 1
    assert send(shop, "one", size="m", left=5) == 0
    assert not load_project(FILES).problems
    for _ in range(3):
        while tick(database, shop.versions, START + timedelta(minutes=1)).more:
            pass
    with database.read() as connection:
        copies = connection.execute(
            select(contact.c.key, func.count())
            .join(event, (event.c.partition == contact.c.partition) & (event.c.contact == contact.c.id))
            .where(event.c.name == "Back In Stock")
            .group_by(contact.c.key)
        ).all()
        entered = connection.execute(select(func.count()).select_from(run)).scalar_one()
        still_open = connection.execute(select(broadcast.c.open)).scalars().all()
    assert sorted(tuple(row) for row in copies) == sorted((f"c{n}", 1) for n in range(40) if n % 4)
    assert entered == 30
    assert still_open == [False]

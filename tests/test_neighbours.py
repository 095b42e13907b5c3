"""What happens to others in the same pass changes nothing for anybody."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from runner.engine.tick import EXACT, LIVE, tick
from runner.store.database import Database
from runner.store.tables import contact, run
from tests.shop import START, Shop

CATALOG = """
timezone: UTC
events: {Bought: {zone: string}}
segments: {active: {when: 'did("Bought", within="6h")'}}
channels: {email: {uses: file, sender: {name: Shop, address: hello@shop.example}}}
"""
HEAD = "language: 1\ntitle: T\n"
SEGMENT = {
    "journeys/catalog.yaml": CATALOG,
    "journeys/left/journey.yaml": f"journey: left\n{HEAD}trigger: {{segment: active, change: leave}}\n"
    "steps: [{id: w, wait: 1d}]\n",
    "journeys/other/journey.yaml": f"journey: other\n{HEAD}trigger: {{event: Bought}}\n"
    "steps: [{id: w, wait: 6h}, {id: then, wait: 9d}]\n",
}
ZONE = {
    "journeys/catalog.yaml": CATALOG,
    "journeys/local/journey.yaml": f"journey: local\n{HEAD}trigger: {{event: Bought}}\n"
    'steps: [{id: w, wait: {for: 1d, at: "09:00", timezone: trigger.zone}}]\n',
}


def test_a_segment_is_left_in_time_where_a_timer_is_due_at_that_instant(database: Database) -> None:
    shop = Shop(database, SEGMENT)
    turned = START + timedelta(hours=6)
    shop.arrive([shop.event("ana", "Bought")])
    live(shop, START)
    shop.arrive([shop.event("ben", "Bought", turned + timedelta(seconds=1))])
    live(shop, turned + timedelta(seconds=2))
    with database.read() as connection:
        found = connection.execute(
            select(contact.c.key, run.c.entered_at)
            .join(run, (run.c.partition == contact.c.partition) & (run.c.contact == contact.c.id))
            .where(run.c.journey == "left")
        )
        assert [tuple(row) for row in found] == [("ana", turned)]


def test_a_zone_that_does_not_exist_is_one_whatever_zones_others_have(database: Database) -> None:
    shop = Shop(database, ZONE)
    zones = {
        "nobody": None,
        "wrong": "Mars/Base",
        "empty": "",
        "lower": "europe/berlin",
        "right": "Asia/Tokyo",
    }
    shop.arrive([shop.event(key, "Bought", zone=zone) for key, zone in zones.items()])
    until = START + timedelta(days=3)
    while tick(shop.database, shop.versions, until, EXACT).more:
        pass
    with database.read() as connection:
        assert set(connection.execute(select(run.c.status)).scalars()) == {"completed"}


def live(shop: Shop, now: datetime) -> None:
    while tick(shop.database, shop.versions, now, LIVE).more:
        pass

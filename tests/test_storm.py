"""Thousands of events of one contact hold up nobody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from runner.engine.tick import LIVE, tick
from runner.store.database import Database
from tests.shop import START, Shop


def test_a_storm_on_one_contact_leaves_room_for_the_others(database: Database) -> None:
    shop = Shop(database)
    shop.identify("storm")
    shop.identify("ana")
    storm = [shop.event("storm", "Left", START + timedelta(seconds=n)) for n in range(200)]
    after = START + timedelta(seconds=300)
    shop.arrive([*storm, shop.event("ana", "Signed Up", after, plan="pro", seats=1)])
    tick(database, shop.versions, after, replace(LIVE, contacts=40))
    assert shop.statuses() == {"ana/hello": "ready"}

"""Experiments: newcomers move to the arm that reaches the goal most often; who has an arm keeps it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from runner.engine.experiments import ENOUGH, EVERY, chances_of_being_best, move_traffic, new_shares
from runner.engine.tick import EXACT, tick
from runner.journey.catalog import IDENTIFIED
from runner.store.database import Database
from runner.store.tables import assignment, contact
from runner.store.watching.experiments import ArmCount, ArmShare
from tests.shop import FILES, START, Shop

DAY = timedelta(days=1)
JOURNEY = """journey: greet
language: 1
title: Which greeting is better
topic: offers
trigger: {event: Signed Up}
goal: {event: Signed Up, where: event.plan == "bought", within: 7d}
steps:
  - {id: hello, send: email}
  - id: wording
    split:
      arms:
        - {name: short, percent: 50}
        - {name: long, percent: 50}
      experiment: {metric: goal, winner: bayes, guardrail: unsubscribed, by: [trigger.plan]}
  - {id: a-while, wait: 30d}
"""


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database, {**FILES, "journeys/greet/journey.yaml": JOURNEY})


def arms(shop: Shop) -> dict[str, str]:
    with shop.database.read() as connection:
        found = connection.execute(select(assignment.c.contact, assignment.c.arm))
        return {str(contact): arm for contact, arm in found}


def keys(shop: Shop) -> dict[str, str]:
    """Id to key of all contacts."""
    with shop.database.read() as connection:
        return {str(number): key for number, key in connection.execute(select(contact.c.id, contact.c.key))}


def newcomers(shop: Shop, names: list[str], at: datetime, plan: str) -> None:
    """People with an address and a consent, who sign up at ``at``."""
    known = [
        replace(shop.event(name, IDENTIFIED, START - DAY), properties={"email": f"{name}@x.example"})
        for name in names
    ]
    shop.arrive(known, pending=False)
    shop.grant_all("offers")
    shop.arrive([shop.event(name, "Signed Up", at, plan=plan) for name in names])
    live(shop, at)


def live(shop: Shop, until: datetime) -> None:
    while tick(shop.database, shop.versions, until, EXACT).more:
        pass


def test_newcomers_move_to_the_arm_that_wins_and_nobody_changes_arms(shop: Shop) -> None:
    later = START + EVERY
    newcomers(shop, [f"a{number}" for number in range(3 * ENOUGH)], START, "pro")
    assert move_traffic(shop.database, shop.versions, START) == 1
    before, named = arms(shop), keys(shop)
    short = [named[number] for number, arm in before.items() if arm == "short"]
    shop.arrive([shop.event(key, "Signed Up", later, plan="bought") for key in short])
    live(shop, later)
    # Too little was known then for shares to be kept: it is looked at again whenever it is asked for.
    assert move_traffic(shop.database, shop.versions, later) == 1
    assert move_traffic(shop.database, shop.versions, later + EVERY - timedelta(seconds=1)) == 0
    newcomers(shop, [f"b{number}" for number in range(ENOUGH)], later, "pro")
    newcomers(shop, [f"c{number}" for number in range(ENOUGH)], later, "free")
    after, named = arms(shop), keys(shop)
    assert {number: after[number] for number in before} == before
    drawn = Counter((named[number][0], arm) for number, arm in after.items())
    assert drawn["b", "long"] == 0
    assert drawn["b", "short"] == ENOUGH
    assert drawn["c", "long"] > 0, "of another group too little is known"


def counted(arm: str, reached: int, contacts: int, unsubscribed: int = 0) -> ArmCount:
    return ArmCount(cell="", arm=arm, contacts=contacts, reached=reached, unsubscribed=unsubscribed)


def parts(shares: Sequence[ArmShare]) -> list[tuple[int, int]]:
    return [(share.begins, share.ends) for share in shares]


def test_an_arm_that_drives_people_away_gets_nobody_however_often_it_wins() -> None:
    counts = [counted("calm", 10, 500, 2), counted("loud", 90, 500, 40)]
    assert parts(new_shares(["calm", "loud"], counts, guarded=True)) == [(0, 10_000), (10_000, 10_000)]
    assert parts(new_shares(["calm", "loud"], counts, guarded=False)) == [(0, 0), (0, 10_000)]


def test_little_knowledge_moves_nothing() -> None:
    counts = [counted("one", 0, ENOUGH), counted("two", ENOUGH - 1, ENOUGH - 1)]
    assert new_shares(["one", "two"], counts, guarded=False) == ()
    assert new_shares(["one", "two", "three"], counts, guarded=False) == ()


@pytest.mark.parametrize(
    "results", [[(12, 300), (25, 310)], [(5, 100), (5, 100), (9, 120)], [(0, 100), (0, 400)]]
)
def test_chances_are_those_of_drawing_from_the_same_distributions(results: list[tuple[int, int]]) -> None:
    drawing = random.Random(7)
    wins: Counter[int] = Counter()
    for _ in range(40_000):
        rates = [drawing.betavariate(1 + reached, 1 + trials - reached) for reached, trials in results]
        wins[rates.index(max(rates))] += 1
    chances = chances_of_being_best(results)
    assert sum(chances) == pytest.approx(1)
    for index, chance in enumerate(chances):
        assert chance == pytest.approx(wins[index] / 40_000, abs=0.015)


def test_a_million_contacts_are_no_trouble() -> None:
    chances = chances_of_being_best([(50_000, 1_000_000), (51_000, 1_000_000)])
    assert chances[1] > 0.99

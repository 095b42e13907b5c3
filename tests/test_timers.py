"""Timers that fire at the same instant."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from shop import FILES, START, Shop

from runner.engine.tick import EXACT, LIVE, Pace
from runner.store.database import Database

MARKS = """
journey: alpha
language: 1
title: Marks people
topic: offers
trigger: {event: Left}
steps:
  - {id: pause, wait: 1h}
  - {id: mark, update: {set: {vip: true}}}
"""
ASKS = """
journey: beta
language: 1
title: Asks for the mark
topic: offers
trigger: {event: Signed Up}
steps:
  - {id: pause, wait: 2h}
  - {id: marked, condition: contact.vip}
  - {id: hello, send: email}
"""


@pytest.mark.parametrize("pace", [LIVE, EXACT], ids=["live", "exact"])
@pytest.mark.parametrize("late", [timedelta(0), timedelta(hours=1)], ids=["in time", "late"])
def test_a_full_batch_does_not_tear_the_timers_of_a_contact_apart(
    database: Database, pace: Pace, late: timedelta
) -> None:
    files = {path: text for path, text in FILES.items() if path == "journeys/catalog.yaml"}
    files |= {"journeys/alpha/journey.yaml": MARKS, "journeys/beta/journey.yaml": ASKS}
    files["journeys/beta/hello.txt"] = "---\nsubject: Hello\n---\nHello\n"
    shop = Shop(database, files)
    people = [f"person{number}" for number in range(9)]
    shop.sign_up(*people)
    # Who asks stood there before who marks came; still journeys act in the order of their names.
    halfway = START + timedelta(hours=1)
    shop.arrive(shop.event(key, "Left", halfway) for key in people)
    shop.tick(halfway)
    shop.tick(START + timedelta(hours=2) + late, replace(pace, contacts=3))
    assert shop.statuses() == {f"{key}/hello": "ready" for key in people}

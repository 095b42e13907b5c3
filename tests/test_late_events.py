"""Events that arrive after what they happened before."""

from __future__ import annotations

from datetime import timedelta

from shop import FILES, START, Shop

from runner.store.database import Database

WAITING = """
journey: greet
language: 1
title: Waits for somebody to leave
topic: offers
trigger: {event: Signed Up}
steps:
  - id: leaving
    wait:
      event: Left
      up_to: 2h
      timeout: [{id: stayed, send: {channel: email, template: hello}}]
"""


def test_an_event_from_before_a_run_stood_there_does_not_wake_it(database: Database) -> None:
    shop = Shop(database, {**FILES, "journeys/greet/journey.yaml": WAITING})
    shop.sign_up("anna", "bela")
    shop.arrive(
        [
            shop.event("anna", "Left", START - timedelta(minutes=5)),
            shop.event("bela", "Left", START + timedelta(minutes=5)),
        ]
    )
    shop.tick(START + timedelta(minutes=6))
    shop.tick(START + timedelta(hours=2))
    assert shop.statuses() == {"anna/stayed": "ready"}

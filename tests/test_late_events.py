"""Events that arrive after what they happened before."""

from __future__ import annotations

from datetime import timedelta

from policies import files_of, journey
from shop import FILES, START, Shop
from sqlalchemy import select

from runner.store.database import Database
from runner.store.tables import message

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


ONE_MAIL = """
exit: [{event: Bought, reason: bought}]
steps: [{id: hello, send: {channel: email, valid_for: 2d}}]
"""


def late_shop(database: Database, policies: str, *people: str) -> Shop:
    shop = Shop(database, files_of(policies, {"demo": journey(ONE_MAIL)}))
    for person in people:
        shop.identify(person)
    shop.grant_all("offers")
    return shop


def test_a_message_of_a_late_event_keeps_the_quiet_hours_of_the_present(database: Database) -> None:
    shop = late_shop(database, 'quiet_hours: {from: "21:00", to: "08:00"}', "anna", "bela")
    afternoon, night, morning = (START + timedelta(hours=each) for each in (4, 12, 21))
    shop.arrive(shop.event(each, "Signed Up", afternoon) for each in ("anna", "bela"))
    shop.arrive([shop.event("bela", "Bought", night)])
    shop.tick(night)
    assert shop.statuses() == {}
    shop.tick(morning)
    # Nobody is reminded of what they have bought meanwhile.
    assert {name: row.let_go_at for name, row in shop.ledger().items()} == {"anna/hello": morning}


def test_messages_of_late_events_share_the_places_of_a_cap_that_is_left_now(database: Database) -> None:
    shop = late_shop(database, "frequency_cap: [{max: 1, per: 1h}]", "anna")
    now = START + timedelta(hours=6)
    # The newest first: asked at its own instant, each would find that nothing went before it.
    for hours in (5, 4, 3, 2, 1):
        shop.arrive([shop.event("anna", "Signed Up", START + timedelta(hours=hours))])
        shop.tick(now)
    with database.read() as connection:
        found = connection.execute(select(message.c.status, message.c.reason, message.c.let_go_at)).all()
    assert sorted(tuple(row) for row in found) == [("blocked", "frequency_cap", now)] * 4 + [
        ("ready", None, now)
    ]

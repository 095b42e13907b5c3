"""State that triggers hang on, in a store that lives: history is silent, applies look at everybody once."""

from __future__ import annotations

from datetime import timedelta

from shop import START, Shop
from sqlalchemy import select

from runner.engine.apply import apply_project
from runner.engine.versions import load_versions
from runner.journey.catalog import IDENTIFIED
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.people.events import store_events
from runner.store.tables import contact, membership, run

CATALOG = """
attributes:
  points: {type: number}
events:
  Signed Up: {}
topics:
  receipts: {title: Receipts, opt_in: none}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
segments:
  rich: {when: contact.points >= 100}
"""
JOURNEY = """
journey: %s
language: 1
title: Example
trigger: %s
entry: {reentry: always}
%ssteps:
  - {id: pause, wait: 1d}
"""


def files(existing: str = "") -> dict[str, str]:
    return {
        "journeys/catalog.yaml": CATALOG,
        "journeys/rich/journey.yaml": JOURNEY % ("rich", "{segment: rich, change: enter}", existing),
        "journeys/grew/journey.yaml": JOURNEY % ("grew", "{attribute: points}", ""),
    }


def entered(database: Database) -> list[tuple[str, str]]:
    rows = select(contact.c.key, run.c.journey).join(
        contact, (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact)
    )
    with database.read() as connection:
        return sorted((key, journey) for key, journey in connection.execute(rows))


def identify(shop: Shop, key: str, at: timedelta, points: int, *, live: bool) -> None:
    arrival = Arrival(
        contact=key,
        name=IDENTIFIED,
        at=START + at,
        properties={"points": points * 1_000_000},
        undeclared={},
        dedup_key=f"{key} {at}",
    )
    shop.arrive([arrival], pending=live)


def test_history_that_is_imported_starts_nothing_whenever_it_comes(database: Database) -> None:
    shop = Shop(database, files())
    shop.identify("ana", points=1)
    shop.identify("bea", points=1)
    shop.tick(START)
    # Beside the timeline, and, for one who has something to be handled, on it.
    identify(shop, "ana", timedelta(hours=1), 500, live=False)
    shop.arrive([shop.event("bea", "Signed Up", START + timedelta(hours=1))])
    identify(shop, "bea", timedelta(hours=1), 500, live=False)
    identify(shop, "cleo", timedelta(hours=1), 500, live=False)
    shop.tick(START + timedelta(hours=2))
    shop.arrive(shop.event(key, "Signed Up", START + timedelta(hours=3)) for key in ("ana", "bea", "cleo"))
    shop.tick(START + timedelta(hours=3))
    assert entered(database) == []
    with database.read() as connection:
        assert len(connection.execute(select(membership.c.contact).where(membership.c.inside)).all()) == 3
    identify(shop, "ana", timedelta(hours=4), 5, live=True)
    identify(shop, "ana", timedelta(hours=5), 900, live=True)
    shop.tick(START + timedelta(hours=5))
    assert entered(database) == [("ana", "grew"), ("ana", "rich")]


def test_what_time_has_done_since_an_old_event_starts_a_run_and_of_history_does_not(
    database: Database,
) -> None:
    quiet = {
        "journeys/catalog.yaml": f'{CATALOG}  quiet: {{when: days_since("Signed Up") >= 60}}\n',
        "journeys/back/journey.yaml": JOURNEY % ("back", "{segment: quiet, change: enter}", ""),
        "journeys/new/journey.yaml": JOURNEY % ("new", "{event: Signed Up}", ""),
    }
    shop = Shop(database, quiet)
    shop.identify("live")
    shop.identify("past")
    for key in ("live", "past"):
        with database.begin() as connection:
            store_events(
                connection,
                database.deployment,
                [shop.event(key, "Signed Up", START - timedelta(days=90))],
                received_at=START,
                pending=key == "live",
            )
    shop.tick(START)
    shop.tick(START + timedelta(hours=1))
    assert entered(database) == [("live", "back")]


def test_existing_people_enter_once_over_ticks_and_applies(database: Database) -> None:
    shop = Shop(database, files("existing: enter\n"))
    for number in range(20):
        shop.identify(f"c{number}", points=100 if number % 2 else 1)
    for hour in range(3):
        shop.tick(START + timedelta(hours=hour))
        shop.versions = load_versions(database)
    rich = [(f"c{number}", "rich") for number in range(1, 20, 2)]
    assert entered(database) == sorted(rich)
    # Another version of the same trigger is entered by nobody who is in it already.
    again = {path: text.replace("wait: 1d", "wait: 2d") for path, text in files("existing: enter\n").items()}
    apply_project(
        database, load_project(again), now=START + timedelta(days=3), author="tests", git_commit=None
    )
    shop.versions = load_versions(database)
    shop.tick(START + timedelta(days=3))
    assert entered(database) == sorted(rich)


def test_an_idle_tick_asks_no_more_once_everybody_was_looked_at(database: Database) -> None:
    shop = Shop(database, files())
    shop.identify("ana", points=100)
    shop.tick(START)
    assert shop.versions.all_begun
    identify(shop, "ana", timedelta(hours=1), 1, live=True)
    shop.tick(START + timedelta(hours=1))
    assert entered(database) == [("ana", "grew")]

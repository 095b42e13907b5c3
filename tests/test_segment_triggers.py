"""Triggers by segments: who comes in, who leaves, by what happens and by time alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from plays import holds
from sqlalchemy import select

from runner.engine.apply import apply_project
from runner.engine.tick import LIVE, tick
from runner.engine.versions import load_versions
from runner.journey.catalog import IDENTIFIED
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.tables import contact, run
from tests.shop import CATALOG as SHOP
from tests.shop import START, Shop

CATALOG = """
timezone: Asia/Tbilisi
attributes:
  plan: {type: string, one_of: [free, pro]}
  points: {type: number}
events:
  Signed Up: {plan: string}
  Ordered: {amount: number}
topics:
  offers: {title: Offers, opt_in: explicit}
  receipts: {title: Receipts, opt_in: none}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
segments:
  rich: {when: contact.points >= 100}
  buyers: {when: 'total("Ordered", "amount") >= 10'}
  active: {when: 'did("Ordered", within="3d")'}
  quick: {when: 'did("Ordered", within="90m")', refresh: 15m}
  subscribed: {when: 'consented("offers", "email")'}
"""
SEND = "topic: receipts\nsteps:\n  - {id: hello, send: email}\n"
TEMPLATE = "---\nsubject: '{{ trigger.segment }}'\n---\nHello\n"


def project(**journeys: str) -> dict[str, str]:
    files = {"journeys/catalog.yaml": CATALOG}
    for name, text in journeys.items():
        files[f"journeys/{name}/journey.yaml"] = f"journey: {name}\nlanguage: 1\ntitle: Example\n{text}"
        if "send:" in text:
            files[f"journeys/{name}/hello.txt"] = TEMPLATE
    return files


def on(segment: str, change: str, more: str = "") -> str:
    return f"trigger: {{segment: {segment}, change: {change}}}\nentry: {{reentry: always}}\n{more}{SEND}"


def sent(*at: str) -> str:
    return "".join(
        f"\n      - {{at: {each}, send: hello}}\n      - {{at: {each}, completed: true}}" for each in at
    )


def test_who_comes_in_by_an_identify_enters_and_who_is_in_already_does_not(database: Database) -> None:
    events = """
    events:
      - {at: 1h, identify: {points: 100}}
      - {at: 2h, identify: {points: 500}}
      - {at: 3h, identify: {points: 5}}
      - {at: 4h, event: Signed Up}
      - {at: 5h, identify: {points: 101}}"""
    tests = """
  - name: in and out
    contact: {id: ana, points: 99}
    start: 2026-03-01T10:00:00Z%s
    expect:%s
  - name: in from the beginning
    contact: {id: bea, points: 100}
    start: 2026-03-01T10:00:00Z%s
    expect:%s
"""
    enter = tests % (events, sent("1h", "5h"), events, sent("5h"))
    leave = tests % (events, sent("3h"), events, sent("3h"))
    files = project(into=on("rich", "enter"), out=on("rich", "leave"))
    holds(database, files, "into", enter)
    holds(database, files, "out", leave)


GIVES = """
trigger: {event: Signed Up}
steps:
  - {id: pause, wait: 1h}
  - {id: gift, update: {set: {points: 100}}}
  - {id: seen, condition: contact.points == 100}
"""


def test_events_updates_and_consents_bring_people_in(database: Database) -> None:
    files = project(
        rich=on("rich", "enter"),
        buyers=on("buyers", "enter"),
        subscribed=on("subscribed", "enter"),
        gives=GIVES,
    )
    tests = """
  - name: by what happens
    with: [gives]
    contact: {id: ana, points: 1}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up}
      - {at: 10m, event: Ordered, amount: 9}
      - {at: 20m, event: Ordered, amount: 1}
      - {at: 30m, event: Ordered, amount: 1}
      - {at: 40m, consent: offers, change: given}
    expect:%s
"""
    holds(database, files, "rich", tests % sent("1h"))
    holds(database, files, "buyers", tests % sent("20m"))
    holds(database, files, "subscribed", tests % sent("40m"))


def test_existing_people_enter_where_the_journey_says_so(database: Database) -> None:
    files = project(into=on("rich", "enter", "existing: enter\n"), skips=on("rich", "enter"))
    tests = """
  - name: rich already
    contact: {id: ana, points: 100}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 1h, event: Signed Up}
    expect:%s
  - name: not rich yet
    contact: {id: bea, points: 1}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 1h, identify: {points: 100}}
    expect:%s
"""
    holds(database, files, "into", tests % (sent("0m"), sent("1h")))
    holds(database, files, "skips", tests % (" []", sent("1h")))


def test_time_alone_takes_people_out_at_a_refresh(database: Database) -> None:
    """Three days after the order at 10:20 the segment is left; that is seen, and dated, on the hour in UTC. An event in
    between sees it at once."""
    files = project(out=on("active", "leave"), quick=on("quick", "leave"))
    holds(
        database,
        files,
        "out",
        """
  - name: at the next full hour
    contact: {id: ana}
    start: 2026-03-01T10:20:00Z
    events:
      - {at: 0m, event: Ordered, amount: 1}
    expect:
      - {at: 2026-03-04T11:00:00Z, send: hello}
      - {at: 2026-03-04T11:00:00Z, completed: true}
  - name: read at an event before that
    contact: {id: bea}
    start: 2026-03-01T10:20:00Z
    events:
      - {at: 0m, event: Ordered, amount: 1}
      - {at: 2026-03-04T10:30:00Z, event: Signed Up}
    expect:
      - {at: 2026-03-04T10:30:00Z, send: hello}
      - {at: 2026-03-04T10:30:00Z, completed: true}
  - name: another order keeps them in
    contact: {id: cleo}
    start: 2026-03-01T10:20:00Z
    events:
      - {at: 0m, event: Ordered, amount: 1}
      - {at: 2d, event: Ordered, amount: 1}
    expect:
      - {at: 2026-03-06T11:00:00Z, send: hello}
      - {at: 2026-03-06T11:00:00Z, completed: true}
  - name: back before the refresh, so never gone
    contact: {id: dora}
    start: 2026-03-01T10:20:00Z
    until: 4d
    events:
      - {at: 0m, event: Ordered, amount: 1}
      - {at: 2026-03-04T10:40:00Z, event: Ordered, amount: 1}
    expect: []
""",
    )
    holds(
        database,
        files,
        "quick",
        """
  - name: every quarter of an hour
    contact: {id: ana}
    start: 2026-03-01T10:20:00Z
    events:
      - {at: 0m, event: Ordered, amount: 1}
    expect:
      - {at: 2026-03-01T12:00:00Z, send: hello}
      - {at: 2026-03-01T12:00:00Z, completed: true}
""",
    )


QUIET = """
journey: greet
language: 1
title: Who has not signed up
topic: receipts
trigger: {segment: quiet, change: enter}
entry: {reentry: always}
steps:
  - {id: done, exit: done}
"""


@pytest.mark.parametrize(("existing", "enter"), [("", ["ana"]), ("existing: enter\n", ["ana", "bea"])])
def test_who_becomes_known_between_an_apply_and_the_first_look_comes_in(
    database: Database, existing: str, enter: list[str]
) -> None:
    shop = Shop(database)
    shop.identify("bea")
    segment = 'segments: {quiet: {when: \'not did("Signed Up", within="30d")\'}}\n'
    files = {"journeys/catalog.yaml": SHOP + segment, "journeys/greet/journey.yaml": QUIET + existing}
    applied = START + timedelta(days=1)
    apply_project(database, load_project(files), now=applied, author="tests", git_commit=None)
    versions = load_versions(database)
    known = applied + timedelta(seconds=1)
    shop.arrive([replace(shop.event("ana", "Left", known), name=IDENTIFIED)])
    while tick(database, versions, known + timedelta(seconds=1), LIVE).more:
        pass
    who = select(contact.c.key).join(
        run, (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact)
    )
    with database.read() as connection:
        assert sorted(connection.execute(who).scalars()) == enter

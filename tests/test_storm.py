"""A storm on one contact holds up nobody else, and nothing that a run causes goes on for ever."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from runner.engine.imports import import_file
from runner.engine.tick import LIVE, tick
from runner.journey.catalog import CONTACT_UPDATED
from runner.journey.project import load_project
from runner.journey.reserved import OWN_EVENTS
from runner.store.database import Database
from runner.store.tables import event, run
from tests.shop import FILES, START, Shop

ORDINARY = 1_000


def test_a_storm_on_one_contact_leaves_room_for_the_others(database: Database) -> None:
    shop = Shop(database)
    shop.identify("storm")
    shop.identify("ana")
    storm = [shop.event("storm", "Left", START + timedelta(seconds=n)) for n in range(200)]
    after = START + timedelta(seconds=300)
    shop.arrive([*storm, shop.event("ana", "Signed Up", after, plan="pro", seats=1)])
    tick(database, shop.versions, after, replace(LIVE, contacts=40))
    assert shop.statuses() == {"ana/hello": "ready"}


@pytest.mark.parametrize("size", [20_000])
def test_a_thousand_others_are_served_before_a_storm_is_over(database: Database, size: int) -> None:
    """``size`` 100,000 is the long form; the time that the others wait does not grow with it."""
    shop = Shop(database)
    shop.arrive(
        shop.event("storm", "Signed Up", START + timedelta(milliseconds=number), plan="pro", seats=number)
        for number in range(size)
    )
    after = START + timedelta(milliseconds=size)
    shop.arrive(
        shop.event(f"c{number:04}", "Signed Up", after, plan="pro", seats=1) for number in range(ORDINARY)
    )
    tick(database, shop.versions, after)
    with database.read() as connection:
        waiting = connection.execute(
            select(func.count()).select_from(event).where(event.c.pending)
        ).scalar_one()
    # The storm has had as many turns as anybody, and the others are through, in the first transaction.
    assert size - LIVE.passes <= waiting < size
    assert sum(name.startswith("c") for name in shop.statuses()) == ORDINARY
    # And it goes on, a few at a time, while those who come later have their turn as well.
    later = after + timedelta(seconds=1)
    shop.arrive([shop.event("late", "Signed Up", later, plan="pro", seats=1)])
    tick(database, shop.versions, later)
    assert "late/hello" in shop.statuses()


PING = """
journey: {name}
language: 1
title: Changes a contact when it has changed
topic: offers
trigger: {{event: {event}}}
entry: {{reentry: always}}
steps:
  - id: touch
    update: {{set: {{points: {points}}}}}
"""


@pytest.mark.parametrize("caused", sorted(OWN_EVENTS))
def test_no_journey_is_entered_by_what_another_causes(caused: str) -> None:
    """So two journeys cannot call each other for ever: a run causes nothing but changes of its contact, which end and
    wake runs, and programs have no way back."""
    files = {
        **FILES,
        "journeys/ping/journey.yaml": PING.format(name="ping", event=caused, points=1),
        "journeys/pong/journey.yaml": PING.format(name="pong", event=caused, points=2),
    }
    problems = load_project(files).problems
    assert {problem.span.file for problem in problems if problem.code == "event/unknown"} == {
        "journeys/ping/journey.yaml",
        "journeys/pong/journey.yaml",
    }
    declared = FILES["journeys/catalog.yaml"].replace("  Left: {}", f"  Left: {{}}\n  {caused}: {{}}")
    codes = {problem.code for problem in load_project({**files, "journeys/catalog.yaml": declared}).problems}
    assert "event/reserved" in codes


SPEAKING = """
journey: speaking
language: 1
title: Speaks of what nobody may speak of
topic: receipts
trigger: {event: Signed Up}
exit:
  - {event: NAME, reason: left}
  - {when: 'count("NAME") > 3', reason: many}
goal: {event: NAME, within: 1d}
steps:
  - {id: pause, wait: {event: NAME, up_to: 1d}}
"""


@pytest.mark.parametrize("caused", sorted(OWN_EVENTS))
def test_no_journey_speaks_of_what_the_runner_tells_itself(caused: str) -> None:
    speaking = SPEAKING.replace("NAME", caused)
    problems = load_project({**FILES, "journeys/speaking/journey.yaml": speaking}).problems
    assert sorted(problem.code for problem in problems) == [
        *["event/unknown"] * 3,
        "expression/unknown-event",
    ]


HEARING = {
    "at": "attribute: points",
    "segment": "segment: rich, change: enter",
    "consent": "consent: offers, change: given",
    "ended": "journey: greet",
    "by-hand": "manual: true, properties: {k: number}",
    "clock": 'schedule: "0 9 20 * *"',
    "date": "date: contact.born",
}


def test_what_arrives_under_the_name_of_an_internal_event_starts_nothing(
    database: Database, tmp_path: Path
) -> None:
    files = {
        f"journeys/{name}/journey.yaml": PING.format(name=name, event="x", points=1).replace(
            "{event: x}", f"{{{trigger}}}"
        )
        for name, trigger in HEARING.items()
    }
    catalog = f"{FILES['journeys/catalog.yaml']}segments: {{rich: {{when: contact.points > 1}}}}\n"
    shop = Shop(database, {**FILES, **files, "journeys/catalog.yaml": catalog})
    shop.identify("ana")
    said = {
        "attribute": "points",
        "old": None,
        "new": 5,
        "segment": "rich",
        "topic": "offers",
        "channel": "*",
    }
    said |= {"change": "given", "outcome": "completed", "run": 1, "k": 1, "date": "2026-03-01", "cause": "x"}
    said |= {"link": "x", "step": "touch", "visit": 1}
    lines = [
        {
            "type": "track",
            "userId": "ana",
            "event": name,
            "properties": {**said, "journey": journey, "of": "*", "at": "2026-03-01T10:00:00.000000Z"},
            "timestamp": START.isoformat(),
            "messageId": f"{name} {journey}",
        }
        for name in sorted(OWN_EVENTS)
        for journey in ("greet", *HEARING)
    ]
    told = tmp_path / "told.ndjson"
    told.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    taken = import_file(
        database, shop.catalog, told, received_at=START, pending=True, rejects=tmp_path / "rejects", batch=500
    )
    assert taken.stored.new + taken.rejected_lines == len(lines)
    while tick(database, shop.versions, START).more:
        pass
    with database.read() as connection:
        assert connection.execute(select(run.c.journey)).scalars().all() == []


def test_journeys_that_change_the_same_contact_come_to_rest(database: Database) -> None:
    journey = """
journey: {name}
language: 1
title: Changes a contact while others look
topic: offers
trigger: {{event: Signed Up}}
exit:
  - {{when: contact.points > 100, reason: enough}}
steps:
  - id: first
    update: {{set: {{points: {one}}}}}
  - id: until
    wait: {{until: contact.born, at: "09:00", if_missing: continue}}
  - id: second
    update: {{set: {{points: {other}, born: 2026-03-0{day}}}}}
  - id: rest
    wait: 1d
"""
    files = {
        **FILES,
        **{
            f"journeys/{name}/journey.yaml": journey.format(name=name, one=one, other=one + 1, day=one)
            for name, one in (("ping", 2), ("pong", 4))
        },
    }
    shop = Shop(database, files)
    shop.identify("ana")
    shop.arrive([shop.event("ana", "Signed Up", plan="pro", seats=1)])
    ticks = 0
    while tick(database, shop.versions, START).more:
        ticks += 1
        assert ticks < 20
    with database.read() as connection:
        caused = connection.execute(
            select(func.count()).select_from(event).where(event.c.name == CONTACT_UPDATED)
        ).scalar_one()
    assert 0 < caused <= 4

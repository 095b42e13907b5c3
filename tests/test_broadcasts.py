"""Events that have no contact: whoever an equality finds hears them, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from plays import holds
from shop import START, Shop
from sqlalchemy import delete, func, insert, select

from runner.cli import run as cli
from runner.engine.tick import LIVE, Pace, tick
from runner.journey.fit import fit_event
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.people.arrival import NOBODY, Arrival
from runner.store.people.events import store_events
from runner.store.tables import broadcast, broadcast_hearing, contact, event, run
from tests.written import write_files

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


def send(  # type: ignore[no-untyped-def]
    shop: Shop, key: str, at=START, received_at=None, **properties: object
) -> int:
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
        return store_events(
            connection, shop.database.deployment, [arrival], pending=True, received_at=received_at
        ).new


def test_each_contact_gets_one_copy_over_all_partitions(database: Database) -> None:
    shop = Shop(database, FILES)
    people = [f"c{number}" for number in range(40)]
    for number, key in enumerate(people):
        shop.identify(key, START - timedelta(hours=1), size="m" if number % 4 else "l")
    assert send(shop, "one", size="m", left=5) == 1
    assert send(shop, "one", size="m", left=5) == 0
    assert not load_project(FILES).problems
    for _ in range(3):
        while tick(database, shop.versions, START + timedelta(minutes=1), Pace(contacts=15)).more:
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


def test_one_is_sent_by_command_and_by_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = CATALOG.replace("size: {type: string}", "size: {type: string, one_of: [m, l]}", 1)
    more = chosen.replace("topics:", "  Course Cancelled: {broadcast: true}\ntopics:")
    write_files(tmp_path, {**FILES, "journeys/catalog.yaml": more})
    (tmp_path / "journeys.yaml").write_text("database: sqlite:///shop.db\n", encoding="utf-8")
    people = tmp_path / "people.csv"
    people.write_text("id,size\nana,m\nbea,l\n", encoding="utf-8")
    lines = tmp_path / "lines.ndjson"
    lines.write_text(
        '{"type": "track", "event": "Back In Stock", "properties": {"size": "l", "left": 9}, "messageId": "b1"}\n'
    )

    def call(*arguments: str, code: int = 0) -> str:
        assert cli([*arguments, "--project", str(tmp_path)]) == code
        printed = capsys.readouterr()
        return printed.out + printed.err

    call("apply")
    call("contacts", "import", str(people))
    sent = (
        "events",
        "send",
        "Back In Stock",
        "--broadcast",
        "--set",
        "size=m",
        "--set",
        "left=5",
        "--key",
        "k",
    )
    assert "No journey that is in force listens for `Course Cancelled`" in call(
        "events", "send", "Course Cancelled", "--broadcast"
    )
    silent = call("events", "send", "Back In Stock", "--broadcast", "--set", "left=5")
    assert "warning: `by-size` compares `size`, which this event does not have: nobody hears it." in silent
    assert "warning: `looked` compares `sku`, which this event does not have: nobody hears it." in silent
    wrong = call("events", "send", "Back In Stock", "--broadcast", "--set", "size=xxl")
    assert "`by-size` compares `size` with `contact.size`, which is never 'xxl', but `m` or `l`" in wrong
    assert call(*sent) == "Back In Stock was sent.\n"
    assert "nothing happens" in call(*sent)
    assert "The key is longer than 255 characters." in call(*sent, "--key", "k" * 256, code=1)
    assert "1 new" in call("events", "import", "--live", str(lines))
    assert "1 already there" in call("events", "import", "--live", str(lines))
    assert "Did you mean `Back In Stock`?" in call("events", "send", "Back In Stok", "--broadcast", code=1)
    assert "has no property 'siz'" in call(
        "events", "send", "Back In Stock", "--broadcast", "--set", "siz=m", code=1
    )
    call("run", "--once")
    call("run", "--once")
    database = Database.open(f"sqlite:///{tmp_path}/shop.db")
    query = select(contact.c.key).join(
        run, (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact)
    )
    with database.read() as connection:
        assert sorted(connection.execute(query).scalars()) == ["ana", "bea"]
    database.close()


DAILY = """
journey: daily
language: 1
title: Whoever has no size
topic: receipts
trigger: {schedule: "0 12 * * *", timezone: UTC}
steps:
  - {id: pause, wait: 1h}
"""


def entered(database: Database, journey: str) -> list[str]:
    """Who has entered the journey, each as often as they have."""
    people = select(contact.c.key).join(
        run, (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact)
    )
    with database.read() as connection:
        return sorted(connection.execute(people.where(run.c.journey == journey)).scalars())


@pytest.mark.parametrize("schedule_first", [False, True])
def test_each_portion_acts_at_once_unless_something_else_comes_first(
    database: Database, schedule_first: bool
) -> None:
    """Who comes to a partition that has begun to hear it has missed it."""
    shop = Shop(database, {**FILES, "journeys/daily/journey.yaml": DAILY})
    noon = START + timedelta(hours=2)
    shop.tick(START)
    people = [f"c{number}" for number in range(40)]
    for key in people:
        shop.identify(key, START, size="m")
    send(shop, "one", noon + timedelta(minutes=1 if schedule_first else -1), size="m", left=5)
    now, pace = noon + timedelta(minutes=1 if schedule_first else -1), Pace(contacts=15)
    assert tick(database, shop.versions, now, pace).more
    first = entered(database, "by-size")
    assert bool(first) is not schedule_first
    assert len(first) < len(people)
    shop.identify("late", now, size="m")
    shop.tick(noon + timedelta(minutes=2), pace)
    heard = entered(database, "by-size")
    assert heard in (sorted(people), sorted([*people, "late"]))
    assert database.dialect == "postgresql" or "late" not in heard
    assert set(entered(database, "daily")) == {*people, "late"}


def test_an_older_runner_that_tells_the_rest_at_once_tells_nobody_twice(database: Database) -> None:
    """One from before portions were kept: it does not look at how far a partition has come, nor write it down."""
    shop = Shop(database, FILES)
    shop.tick(START)
    people = [f"c{number}" for number in range(40)]
    for key in people:
        shop.identify(key, START, size="m")
    send(shop, "one", START, size="m", left=5)
    assert tick(database, shop.versions, START, Pace(contacts=2)).more
    assert 0 < len(entered(database, "by-size")) < len(people)
    with database.begin() as connection:
        hearing = [dict(row._mapping) for row in connection.execute(select(broadcast_hearing))]
        assert hearing
        connection.execute(delete(broadcast_hearing))
    assert tick(database, shop.versions, START, replace(LIVE, partitions=2)).more
    with database.begin() as connection:
        connection.execute(delete(broadcast_hearing))
        connection.execute(insert(broadcast_hearing), hearing)
    shop.tick(START, Pace(contacts=2))
    assert entered(database, "by-size") == sorted(people)
    with database.read() as connection:
        assert connection.execute(select(func.count()).where(broadcast.c.open)).scalar_one() == 0


COUNTED = """
journey: counted
language: 1
title: How often it came in that size
topic: receipts
trigger: {event: Back In Stock, where: event.size == contact.size}
entry: {reentry: always}
steps:
  - {id: count, update: {set: {points: = contact.points + 1}}}
"""
GROWN = """
journey: grown
language: 1
title: Who has points takes the larger size
topic: receipts
trigger: {attribute: points}
entry: {reentry: always}
steps:
  - {id: grow, update: {set: {size: l}}}
"""


@pytest.mark.parametrize("size", [20_000, 3])
def test_two_of_one_instant_are_heard_alike_whatever_the_size_of_a_batch(
    database: Database, size: int
) -> None:
    """What the first brings about comes behind the second, which therefore finds everybody as they were."""
    files = {**FILES, "journeys/counted/journey.yaml": COUNTED, "journeys/grown/journey.yaml": GROWN}
    shop = Shop(database, files)
    people = [f"c{number}" for number in range(7)]
    for key in people:
        shop.identify(key, START, size="m", points=0)
    shop.tick(START)
    for key, of_size in (("one", "m"), ("two", "l")):
        send(shop, key, START + timedelta(minutes=1), size=of_size, left=1)
    shop.tick(START + timedelta(minutes=2), Pace(contacts=size))
    assert entered(database, "counted") == people
    assert entered(database, "grown") == people


def test_one_that_is_received_later_than_it_happened_starts_what_was_applied_between(
    database: Database,
) -> None:
    """As an event of one's own does."""
    shop = Shop(database, FILES)
    shop.identify("ana", START - timedelta(days=3), size="m")
    applied = START - timedelta(days=1)
    now = applied + timedelta(hours=1)
    send(shop, "one", applied - timedelta(hours=1), received_at=now, size="m", left=5)
    shop.tick(now)
    assert entered(database, "by-size") == ["ana"]

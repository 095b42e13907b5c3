"""A contact, an event or a template that nothing can be done with is set aside alone, with its reason."""

from __future__ import annotations

import json
import random
import string
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from channels.file import FileChannel
from runner.engine import poison
from runner.engine.deliver import deliver
from runner.engine.imports import import_file
from runner.engine.tick import tick
from runner.journey.catalog import CONSENT_GRANTED, IDENTIFIED
from runner.store.database import Database
from runner.store.people.arrival import NOBODY, Arrival
from runner.store.tables import contact, event, membership, run
from tests.failing_runs import failing, failing_runs, tick_all
from tests.shop import FILES, START, Shop, Sink

DAY = START + timedelta(days=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database)


def poison_event(shop: Shop, key: str, at: Any = START) -> None:
    """Store an event of ``key`` on which a statement of the engine fails, by a way round the importers' checks."""
    noise = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=9_000))
    on_postgres = shop.database.dialect == "postgresql"
    arrival = Arrival(
        contact=key,
        name=CONSENT_GRANTED if on_postgres else IDENTIFIED,
        at=at,
        # Too long for the index of consents.
        properties={"topic": "offers", "channel": noise} if on_postgres else {"points": 1},
        undeclared={},
        dedup_key=f"poison {key} {at}",
    )
    shop.arrive([arrival])
    if not on_postgres:
        with shop.database.begin() as connection:
            connection.execute(
                text("UPDATE event SET properties = '{\"broken' WHERE dedup_key = :key"),
                {"key": arrival.dedup_key},
            )


def runs(shop: Shop) -> dict[str, tuple[str, str | None]]:
    with shop.database.read() as connection:
        return {
            row.key: (row.status, row.reason)
            for row in connection.execute(
                contact.select()
                .join(run, (run.c.partition == contact.c.partition) & (run.c.contact == contact.c.id))
                .with_only_columns(contact.c.key, run.c.status, run.c.reason)
            )
        }


def members(shop: Shop) -> list[str]:
    """Who is in a segment."""
    same = (contact.c.partition == membership.c.partition) & (contact.c.id == membership.c.contact)
    with shop.database.read() as connection:
        found = select(contact.c.key).join(membership, same).where(membership.c.inside)
        return list(connection.execute(found.order_by(contact.c.key)).scalars())


def waiting(shop: Shop) -> int:
    with shop.database.read() as connection:
        return len(connection.execute(event.select().where(event.c.pending)).all())


# What only a statement fails on -----------------------------------------------------------------------------------


def test_an_event_that_a_statement_fails_on_is_skipped_alone(shop: Shop) -> None:
    people = [f"c{number:02}" for number in range(30)]
    shop.sign_up("worst")
    for key in people:
        shop.identify(key)
    poison_event(shop, "worst")
    shop.arrive(shop.event(key, "Signed Up", plan="pro", seats=1) for key in people)
    with pytest.raises(Exception, match=r"malformed JSON|index row"):
        tick(shop.database, shop.versions, START)
    tick_all(shop)
    assert waiting(shop) == 0
    found = runs(shop)
    status, reason = found.pop("worst")
    assert status == "set_aside"
    assert reason is not None
    assert reason.startswith("the engine failed on this contact: ")
    assert "broken" not in reason
    assert set(found.values()) == {("active", None)}
    assert len(found) == 30
    tick_all(shop, DAY)
    assert set(runs(shop).values()) == {("set_aside", reason), ("completed", None)}


def test_a_contact_with_many_bad_events_is_done_with_at_once(shop: Shop) -> None:
    shop.sign_up("worst")
    shop.identify("ana")
    for second in range(5):
        poison_event(shop, "worst", START + timedelta(seconds=second))
    shop.arrive([shop.event("ana", "Signed Up", plan="pro", seats=1)])
    tick_all(shop, START + timedelta(seconds=9))
    assert waiting(shop) == 0
    assert shop.statuses()["ana/hello"] == "ready"
    # Whoever is set aside is no outcast: what comes later is handled.
    later = START + timedelta(hours=1)
    shop.arrive([shop.event("worst", "Signed Up", later, plan="pro", seats=1)])
    tick_all(shop, later)
    assert sorted(row.status for row in shop.ledger().values()) == ["ready", "ready"]
    assert runs(shop)["worst"][0] == "active"


def test_a_timer_that_a_statement_fails_on_is_given_up_alone(shop: Shop) -> None:
    people = [f"c{number}" for number in range(9)]
    shop.sign_up(*people)
    with failing_runs(shop, "c3"):
        tick_all(shop, DAY)
    found = runs(shop)
    assert found.pop("c3")[0] == "set_aside"
    assert set(found.values()) == {("completed", None)}
    assert [name for name, status in shop.statuses().items() if "again" in name] == [
        f"{key}/again" for key in people if key != "c3"
    ]


def test_where_the_engine_fails_on_everybody_nobody_is_set_aside(shop: Shop) -> None:
    people = [f"c{number}" for number in range(5)]
    shop.sign_up(*people)
    with failing_runs(shop, *people), pytest.raises(Exception, match="poison"):
        tick_all(shop, DAY)
    assert set(runs(shop).values()) == {("active", None)}
    tick_all(shop, DAY)
    assert set(runs(shop).values()) == {("completed", None)}


def test_where_it_fails_on_most_of_many_nobody_is_set_aside_and_the_others_go_on(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [f"c{number}" for number in range(9)]
    shop.sign_up(*people)
    monkeypatch.setattr(poison, "MOST", 3)
    with failing_runs(shop, *people[:6]), pytest.raises(Exception, match="poison"):
        tick_all(shop, DAY)
    assert [runs(shop)[key][0] for key in people] == ["active"] * 6 + ["completed"] * 3


def test_a_contact_that_fails_alone_waits_for_somebody_who_does_not(shop: Shop) -> None:
    shop.sign_up("worst")
    shop.sign_up("ana", at=START + timedelta(hours=1))
    with failing_runs(shop, "worst"):
        with pytest.raises(Exception, match="poison"):
            tick_all(shop, DAY)
        assert runs(shop)["worst"] == ("active", None)
        tick_all(shop, DAY + timedelta(hours=1))
    assert {key: status for key, (status, _) in runs(shop).items()} == {
        "worst": "set_aside",
        "ana": "completed",
    }


# What time and broadcasts start ------------------------------------------------------------------------------------

CATALOG = """
timezone: UTC
attributes:
  size: {type: string}
  due: {type: datetime}
events:
  Stock: {broadcast: true, size: string}
  Looked: {}
  Later: {}
segments:
  looking: {when: 'did("Looked", within="1h")', refresh: 15m}
topics:
  offers: {title: Offers, opt_in: explicit, stale_after: 1d}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
"""
STARTED = """
journey: started
language: 1
title: What starts by itself
topic: offers
trigger: TRIGGER
entry: {reentry: always}
exit:
  - {event: Later, reason: later}
steps:
  - {id: pause, wait: 1h}
"""
CAUSES = {
    "broadcast": ("{event: Stock, where: event.size == contact.size}", START + 5 * MINUTE),
    "schedule": ('{schedule: "5 10 1 3 *", audience: contact.size == "m"}', START + 5 * MINUTE),
    "schedule in zones": ('{schedule: "5 10 1 3 *", timezone: contact}', START + 5 * MINUTE),
    "date": ("{date: contact.due}", START + 5 * MINUTE),
    "segment left by time": ("{segment: looking, change: leave}", START + 60 * MINUTE),
    "consent grown stale": ("{consent: offers, change: stale}", DAY),
}


def shop_of_time(database: Database, cause: str, people: list[str]) -> tuple[Shop, Any]:
    """A shop in which ``cause`` is about to start a run of all these people, and the instant at which it does."""
    trigger, at = CAUSES[cause]
    journey = STARTED.replace("TRIGGER", trigger)
    shop = Shop(database, {"journeys/catalog.yaml": CATALOG, "journeys/started/journey.yaml": journey})
    for key in people:
        shop.identify(key, size="m", due=(START + 5 * MINUTE).isoformat())
    shop.arrive((shop.event(key, "Looked") for key in people), pending=False)
    tick_all(shop)
    if cause == "broadcast":
        shop.arrive([shop.event(NOBODY, "Stock", at, size="m")])
    return shop, at


@pytest.mark.parametrize("cause", CAUSES)
def test_what_time_starts_fails_on_one_contact_alone(database: Database, cause: str) -> None:
    people = [f"c{number}" for number in range(6)]
    shop, at = shop_of_time(database, cause, people)
    second = timedelta(seconds=1)
    # What comes later is handled later: it ends the run, which it could not were there none yet.
    shop.arrive(shop.event(key, "Later", at + second) for key in people)
    with failing(shop, "INSERT ON run", "NEW.journey = 'started'", "c3"):
        tick_all(shop, at + 2 * second)
    assert waiting(shop) == 0
    assert runs(shop) == {key: ("exited", "later") for key in people if key != "c3"}


def test_a_date_on_which_the_engine_failed_comes_again_the_next_year(database: Database) -> None:
    journey = STARTED.replace("TRIGGER", '{date: contact.due, every: year, at: "10:05"}')
    shop = Shop(database, {"journeys/catalog.yaml": CATALOG, "journeys/started/journey.yaml": journey})
    for key in ("ana", "worst"):
        shop.identify(key, due=START.isoformat())
    tick_all(shop)
    reached = START + 5 * MINUTE
    with failing(shop, "INSERT ON run", "NEW.journey = 'started'", "worst"):
        tick_all(shop, reached)
    assert waiting(shop) == 0
    assert set(runs(shop)) == {"ana"}
    tick_all(shop, reached + timedelta(days=1))
    tick_all(shop, reached.replace(year=reached.year + 1))
    assert {key for key, status in runs(shop).items() if status == ("active", None)} == {"ana", "worst"}


def test_whoever_cannot_be_looked_at_for_a_new_segment_is_passed_over_alone(database: Database) -> None:
    people = [f"c{number}" for number in range(6)]
    segment = """segments:\n  medium: {when: 'contact.size == "m" and not did("Later", within="1h")'}"""
    journey = STARTED.replace("TRIGGER", "{segment: medium, change: enter}")
    files = {"journeys/catalog.yaml": CATALOG.replace("segments:", segment)}
    shop = Shop(database, {**files, "journeys/started/journey.yaml": journey})
    for key in people:
        shop.identify(key, size="m")
    with failing(shop, "INSERT ON membership", "1 = 1", *people), pytest.raises(Exception, match="poison"):
        tick_all(shop)
    assert members(shop) == []
    with failing(shop, "INSERT ON membership", "1 = 1", "c3"):
        tick_all(shop)
    assert members(shop) == [key for key in people if key != "c3"]
    # Whoever was passed over counts as somebody who has not been in it.
    shop.arrive([shop.event(key, "Looked", DAY) for key in people])
    tick_all(shop, DAY)
    assert members(shop) == people
    assert runs(shop) == {"c3": ("active", None)}


@pytest.mark.parametrize("cause", ["broadcast", "schedule"])
def test_whom_it_concerns_fails_on_one_contact_alone(sqlite_database: Database, cause: str) -> None:
    people = [f"c{number}" for number in range(6)]
    shop, at = shop_of_time(sqlite_database, cause, [*people, "worst"])
    with sqlite_database.begin() as connection:
        connection.execute(text("UPDATE contact SET attributes = '{\"broken' WHERE key = 'worst'"))
    tick_all(shop, at)
    assert waiting(shop) == 0
    assert runs(shop) == dict.fromkeys(people, ("active", None))


@pytest.mark.parametrize("cause", ["broadcast", "schedule", "date"])
def test_what_cannot_even_be_told_is_an_error(database: Database, cause: str) -> None:
    shop, at = shop_of_time(database, cause, ["ana", "worst"])
    shop.arrive([shop.event("ana", "Later", at + timedelta(seconds=1))])
    with failing(shop, "INSERT ON event", "NEW.name <> 'Later'", "worst"):
        for _ in range(2):
            with pytest.raises(Exception, match="poison"):
                tick_all(shop, at + timedelta(seconds=2))
    tick_all(shop, at + timedelta(seconds=2))
    assert runs(shop) == {"ana": ("exited", "later"), "worst": ("active", None)}


# Values -----------------------------------------------------------------------------------------------------------

NASTY: dict[str, Any] = {
    "surrogate": "\ud800",
    "nul": "a\0b",
    "control": "a\x1b[2Jb\rc",
    "long": "x" * 200_000,
    "number": 10**400,
    "fraction": 1e308,
    "nested": json.loads("[" * 400 + "]" * 400),
    "empty": "",
    "template": "{{ contact.email }}{% for i in range(9) %}",
    "marks": "\u202e\u2066\ufeff\u200d" * 50,
}


def test_no_value_of_a_contact_holds_up_its_neighbours(database: Database, tmp_path: Path) -> None:
    shop = Shop(database)
    lines = []
    for name, value in NASTY.items():
        for place, traits in {
            "trait": {"first_name": value},
            "zone": {"timezone": value},
            "locale": {"locale": value},
            "points": {"points": value},
            "day": {"born": value},
            "undeclared": {"whatever": value, str(value)[:50]: 1},
        }.items():
            key = f"{name}-{place}"
            traits["email"] = f"{key}@x.example"
            lines.append({"type": "identify", "userId": key, "traits": traits})
            properties = {"plan": value, "seats": value, "items": value, "other": value}
            lines.append({"type": "track", "userId": key, "event": "Signed Up", "properties": properties})
    lines.append({"type": "identify", "userId": "ana", "traits": {"email": "ana@x.example"}})
    lines.append(
        {"type": "track", "userId": "ana", "event": "Signed Up", "properties": {"plan": "pro", "seats": 2}}
    )
    path = tmp_path / "nasty.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    import_file(
        database, shop.catalog, path, received_at=START, pending=True, rejects=tmp_path / "rejected", batch=7
    )
    keys = {line["userId"] for line in lines}
    for key in keys:
        shop.consent(key)
    tick_all(shop)
    assert waiting(shop) == 0
    assert set(runs(shop).values()) == {("active", None)}
    channel = FileChannel(tmp_path / "outbox", durable=False)
    while deliver(database, shop.versions, {"email": channel}, START).claimed:
        pass
    ledger = shop.ledger()
    assert set(ledger) == {f"{key}/hello" for key in keys}
    assert ledger["ana/hello"].status == "sent"
    assert {row.status for row in ledger.values()} <= {"sent", "failed"}
    assert all(row.reason for row in ledger.values() if row.status == "failed")


def test_a_consent_for_an_endless_channel_is_a_line_that_is_told(database: Database, tmp_path: Path) -> None:
    shop = Shop(database)
    noise = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=9_000))
    lines = [
        {
            "type": "track",
            "userId": key,
            "event": CONSENT_GRANTED,
            "properties": {"topic": "offers", "channel": channel},
        }
        for key, channel in (("worst", noise), ("ana", "email"))
    ]
    path = tmp_path / "consents.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for pending in (False, True):
        imported = import_file(
            database, shop.catalog, path, received_at=START, pending=pending, rejects=tmp_path, batch=9
        )
        assert (imported.rejected_lines, imported.stored.new + imported.stored.duplicate) == (1, 1)
    tick_all(shop)


# Templates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "{{ trigger.seats + contact.first_name }}",
        "{% for a in trigger.items %}{% for b in trigger.items %}x{% endfor %}{% endfor %}",
        "{% for a in trigger.items %}" + "y" * 2_000 + "{% endfor %}",
    ],
    ids=["fails", "loops", "writes"],
)
def test_a_template_that_fails_on_one_contact_leaves_the_others_alone(database: Database, body: str) -> None:
    shop = Shop(
        database, {**FILES, "journeys/greet/hello.txt": f"{{% if contact.vip %}}{body}{{% endif %}}Hi\n"}
    )
    shop.identify("worst", first_name="W", vip=True)
    shop.identify("ana")
    items = [{"sku": "s"}] * 1_000
    shop.arrive(shop.event(key, "Signed Up", plan="pro", seats=1, items=items) for key in ("worst", "ana"))
    tick_all(shop)
    sink = Sink()
    delivered = deliver(database, shop.versions, {"email": sink}, START)
    assert (delivered.sent, delivered.failed) == (1, 1)
    assert sink.contacts == ["ana"]
    assert shop.ledger()["worst/hello"].reason.startswith("journeys/greet/hello.txt:")

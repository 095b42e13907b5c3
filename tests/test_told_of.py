"""Feedback names its message as a provider does, and is counted for it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from documents import ROOT, block_of
from shop import FILES, START, Shop, Sink
from sqlalchemy import select

from channels.mime import build
from runner.cli.importing import summary
from runner.cli.story import contact_json, contact_text, told_of
from runner.engine.deliver import deliver
from runner.engine.imports import Imported, import_file
from runner.insight.results import read_results
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.people.contacts import find_contact
from runner.store.sending.suppressed_addresses import note_suppressions
from runner.store.tables import event
from runner.store.watching.story import story
from tests.followed import DAY
from tests.test_places import account_elsewhere, identified

HOUR = timedelta(hours=1)
PAGE = ROOT / "docs" / "data.md"
OF_THE_PAGE = "5f0c1e6b7a9d48e2c3b4a5968778695a4b3c2d1e0f9e8d7c6b5a493827160594"


def imported(shop: Shop, folder: Path, text: str) -> Imported:
    path = folder / "feedback.ndjson"
    path.write_text(text, encoding="utf-8")
    done = import_file(
        shop.database,
        shop.catalog,
        path,
        received_at=START + 3 * HOUR,
        pending=True,
        rejects=folder,
        batch=2,
    )
    assert not done.rejected_lines
    assert not done.misfits
    assert not done.unread.names
    return done


def line(contact: str, became: str, **properties: object) -> str:
    import json

    record = {
        "type": "track",
        "userId": contact,
        "event": f"Message {became}",
        "properties": properties,
        "timestamp": "2026-03-01T12:00:00Z",
    }
    return json.dumps(record) + "\n"


def message_id(sink: Sink, contact: str) -> str:
    """The Message-ID of the only mail to the contact, as it stands in its header."""
    (sent,) = (each for each in sink.messages if each.contact == contact)
    (header,) = (row for row in build(sent).content.split(b"\r\n") if row.startswith(b"Message-ID: "))
    return header.decode().removeprefix("Message-ID: ")


def told(database: Database) -> dict[str, int]:
    """What the report tells of the first message."""
    (journey,) = read_results(database, load_project(FILES)).journeys
    (first,) = (result for result in journey.results if result.message == "hello")
    return {name: count for name, count in first.told.items() if count}


def test_feedback_is_counted_for_the_message_that_it_names(database: Database, tmp_path: Path) -> None:
    shop = Shop(database)
    shop.sign_up("ana", "ben", "cyd", "dan")
    shop.identify("eve")
    sink = Sink()
    deliver(database, shop.versions, {"email": sink}, START)
    ids = {key: message_id(sink, key) for key in sink.contacts}
    assert all(each.startswith("<") and each.endswith("@shop.example>") for each in ids.values())
    by_provider = f"id-{sink.contacts.index('dan') + 1}"
    lines = [
        line("ana", "Delivered", message=ids["ana"]),
        line("ana", "Opened", message=f" {ids['ana'][1:-1]} "),
        line("ana", "Clicked", message=ids["ana"][1:65].upper(), link="cart"),
        # As `journeys messages list` shows it; and too little of it.
        line("dan", "Delivered", message=ids["dan"][1:13].upper()),
        line("dan", "Clicked", message=ids["dan"][1:12]),
        line("ben", "Opened", message=ids["ben"], bot=True),
        line("ben", "Bounced", message=ids["ben"]),
        line("cyd", "Complained", message=ids["cyd"], run=7, step="again"),
        line("dan", "Opened", message=by_provider),
        line("dan", "Bounced", message=by_provider, soft=True),
        # Somebody else's, nobody's, and the words of a reply.
        line("dan", "Clicked", message=ids["ana"]),
        line("dan", "Clicked", message="<" + "0" * 64 + "@shop.example>"),
        line("eve", "Replied", message="Who are you?"),
        line("dan", "Delivered", message=""),
    ]
    done = imported(shop, tmp_path, "".join(lines))
    assert (done.unknown_messages, [each.line for each in done.first_unknown]) == (4, [5, 11, 12, 13])
    shop.tick(START + 3 * HOUR)
    assert told(database) == {"delivered": 2, "opened": 2, "clicked": 1, "bounced": 1, "complained": 1}
    assert note_suppressions(database) == 2
    with database.read() as connection:
        names = connection.execute(select(event.c.name).where(event.c.name.like("Message %"))).scalars()
        assert len(names.all()) == len(lines)
    # The second message of those who bounced or complained does not leave.
    shop.tick(START + DAY)
    deliver(database, shop.versions, {"email": sink}, START + DAY)
    assert {name: row.reason for name, row in shop.ledger().items() if name.endswith("again")} == {
        "ana/again": None,
        "ben/again": "suppressed",
        "cyd/again": "suppressed",
        "dan/again": None,
    }


@pytest.mark.parametrize("became", ["Bounced", "Complained", "Unsubscribed"])
def test_feedback_on_a_message_that_a_contact_was_not_sent_closes_nothing(
    database: Database, tmp_path: Path, became: str
) -> None:
    shop = Shop(database)
    shop.sign_up("ana", "ben", "cyd", "dan", "eve", "fay", "gus", "hal", "ida", "joe")
    sink = Sink()
    deliver(database, shop.versions, {"email": sink}, START)
    foreign = "<another.mailer@elsewhere.example>"
    done = imported(
        shop,
        tmp_path,
        # Meant for ana; somebody else's mail; known by its place all the same; and about none at all.
        line("ben", became, message=message_id(sink, "ana"), journey="greet", step="hello", channel="email")
        + line("ana", became, message=foreign, run=7, step="hello")
        + line("cyd", became, message=foreign, run=1, step="hello")
        + line("dan", became, message="", channel="email")
        # Places of somebody else's messages, without an id; one's own; and half a place, which is about none.
        + line("eve", became, run=7, step="hello", channel="email")
        + line("fay", became, journey="another", step="hello", channel="email")
        + line("gus", became, run=1, step="hello", visit=3)
        + line("hal", became, journey="greet", step="hello")
        + line("ida", became, journey="another")
        + line("joe", became, message=foreign, journey="greet", step="hello"),
    )
    told = [(each.line, each.contact) for each in done.first_unknown]
    assert told == [(1, "ben"), (2, "ana"), (5, "eve"), (6, "fay"), (7, "gus"), (10, "joe")]
    assert "  line 1: ben was sent no message with that id; nothing is suppressed" in summary(tmp_path, done)
    assert "  line 6: fay was sent no message at that step; nothing is suppressed" in summary(tmp_path, done)
    shop.tick(START + 3 * HOUR)
    with database.read() as connection:
        kept = connection.execute(select(event.c.id).where(event.c.name == f"Message {became}")).all()
        assert len(kept) == 10
    shop.tick(START + DAY)
    deliver(database, shop.versions, {"email": sink}, START + DAY)
    leaves = {name: row.reason is None for name, row in shop.ledger().items() if name.endswith("again")}
    closed = {"cyd", "dan", "hal", "ida"}
    assert leaves == {f"{key}/again": key not in closed for key in sink.contacts}


def test_the_story_tells_what_became_of_messages(sqlite_database: Database, tmp_path: Path) -> None:
    shop = Shop(sqlite_database)
    shop.sign_up("ana")
    sink = Sink()
    deliver(sqlite_database, shop.versions, {"email": sink}, START)
    name = message_id(sink, "ana")
    lines = [
        line("ana", "Opened", message=name, bot=True),
        line("ana", "Clicked", run=1, step="hello", link="cart"),
        line("ana", "Bounced", message=name, soft=True),
        line("ana", "Replied", message="<another@elsewhere.example>"),
        line("ana", "Complained", channel="sms"),
    ]
    imported(shop, tmp_path, "".join(lines))
    shop.tick(START + 3 * HOUR)
    with sqlite_database.read() as connection:
        found = find_contact(connection, sqlite_database.deployment, "ana")
        entries = story(connection, "ana")
    assert found
    told = told_of(entries, every_event=False)
    text = contact_text(found, [], [], told, shop.catalog)
    arrows = [row.strip().partition("  ")[2] for row in text.splitlines() if " → " in row]
    assert arrows[1:] == [
        "greet: hello → opened (by a machine)",
        "greet: hello → clicked (cart)",
        "greet: hello → bounced (soft)",
        "a message <another@elsewhere.example>, of no known step → replied",
        "a message, of no known step → complained",
    ]
    assert "event Signed Up" not in text
    told = told_of(entries, every_event=True)
    assert "event Signed Up" in contact_text(found, [], [], told, shop.catalog)
    rows = contact_json(found, [], [], told, shop.catalog)["story"]
    (opened,) = (row for row in rows if row["name"] == "Message Opened")
    assert opened["properties"] == {
        "bot": True,
        "journey": "greet",
        "message": name,
        "run": "1",
        "step": "hello",
        "visit": "1",
    }


def test_the_example_of_the_page(sqlite_database: Database, tmp_path: Path) -> None:
    shop = Shop(sqlite_database)
    shop.sign_up("ana")
    shop.identify("eve")
    sink = Sink()
    deliver(sqlite_database, shop.versions, {"email": sink}, START)
    text = block_of(PAGE, "json", "Message Delivered").text.replace("2026-03-02T0", "2026-03-01T1")
    assert text.count(OF_THE_PAGE) == 2
    assert imported(shop, tmp_path, text).unknown_messages == 3
    assert told(sqlite_database) == {}
    text = text.replace(OF_THE_PAGE, message_id(sink, "ana")[1:65])
    assert imported(shop, tmp_path, text).unknown_messages == 1
    assert told(sqlite_database) == {"delivered": 1, "opened": 1}


def test_a_contact_that_has_been_moved_is_known_by_the_same_ids(tmp_path: Path) -> None:
    with Database.scratch(partitions=8) as database:
        shop = Shop(database)
        shop.sign_up("ana")
        sink = Sink()
        deliver(database, shop.versions, {"email": sink}, START)
        with database.read() as connection:
            before = find_contact(connection, database.deployment, "ana")
        shop.arrive([identified("ana", START, account=account_elsewhere("ana", 8))], pending=False)
        shop.tick(START + HOUR)
        with database.read() as connection:
            after = find_contact(connection, database.deployment, "ana")
        assert before
        assert after
        assert before.identity[0] != after.identity[0]
        assert (
            imported(shop, tmp_path, line("ana", "Opened", message=message_id(sink, "ana"))).unknown_messages
            == 0
        )
        assert told(database) == {"opened": 1}

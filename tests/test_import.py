"""What a file says goes into the store once; what is wrong with it is told and kept."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from string import ascii_letters, digits
from typing import Any

import pytest
from sqlalchemy import func, select

from runner.engine.imports import Granted, Imported, import_file
from runner.engine.intake import Rejected, read_arrivals
from runner.engine.tick import tick
from runner.engine.unread import MOST_NAMES, UnreadNames, unread_text
from runner.journey.catalog import IDENTIFIED, EventType
from runner.problem import JourneysError
from runner.store import tables
from runner.store.database import Database
from runner.store.partition import partition_of
from runner.store.people.arrival import Arrival
from tests.recorded_lines import CATALOG, NOW, read, track, written
from tests.shop import FILES, START, Shop


def test_accounts_are_kept_beside_their_contacts(tmp_path: Path, database: Database) -> None:
    lines = [
        {"type": "account", "account": "acme", "traits": {"seats": 5, "industry": "retail"}},
        {"type": "identify", "userId": "ana", "traits": {"account": "acme"}},
        {"type": "group", "groupId": "acme", "userId": "ben", "traits": {"seats": 6, "industry": None}},
    ]
    for _ in range(2):
        import_file(
            database,
            CATALOG,
            written(tmp_path, *lines),
            received_at=NOW,
            pending=False,
            rejects=tmp_path,
            batch=100,
        )
        with database.read() as connection:
            found = connection.execute(select(tables.account.c.key, tables.account.c.attributes)).all()
            whose = dict(connection.execute(select(tables.contact.c.key, tables.contact.c.account)).all())
            lie = {*connection.execute(select(tables.contact.c.partition)).scalars()}
        assert [tuple(row) for row in found] == [("acme", {"seats": 6_000_000})]
        assert whose == {"ana": "acme", "ben": "acme"}
        assert lie == {partition_of("acme", database.deployment.partitions)}


def imported(database: Database, path: Path, **options: Any) -> Imported:
    defaults: dict[str, Any] = {
        "received_at": NOW,
        "pending": False,
        "rejects": path.parent / "rejected",
        "batch": 3,
    }
    return import_file(database, CATALOG, path, **{**defaults, **options})


def count(database: Database, table: Any) -> int:
    with database.read() as connection:
        found = connection.scalar(select(func.count()).select_from(table))
    assert found is not None
    return found


def test_a_file_goes_in_once_and_its_bad_lines_are_kept(database: Database, tmp_path: Path) -> None:
    lines = [track(messageId=f"m{number}", userId=f"u{number % 4}") for number in range(10)]
    path = written(tmp_path, *lines[:5], "{oops", *lines[5:], name="events.ndjson.gz")
    first = imported(database, path)
    assert (first.stored.new, first.stored.contacts_new, first.rejected_lines) == (10, 4, 1)
    assert first.reject_file is not None
    assert first.reject_file.parent == tmp_path / "rejected"
    assert re.fullmatch(r"events-[0-9a-f]{8}\.ndjson", first.reject_file.name)
    assert first.reject_file.read_text() == "{oops\n"
    reasons = first.reject_file.with_name(f"{first.reject_file.name}.reasons").read_text()
    assert reasons.startswith("6: not JSON")
    again = imported(database, path, batch=100)
    assert (again.stored.new, again.stored.duplicate) == (0, 10)
    assert first.reject_file.read_text() == "{oops\n"
    assert count(database, tables.event) == 10


def test_a_mended_file_leaves_no_reject_file(sqlite_database: Database, tmp_path: Path) -> None:
    rejected = imported(sqlite_database, written(tmp_path, "id,plan", "ana", name="c.csv")).reject_file
    assert rejected is not None
    assert rejected.read_text() == "id,plan\nana\n"
    assert (
        imported(sqlite_database, written(tmp_path, "id,plan", "ana,pro", name="c.csv")).reject_file is None
    )
    assert not rejected.exists()


def test_a_reject_file_is_an_input_like_any_other(sqlite_database: Database, tmp_path: Path) -> None:
    rejects = tmp_path / "rejected"
    path = written(tmp_path, "{one", "{two")
    rejected = imported(sqlite_database, path, rejects=rejects).reject_file
    assert rejected is not None
    mended = f"{json.dumps(track())}\n{{two\n"
    rejected.write_text(mended)
    again = imported(sqlite_database, rejected, rejects=rejects)
    assert (again.stored.new, again.rejected_lines) == (1, 1)
    assert rejected.read_text() == mended
    assert again.reject_file not in (None, rejected)
    assert not list(rejects.glob("*.part"))
    assert len([one for one in rejects.iterdir() if one.suffix == ".ndjson"]) == 2


def test_files_of_one_name_have_their_own_reject_files(sqlite_database: Database, tmp_path: Path) -> None:
    kept = []
    for folder, name in (("jan", "e.ndjson"), ("feb", "e.ndjson"), ("feb", "e.ndjson.GZ")):
        (tmp_path / folder).mkdir(exist_ok=True)
        path = written(tmp_path / folder, f"{{{folder} {name}", name=name)
        kept.append(imported(sqlite_database, path, rejects=tmp_path / "rejected").reject_file)
    texts = [path.read_text() for path in kept if path is not None]
    assert texts == ["{jan e.ndjson\n", "{feb e.ndjson\n", "{feb e.ndjson.GZ\n"]


def test_rejected_csv_rows_are_kept_as_they_stand(sqlite_database: Database, tmp_path: Path) -> None:
    rows = '"a,b","x\ny",more', 'ana,"p"ro', 'ben,"never closed'
    path = written(tmp_path, "id,plan", rows[0], "cem,pro", *rows[1:], name="c.csv")
    result = imported(sqlite_database, path, batch=1)
    assert (result.stored.new, [one.line for one in result.rejections]) == (1, [2, 5, 6])
    assert result.reject_file is not None
    assert result.reject_file.read_text() == "\n".join(("id,plan", *rows, ""))


def test_a_row_of_another_encoding_is_rejected_and_kept_byte_by_byte(
    sqlite_database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "contacts.csv"
    path.write_bytes("id,plan,department\nana,pro,Bücher\nben,pro,".encode() + "Bücher\n".encode("latin-1"))
    result = imported(sqlite_database, path)
    reason = "not UTF-8 in the column 'department'; save the file as UTF-8"
    assert result.stored.new == 1
    assert [(one.line, one.reason) for one in result.rejections] == [(3, reason)]
    assert result.reject_file is not None
    assert result.reject_file.read_bytes() == b"id,plan,department\nben,pro,B\xfccher\n"
    path.write_bytes("id,Größe\nana,1\n".encode("latin-1"))
    with pytest.raises(JourneysError, match="its first line is not UTF-8"):
        list(read_arrivals(path, CATALOG, received_at=NOW))


def test_a_grant_is_recorded_for_each_contact_with_its_proof(database: Database, tmp_path: Path) -> None:
    people = [{"type": "identify", "userId": f"u{number}"} for number in range(5)]
    path = written(tmp_path, *people, track())
    grants = [Granted(topic="offers", channel="*", source="signed list of 1 March")]
    for _ in range(2):
        result = imported(database, path, grants=grants, only_contacts=True)
    assert (result.stored.duplicate, result.consents, result.rejected_lines) == (5, 0, 1)
    assert "events import" in result.rejections[0].reason
    with database.read() as connection:
        sources = connection.execute(select(tables.consent_log.c.source)).scalars().all()
    assert sources == ["signed list of 1 March"] * 5
    assert count(database, tables.consent) == 5


def test_live_events_are_left_to_the_engine(database: Database, tmp_path: Path) -> None:
    imported(database, written(tmp_path, track()), pending=True)
    with database.read() as connection:
        assert connection.execute(select(tables.event.c.pending)).scalars().all() == [True]


def test_names_that_the_catalog_does_not_have_are_counted(sqlite_database: Database, tmp_path: Path) -> None:
    path = written(
        tmp_path,
        track(event="Order completed", properties={"anything": 1}),
        *(track(messageId=f"n{number}", properties={"revenu": 1, "\x1b[2J": 2}) for number in range(3)),
        {"type": "identify", "userId": "ana", "traits": {"valu": 3, "plan": "pro", "id": "ana"}},
    )
    unread = imported(sqlite_database, path).unread
    assert unread_text(unread) == (
        "not in the catalog, kept but not read: Order Completed.\ufffd[2J 3, "
        'Order Completed.revenu 3 (did you mean "revenue"?), '
        'event "Order completed" 1 (did you mean "Order Completed"?), '
        'trait id 1, trait valu 1 (did you mean "value"?)'
    )


def test_of_many_unknown_names_the_most_frequent_are_told() -> None:
    names = UnreadNames(CATALOG)
    for number in (7, *range(MOST_NAMES + 5)):
        names.look(
            Arrival(contact="ana", name=f"Thing {number}", at=NOW, properties={}, undeclared={}, dedup_key="")
        )
    text = unread_text(names.told())
    assert text is not None
    assert 'read: event "Thing 7" 2, event "Thing 0" 1, ' in text
    assert text.endswith(f", and {MOST_NAMES - 10:,} more")
    assert unread_text(UnreadNames(CATALOG).told()) is None


@pytest.mark.parametrize("name", ["Consent Granted", "Consent Withdrawn"])
def test_a_consent_wants_a_topic_of_the_catalog(tmp_path: Path, name: str) -> None:
    def consent(**properties: str) -> dict[str, Any]:
        return track(event=name, messageId="absent", properties=properties)

    lines = consent(topic="offers"), consent(topic="ofers"), consent(channel="email")
    good, misspelt, missing = read(written(tmp_path, *lines))
    assert isinstance(good, Arrival)
    assert isinstance(misspelt, Rejected)
    assert misspelt.reason == "unknown topic 'ofers'. Did you mean `offers`?"
    assert isinstance(missing, Rejected)
    assert missing.reason == f"{name} without a `topic`"
    row = f"userId,event,timestamp,topic\nana,{name},2026-02-01T10:00:00Z,ofers"
    [in_csv] = read(written(tmp_path, row, name="events.csv"))
    assert isinstance(in_csv, Rejected)
    assert "unknown topic 'ofers'" in in_csv.reason


def test_feedback_with_a_word_that_does_not_fit_is_a_bad_line(tmp_path: Path) -> None:
    said = (
        {"message": ["m-1"]},
        {"run": "first", "step": "hello"},
        {"soft": "perhaps"},
        {"channel": "Email"},
        {"channel": "mail", "address": "ana@example.com"},
        {"channel": "*"},
        # The catalog has none such, but the address is known by it.
        {"channel": "sms", "address": "", "by": "scanner"},
    )
    lines = (
        track(event="Message Bounced", messageId=str(at), properties=each) for at, each in enumerate(said)
    )
    *bad, good = read(written(tmp_path, *lines))
    assert [each.reason for each in bad if isinstance(each, Rejected)] == [
        "`message` of Message Bounced is no text: ['m-1']",
        "`run` of Message Bounced is no number: 'first'",
        "`soft` of Message Bounced is neither true nor false: 'perhaps'",
        "unknown channel 'Email'. Did you mean `email`?",
        "unknown channel 'mail'. Did you mean `email`?",
        "unknown channel '*'. The channels of the catalog: `email`.",
    ]
    assert isinstance(good, Arrival)
    assert good.properties == {"channel": "sms"}


LONG = "".join(Random(1).choices(ascii_letters + digits, k=4_000))
"""So long, and so little to be compressed, that no index of PostgreSQL takes it."""

TAKES_ALL = """
journey: takes-all
language: 1
title: Takes what events say
topic: receipts
trigger: {event: Signed Up}
entry: {per: trigger.plan, reentry: always}
steps:
  - id: write
    update:
      set: {email: = trigger.plan, phone: = trigger.plan, account: = trigger.plan, locale: = trigger.plan}
  - id: zone
    update: {set: {timezone: = trigger.plan}}
  - {id: pause, wait: 1h}
"""


def test_no_text_is_too_long_for_an_index_of_the_store(database: Database, tmp_path: Path) -> None:
    watched = TAKES_ALL.replace("takes-all", "watches").replace("event: Signed Up", "attribute: email")
    watched = watched.replace("entry: {per: trigger.plan, reentry: always}", "entry: {reentry: always}")
    files = {
        **FILES,
        "journeys/takes-all/journey.yaml": TAKES_ALL,
        "journeys/watches/journey.yaml": f"{watched.partition('steps:')[0]}steps: [{{id: pause, wait: 1h}}]\n",
    }
    shop = Shop(database, files)
    longest = f"{'ä' * 121}@x.example.c"
    assert len(longest.encode()) == 254
    # It was taken before there was a bound.
    old = Arrival(
        contact="old", name=IDENTIFIED, at=START, properties={"email": LONG}, undeclared={}, dedup_key="old"
    )
    shop.arrive([old], pending=False)

    def event(name: str, **properties: object) -> dict[str, object]:
        return {"type": "track", "userId": "ana", "event": name, "properties": properties}

    own = dict.fromkeys(("email", "phone", "account", "timezone", "locale"), LONG)
    bad = {
        "`userId` is longer than 255 characters": {"type": "identify", "userId": LONG},
        "`event` is longer than 255 characters": event(LONG),
        "`messageId` is longer than 255 characters": {**event("Left"), "messageId": LONG},
        "`account` is longer than 255 characters": {"type": "account", "account": LONG},
        "`groupId` is longer than 255 characters": {"type": "group", "groupId": LONG, "userId": "ana"},
        "unknown topic": event("Consent Granted", topic=LONG),
        "unknown channel": event("Consent Withdrawn", topic="offers", channel=LONG),
        "`channel` of Message Bounced is longer than 255 characters": event("Message Bounced", channel=LONG),
        "`address` of Message Complained is longer": event("Message Complained", address=LONG),
    }
    good = [
        {"type": "identify", "userId": "ana", "traits": {**own, "tags": [LONG], "first_name": LONG}},
        {"type": "identify", "userId": "longest", "traits": {"email": longest}},
        {**event("Message Complained"), "userId": "old"},
        event("Message Complained"),
        event("Message Bounced", message=LONG, step=LONG, journey=LONG, link=LONG),
        event("Signed Up", plan=LONG),
        event("Message Complained", channel="email", run=1),
        {**event("Signed Up", plan="pro"), "userId": "ben"},
    ]
    path = tmp_path / "long.ndjson"
    path.write_text("".join(f"{json.dumps(each)}\n" for each in (*bad.values(), *good)), encoding="utf-8")
    found = import_file(
        database, shop.catalog, path, received_at=START, pending=True, rejects=tmp_path / "no", batch=50
    )
    assert [wrong.reason.startswith(said) for wrong, said in zip(found.rejections, bad, strict=True)] == [
        True
    ] * len(bad)
    assert {(one.name, one.why) for one in found.misfits} == {
        ("email", "longer than 254 octets"),
        ("timezone", "no time zone of the IANA database"),
        *((name, "longer than 255 characters") for name in ("phone", "account", "locale")),
    }
    while tick(database, shop.versions, START).more:
        pass
    who = tables.contact.c
    with database.read() as connection:
        kept = connection.execute(select(who.key, who.email, who.phone, who.account, who.locale)).all()
        entered = Counter(connection.execute(select(tables.run.c.journey)).scalars())
    assert {row.key: tuple(row)[1:] for row in kept} == {
        "ana": (None, None, None, None),
        "ben": ("pro", "pro", "pro", "pro"),
        "longest": (longest, None, None, None),
        "old": (LONG, None, None, None),
    }
    # An address that was too long, and is empty, has not changed.
    assert entered == {"greet": 2, "takes-all": 2, "watches": 2}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Consent withdrawn", "Consent Withdrawn"),
        ("consent_withdrawn", "Consent Withdrawn"),
        ("Message Unsubscribd", "Message Unsubscribed"),
        ("Message Bounce", "Message Bounced"),
        ("message bounced", "Message Bounced"),
        ("Message Complaint", "Message Complained"),
        ("Message Deleted", None),
        ("Unsubscribed", None),
        ("Message opened by staff", None),
    ],
)
def test_a_name_that_is_nearly_reserved_is_a_bad_line(tmp_path: Path, name: str, meant: str | None) -> None:
    path = written(tmp_path, track(event=name, properties={"topic": "offers"}))
    [one] = read(path)
    assert isinstance(one, Rejected) == (meant is not None)
    if isinstance(one, Rejected):
        assert one.reason.startswith(f"unknown event {name!r}. Did you mean `{meant}`?")
    declared = replace(CATALOG, events={**CATALOG.events, name: EventType(name=name, properties={})})
    [own] = read_arrivals(path, declared, received_at=NOW)
    assert isinstance(own, Arrival)
    names = UnreadNames(CATALOG)
    names.look(replace(own, name="Unsubscribed"))
    assert unread_text(names.told()) == (
        'not in the catalog, kept but not read: event "Unsubscribed" 1 (did you mean "Message Unsubscribed"?)'
    )


@pytest.mark.parametrize("pending", [False, True])
def test_what_became_of_messages_to_nobody_makes_no_contact(
    database: Database, tmp_path: Path, pending: bool
) -> None:
    def bounced(key: str, **properties: str) -> dict[str, Any]:
        return track(userId=key, event="Message Bounced", messageId="absent", properties=properties)

    known = {"type": "identify", "userId": "ana", "traits": {"plan": "pro"}}
    lines = bounced("zoe"), bounced("ana"), known, bounced("ana"), bounced("old", address="old@x.example")
    done = imported(database, written(tmp_path, *lines), pending=pending)
    assert [each.line for each in done.rejections] == [1, 2]
    assert done.rejections[0].reason == (
        "nobody was sent anything as 'zoe': there is no such contact before this line"
    )
    assert done.stored.contacts_new == 2
    assert done.reject_file is not None
    assert [json.loads(line)["userId"] for line in done.reject_file.read_text().splitlines()] == [
        "zoe",
        "ana",
    ]
    row = "userId,event,timestamp,soft\nzoe,Message Bounced,2026-02-01T10:00:00Z,"
    in_csv = imported(database, written(tmp_path, row, name="events.csv"), pending=pending)
    assert [each.text for each in in_csv.rejections] == ["zoe,Message Bounced,2026-02-01T10:00:00Z,"]
    assert in_csv.stored.contacts_new == 0


def test_live_events_that_are_too_old_are_counted(sqlite_database: Database, tmp_path: Path) -> None:
    ages = "2026-02-28T11:59:59Z", "2026-02-28T12:00:00Z", "2026-03-01T11:00:00Z"
    path = written(tmp_path, *(track(timestamp=at, messageId=at) for at in ages))
    assert imported(sqlite_database, path).too_old == 0
    assert imported(sqlite_database, path, pending=True).too_old == 1

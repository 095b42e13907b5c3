"""Files are read line by line: what is right is an arrival, what is wrong is told."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.engine.intake import Rejected
from runner.engine.line import LONGEST_LINE
from runner.journey.catalog import ACCOUNT_IDENTIFIED, CONSENT_GRANTED, IDENTIFIED
from runner.problem import JourneysError
from runner.store.people.arrival import Arrival
from tests.recorded_lines import NOW, arrivals, read, track, written


@pytest.mark.parametrize("name", ["events.ndjson", "events.ndjson.gz", "EVENTS.NDJSON.GZ", "events.json"])
def test_a_track_call_is_an_arrival(tmp_path: Path, name: str) -> None:
    [one] = arrivals(written(tmp_path, track(), name=name))
    assert one == Arrival(
        contact="ana",
        name="Order Completed",
        at=datetime(2026, 2, 1, 10, tzinfo=UTC),
        properties={"revenue": 12_500_000},
        undeclared={},
        dedup_key="m1",
    )


def test_an_identify_call_is_an_arrival_with_traits(tmp_path: Path) -> None:
    record = {"type": "identify", "userId": 7, "traits": {"plan": "pro", "value": "3", "shoe": 42}}
    [one] = arrivals(written(tmp_path, record))
    assert (one.contact, one.name, one.at) == ("7", IDENTIFIED, NOW)
    assert (one.properties, one.undeclared) == ({"plan": "pro", "value": 3_000_000}, {"shoe": 42})


def test_what_is_known_of_an_account_and_who_belongs_to_it(tmp_path: Path) -> None:
    of_segment = {"type": "group", "userId": "ana", "groupId": "acme", "traits": {"seats": "12", "shoe": 42}}
    told, belongs = arrivals(written(tmp_path, of_segment))
    assert (told.contact, told.name, told.at) == ("acme", ACCOUNT_IDENTIFIED, NOW)
    assert (told.properties, told.undeclared) == ({"seats": 12_000_000}, {"shoe": 42})
    assert (belongs.contact, belongs.name, belongs.properties) == ("ana", IDENTIFIED, {"account": "acme"})
    [alone] = arrivals(
        written(tmp_path, {"type": "account", "account": "acme", "traits": {"industry": None}})
    )
    assert (alone.contact, alone.properties) == ("acme", {"industry": None})
    [bad] = read(written(tmp_path, {"type": "account", "userId": "ana"}))
    assert isinstance(bad, Rejected)
    assert bad.reason == "`account` is missing"


def test_a_line_without_message_id_is_known_by_its_text(tmp_path: Path) -> None:
    record = track(messageId="absent")
    one, again, other = arrivals(written(tmp_path, record, record, track(messageId=None, userId="ben")))
    assert one.dedup_key == again.dedup_key != other.dedup_key


@pytest.mark.parametrize(
    ("written_as", "hour"), [("2026-02-01 10:00", 10), ("2026-02-01", 0), ("2026-02-01T10:00:00+04:00", 6)]
)
def test_a_timestamp_without_offset_is_utc(tmp_path: Path, written_as: str, hour: int) -> None:
    [in_json] = arrivals(written(tmp_path, track(timestamp=written_as)))
    row = f"userId,event,timestamp\nana,Order Completed,{written_as}"
    [in_csv] = arrivals(written(tmp_path, row, name="events.csv"))
    assert in_json.at == in_csv.at == datetime(2026, 2, 1, hour, tzinfo=UTC)


def test_nothing_happens_after_it_was_received(tmp_path: Path) -> None:
    path = written(tmp_path, track(timestamp="2027-01-01T00:00:00Z"), track(timestamp="absent"))
    assert [one.at for one in arrivals(path)] == [NOW, NOW]
    early, missing = read(path, received_at=None)
    assert isinstance(early, Arrival)
    assert early.at.year == 2027
    assert isinstance(missing, Rejected)


def test_a_value_that_does_not_fit_is_named_and_its_line_stays(tmp_path: Path) -> None:
    line = '{"type": "track", "userId": "ana", "event": "Order Completed", "properties": {"department": NaN}}'
    [one] = arrivals(written(tmp_path, line))
    assert (one.properties, list(one.rejected)) == ({}, ["department"])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('"x"', "not a JSON object"),
        ("[" * 100_000, "not JSON"),
        (f'{{"type": "track", "x": {"9" * 5000}}}', "a number or a nesting"),
        ('{"type": "track", "x": 1e99999999999999999999}', "a number or a nesting"),
        (track(type="page"), "`type` is 'page'; taken are identify, track and account"),
        (track(type="absent"), "`type` is missing"),
        (track(userId="absent"), "`userId` is missing"),
        (track(userId=""), "`userId` is missing"),
        (track(userId=True), "`userId` is True, not text"),
        (track(userId="a\0"), "not text"),
        (track(userId="\ud800"), "not text"),
        (track(userId="x" * 256), "longer than 255"),
        (track(messageId="x" * 256), "`messageId` is longer than 255"),
        (track(event="absent"), "`event` is missing"),
        (track(event={}), "`event` is {}, not text"),
        (track(event=IDENTIFIED), "reserved"),
        (track(timestamp="yesterday"), "`timestamp` is 'yesterday', not an instant"),
        (track(timestamp=1772359200), "`timestamp` is 1772359200"),
        (track(timestamp="0001-01-01T00:00:00+14:00"), "not an instant"),
        (track(timestamp="9999-12-31T23:59:59-14:00"), "not an instant"),
        (track(properties=[1]), "`properties` is [1], not an object"),
    ],
)
def test_a_bad_line_is_rejected_and_the_rest_is_read(tmp_path: Path, line: object, reason: str) -> None:
    first, bad, last = read(written(tmp_path, track(), line, track()))
    assert isinstance(bad, Rejected)
    assert bad.line == 2
    assert reason in bad.reason
    assert isinstance(first, Arrival)
    assert isinstance(last, Arrival)


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    long = json.dumps(track(properties={"department": "x" * (3 * LONGEST_LINE)}))
    bad, good = read(written(tmp_path, long, track()))
    assert isinstance(bad, Rejected)
    assert "longer than" in bad.reason
    assert len(bad.text) <= LONGEST_LINE + 1
    assert isinstance(good, Arrival)


def test_bytes_that_are_no_text_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(track()).encode() + b"\n\n\xff\xfe\n")
    good, bad = read(path)
    assert isinstance(good, Arrival)
    assert bad == Rejected(line=3, reason="not UTF-8 at byte 1", text="\ufffd\ufffd")


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200) | st.text().map(str.encode), suffix=st.sampled_from(["ndjson", "csv"]))
def test_no_file_makes_the_reader_fail(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("any") / f"any.{suffix}"
    path.write_bytes((b"id,plan\n" if suffix == "csv" else b"") + data)
    read(path)


@pytest.mark.parametrize(
    "content",
    [b"plain", gzip.compress(b"{}\n" * 10_000)[:-20], b"\x1f\x8b"],
    ids=["no gzip", "cut off", "header alone"],
)
def test_a_broken_gzip_file_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "events.ndjson.gz"
    path.write_bytes(content)
    with pytest.raises(JourneysError, match="gzip"):
        read(path)


def test_csv_rows_are_events(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "\ufeffuserId;event;timestamp;messageId;revenue;department;skus;note",
        'ana;Order Completed;2026-02-01 10:00;m1;12.50;"a;b";"[""x"", ""y""]";hi',
        "ben;Order Completed;2026-02-01;;;;;",
        "cem;Order Completed;2026-02-01",
        name="events.csv",
    )
    ana, ben, cem = read(path)
    assert isinstance(ana, Arrival)
    assert ana.properties == {"revenue": 12_500_000, "department": "a;b", "skus": ["x", "y"]}
    assert (ana.undeclared, ana.dedup_key) == ({"note": "hi"}, "m1")
    assert isinstance(ben, Arrival)
    assert (ben.properties, ben.at) == ({}, datetime(2026, 2, 1, tzinfo=UTC))
    assert cem == Rejected(line=4, reason="3 cells under 8 columns", text="cem;Order Completed;2026-02-01")


def test_csv_rows_without_event_are_contacts(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "id,email,timezone,plan,value,churned,tags,consents",
        'ana,ana@x.example,Asia/Tbilisi,pro,12.5,true,"b, a",offers newsletter:email email:newsletter',
        "ben,,,,,,,weather",
        name="contacts.csv",
    )
    ana, *granted, rejected = read(path)
    assert isinstance(ana, Arrival)
    assert ana.properties == {
        "email": "ana@x.example",
        "timezone": "Asia/Tbilisi",
        "plan": "pro",
        "value": 12_500_000,
        "churned": True,
        "tags": ["a", "b"],
    }
    given_consents = [
        (one.properties["topic"], one.properties["channel"])
        for one in granted
        if isinstance(one, Arrival) and one.name == CONSENT_GRANTED
    ]
    assert given_consents == [("offers", "*"), ("newsletter", "email"), ("newsletter", "email")]
    assert isinstance(rejected, Rejected)
    assert "'weather'" in rejected.reason


@pytest.mark.parametrize(
    ("consent", "reason"),
    [
        ("offers:fax", "unknown channel 'fax'"),
        ("fax:offers", "unknown channel 'fax'"),
        (":offers", "not TOPIC or TOPIC:CHANNEL"),
        ("offers:", "not TOPIC or TOPIC:CHANNEL"),
        ("weather:email", "unknown topic 'weather'"),
        ("tips;carts", "`consents` is 'tips;carts': topics are separated by spaces"),
        ("tips,carts", "4 cells under 3 columns; topics are separated by spaces"),
    ],
)
def test_a_row_with_a_bad_consent_is_rejected_whole(tmp_path: Path, consent: str, reason: str) -> None:
    path = written(tmp_path, "id,plan,consents", f"ana,pro,newsletter {consent}", name="contacts.csv")
    [rejected] = read(path)
    assert isinstance(rejected, Rejected)
    assert reason in rejected.reason
    [quoted] = read(written(tmp_path, "id,consents", 'ana,"tips, carts"', name="contacts.csv"))
    assert isinstance(quoted, Rejected)
    assert quoted.reason == "`consents` is 'tips,': topics are separated by spaces"


def test_csv_without_a_key_column_is_said(tmp_path: Path) -> None:
    with pytest.raises(JourneysError, match="no column says whose row it is"):
        read(written(tmp_path, "name,plan", "x,y", name="contacts.csv"))
    with pytest.raises(JourneysError, match="more than one column is named plan"):
        read(written(tmp_path, "id,plan,plan", "x,y,z", name="contacts.csv"))


def test_csv_with_bare_carriage_returns_is_said(tmp_path: Path) -> None:
    path = tmp_path / "contacts.csv"
    path.write_bytes(b"id,plan\rana,pro\rben,pro\r")
    with pytest.raises(JourneysError, match="its first line is not CSV"):
        read(path)
    path.write_bytes(b"id,plan\nana,pro\rben,pro\ncem,pro\n")
    bad, good = read(path)
    assert isinstance(bad, Rejected)
    assert (bad.line, bad.text) == (2, "ana,pro\rben,pro")
    assert isinstance(good, Arrival)

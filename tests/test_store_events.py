"""Events are stored once, in order, with their contacts; history changes contacts at once, or waits its
turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from runner.journey.catalog import CONSENT_GRANTED, CONSENT_WITHDRAWN, IDENTIFIED
from runner.store import tables
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.people.contacts import (
    Contact,
    consents_of,
    find_contact,
    grant_consent,
    partition_of,
)
from runner.store.people.events import Stored, store_events
from runner.store.tables import ConsentState, RunStatus

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def arrival(
    contact: str = "ana",
    name: str = "Order Completed",
    *,
    at: datetime = NOON,
    key: str | None = None,
    undeclared: Mapping[str, Any] | None = None,
    **properties: Any,
) -> Arrival:
    return Arrival(
        contact=contact,
        name=name,
        at=at,
        properties=properties,
        undeclared=undeclared or {},
        dedup_key=key or f"{name} {contact} {at} {properties}",
    )


def store(
    database: Database,
    *arrivals: Arrival,
    pending: bool = False,
    received_at: datetime | None = None,
) -> Stored:
    with database.begin() as connection:
        return store_events(
            connection, database.deployment, arrivals, pending=pending, received_at=received_at
        )


def events(database: Database) -> Sequence[Any]:
    """Every event with its contact's key, in order of arrival within a contact."""
    contact, event = tables.contact, tables.event
    joined = select(contact.c.key, event).join(
        contact, (contact.c.partition == event.c.partition) & (contact.c.id == event.c.contact)
    )
    with database.read() as connection:
        return connection.execute(joined.order_by(contact.c.key, event.c.id)).all()


def found(database: Database, key: str = "ana") -> Contact:
    with database.read() as connection:
        contact = find_contact(connection, database.deployment, key)
    assert contact is not None
    return contact


def consents(database: Database, key: str = "ana") -> dict[tuple[str, str], ConsentState]:
    contact = found(database, key)
    with database.read() as connection:
        rows = consents_of(connection, contact.identity)
    return {(row.topic, row.channel): row.state for row in rows}


def test_an_event_makes_its_contact_and_is_kept_as_it_is(database: Database) -> None:
    one = arrival(undeclared={"é": [1.5, None, "ა"]}, revenue=12_500_000, note="naïve 🛒")
    assert store(database, one) == Stored(new=1, duplicate=0, contacts_new=1)
    [row] = events(database)
    assert (row.key, row.name, row.at, row.received_at) == ("ana", "Order Completed", NOON, NOON)
    assert row.properties == {"revenue": 12_500_000, "note": "naïve 🛒"}
    assert row.undeclared == {"é": [1.5, None, "ა"]}
    assert row.pending is False
    assert found(database).attributes == {}


def test_the_same_event_again_changes_nothing(database: Database) -> None:
    one, two = arrival(key="a"), arrival(key="b")
    assert store(database, one, one, two) == Stored(new=2, duplicate=1, contacts_new=1)
    assert store(database, one, two) == Stored(new=0, duplicate=2, contacts_new=0)
    assert store(database, arrival("ben", key="a")).new == 1
    assert [row.dedup_key for row in events(database)] == ["a", "b", "a"]


def test_ids_rise_in_order_of_arrival(database: Database) -> None:
    keys = [f"k{number}" for number in range(20, 0, -1)]
    store(database, *(arrival(key=key, at=NOON) for key in keys[:7]))
    store(database, *(arrival(key=key, at=NOON) for key in keys[7:]))
    assert [row.dedup_key for row in events(database)] == keys


def test_nothing_happens_later_than_its_receipt(database: Database) -> None:
    store(database, arrival(at=NOON + HOUR), received_at=NOON)
    [row] = events(database)
    assert (row.at, row.received_at) == (NOON, NOON)


def test_contacts_are_numbered_alike_however_the_events_are_cut(database: Database) -> None:
    arrivals = [arrival(f"c{number % 7}", key=str(number)) for number in range(30)]
    store(database, *arrivals)
    with Database.scratch(partitions=database.deployment.partitions) as other:
        for one in arrivals:
            store(other, one)
        keys = [f"c{number}" for number in range(7)]
        if database.dialect == "sqlite":
            assert [found(database, key).identity for key in keys] == [
                found(other, key).identity for key in keys
            ]
        assert [(row.key, row.dedup_key) for row in events(database)] == [
            (row.key, row.dedup_key) for row in events(other)
        ]


def test_a_contact_lives_in_the_partition_of_its_key(postgres_database: Database) -> None:
    store(postgres_database, *(arrival(f"c{number}") for number in range(20)))
    partitions = {key: found(postgres_database, key).identity[0] for key in (f"c{n}" for n in range(20))}
    assert partitions == {key: partition_of(key, 4) for key in partitions}
    assert len(set(partitions.values())) == 4


def test_history_identifies_at_once(database: Database) -> None:
    store(
        database,
        arrival(),
        arrival(name=IDENTIFIED, email="ana@x.example", timezone="Asia/Tbilisi", plan="pro", tags=["a"]),
        arrival(name=IDENTIFIED, at=NOON + HOUR, plan="free", email=None),
    )
    ana = found(database)
    assert (ana.email, ana.timezone, ana.attributes, ana.tags) == (
        None,
        "Asia/Tbilisi",
        {"plan": "free"},
        ("a",),
    )
    assert not any(row.pending for row in events(database))
    with database.read() as connection:
        zones = connection.execute(select(tables.zone_offset.c.zone).distinct()).scalars().all()
    assert zones == ["Asia/Tbilisi"]


def test_an_identify_that_was_there_does_not_overwrite_what_came_after(database: Database) -> None:
    first = arrival(name=IDENTIFIED, plan="pro")
    store(database, first)
    store(database, arrival(name=IDENTIFIED, at=NOON + HOUR, plan="free"))
    store(database, first)
    assert found(database).attributes == {"plan": "free"}


def test_a_live_identify_takes_its_turn(database: Database) -> None:
    store(database, arrival(name=IDENTIFIED, plan="pro"), pending=True)
    assert found(database).attributes == {}
    assert [row.pending for row in events(database)] == [True]


def test_an_identify_of_a_contact_in_motion_takes_its_turn(database: Database) -> None:
    store(database, arrival("ana"), arrival("ben"))
    store(database, arrival("cem"), pending=True)
    partition, number = found(database, "ben").identity
    with database.begin() as connection:
        connection.execute(
            insert(tables.run).values(
                partition=partition,
                contact=number,
                id=1,
                journey="welcome",
                version=1,
                per="",
                entry_key="x",
                status=RunStatus.ACTIVE.value,
                step="wait",
                arrived_at=NOON,
                entered_at=NOON,
                trigger={},
                data={},
            )
        )
    store(database, *(arrival(key, name=IDENTIFIED, plan="pro") for key in ("ana", "ben", "cem")))
    assert [found(database, key).attributes for key in ("ana", "ben", "cem")] == [{"plan": "pro"}, {}, {}]
    waiting = {row.key for row in events(database) if row.pending and row.name == IDENTIFIED}
    assert waiting == {"ben", "cem"}


def consent(name: str, topic: str, channel: str | None = None, at: datetime = NOON) -> Arrival:
    channels = {} if channel is None else {"channel": channel}
    return arrival(name=name, at=at, topic=topic, source="form", wording="Yes, please", **channels)


def test_history_records_consents_in_order_with_their_proof(database: Database) -> None:
    store(
        database,
        consent(CONSENT_GRANTED, "offers", "email"),
        consent(CONSENT_GRANTED, "news", at=NOON + HOUR),
        consent(CONSENT_WITHDRAWN, "news", "sms", at=NOON + 2 * HOUR),
    )
    assert consents(database) == {
        ("offers", "email"): ConsentState.GIVEN,
        ("news", "*"): ConsentState.GIVEN,
        ("news", "sms"): ConsentState.WITHDRAWN,
    }
    with database.read() as connection:
        log = connection.execute(select(tables.consent_log).order_by(tables.consent_log.c.id)).all()
    assert [(row.id, row.topic, row.at, row.source, row.wording) for row in log] == [
        (1, "offers", NOON, "form", "Yes, please"),
        (2, "news", NOON + HOUR, "form", "Yes, please"),
        (3, "news", NOON + 2 * HOUR, "form", "Yes, please"),
    ]


def test_withdrawing_for_all_channels_holds_for_each(database: Database) -> None:
    store(database, consent(CONSENT_GRANTED, "offers", "email"), consent(CONSENT_GRANTED, "offers", "sms"))
    store(database, consent(CONSENT_WITHDRAWN, "offers", at=NOON + HOUR))
    assert set(consents(database).values()) == {ConsentState.WITHDRAWN}


@pytest.mark.parametrize("channel", [None, "email"])
def test_an_older_consent_that_arrives_later_undoes_no_withdrawal(
    database: Database, channel: str | None
) -> None:
    store(database, consent(CONSENT_WITHDRAWN, "offers", at=NOON))
    store(database, consent(CONSENT_GRANTED, "offers", channel, at=NOON - HOUR))
    assert consents(database) == {("offers", "*"): ConsentState.WITHDRAWN}


def test_consent_can_be_granted_to_some_or_all(database: Database) -> None:
    store(database, arrival("ana"), arrival("ben"))
    with database.begin() as connection:
        given = grant_consent(
            connection, database.deployment, ["ana", "nobody"], topic="offers", at=NOON, source="demo"
        )
        assert given == 1
    assert consents(database, "ben") == {}
    with database.begin() as connection:
        assert (
            grant_consent(
                connection,
                database.deployment,
                None,
                topic="news",
                channel="email",
                at=NOON,
                source="demo",
            )
            == 2
        )
    assert consents(database) == {
        ("offers", "*"): ConsentState.GIVEN,
        ("news", "email"): ConsentState.GIVEN,
    }


def test_sessions_that_store_the_same_at_once_store_it_once(
    postgres_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    del request
    arrivals = [arrival(f"c{number % 40}", key=str(number)) for number in range(400)]
    batches = [arrivals, arrivals[::-1], arrivals[200:] + arrivals[:200], arrivals]
    with Database.scratch(postgres_url, partitions=4) as database:
        with ThreadPoolExecutor(4) as pool:
            stored = list(pool.map(lambda batch: store(database, *batch, pending=True), batches))
        assert sum(one.new for one in stored) == 400
        assert sum(one.contacts_new for one in stored) == 40
        assert len(events(database)) == 400
    opened = Database.open(f"sqlite:///{tmp_path}/journeys.db")
    with ThreadPoolExecutor(4) as pool:
        stored = list(pool.map(lambda batch: store(opened, *batch, pending=True), batches))
    assert sum(one.new for one in stored) == 400
    opened.close()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(-1e6, 1e6)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=50),
    value=json_values,
)
def test_whatever_fits_is_stored_and_read_back(database: Database, key: str, value: Any) -> None:
    one = arrival(key, key=repr(value), undeclared={"v": value})
    store(database, one)
    read = [
        row.undeclared["v"] for row in events(database) if row.key == key and row.dedup_key == repr(value)
    ]
    assert read == [value]

"""Appointments become events once, move with what they hang on, and are made for everybody in batches."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Text, and_, cast, delete, func, insert, literal, literal_column, select, update

from runner.store.causes.appointing import (
    appoint_everybody,
    gather_everybody,
)
from runner.store.causes.appointments import (
    Kind,
    appoint,
    settle,
    tell_first,
    tell_of_pass,
    withdraw,
)
from runner.store.database import Database
from runner.store.held import hold
from runner.store.passes.told import MANY, store_told, take_told
from runner.store.passes.working import empty_working_tables, in_pass, prepare_session, wave
from runner.store.statement import Connection
from runner.store.tables import appointment, contact, event
from runner.store.types import Instant, Json, shifted
from tests.shop import START, Shop

HOUR = 3_600_000_000
ALWAYS = START - timedelta(days=10_000)


def found(hours: int | None) -> Any:
    """Everybody of the pass, so many hours after its instant."""
    due = (
        shifted(wave.c.at, literal_column(str(hours * HOUR)))
        if hours is not None
        else cast(literal_column("NULL"), Instant())
    )
    return select(
        wave.c.partition,
        wave.c.contact,
        literal("birthday", Text()).label("name"),
        due.label("due_at"),
        literal({"journey": "birthday"}, Json()).label("properties"),
    ).where(in_pass(wave))


class Scene:
    """Some contacts in one transaction, all in pass 1 at START."""

    def __init__(self, database: Database, connection: Connection, people: int) -> None:
        self.connection = connection
        self.dialect = database.dialect
        self.partitions = tuple(range(database.deployment.partitions))
        prepare_session(connection, {})
        empty_working_tables(connection)
        hold(connection, self.partitions)
        self.begin(1, START)
        assert self.count(select(wave)) == people

    def begin(self, n: int, at: datetime) -> None:
        self.connection.execute(
            insert(wave).from_select(
                ["n", "partition", "contact", "at"],
                select(literal(n), contact.c.partition, contact.c.id, literal(at, Instant())),
            )
        )

    def appoint(self, n: int, hours: int | None) -> None:
        appoint(self.dialect, Kind.DATE, found(hours)).run(self.connection, n=n)
        withdraw(self.connection, n)

    def count(self, query: Any) -> int:
        return len(self.connection.execute(query).all())

    @property
    def waiting(self) -> set[datetime]:
        """When the events lie that wait to be handled. Whatever was told is stored by then."""
        store_told(self.connection)
        rows = self.connection.execute(
            select(event.c.at).where(event.c.name == "Date Reached", event.c.pending)
        )
        return set(rows.scalars())


def shop(database: Database, *people: str) -> None:
    made = Shop(database)
    for key in people:
        made.identify(key)


def test_an_appointment_becomes_one_event_when_it_is_due(database: Database) -> None:
    shop(database, "ana", "ben", "cid")
    with database.begin() as connection:
        scene = Scene(database, connection, 3)
        scene.appoint(1, 2)
        before, due = START + timedelta(minutes=119), START + timedelta(hours=2)
        assert not tell_first(connection, scene.partitions, before, ALWAYS, 100)
        assert scene.waiting == set()
        for _ in range(2):
            tell_first(connection, scene.partitions, due, ALWAYS, 100)
        assert scene.waiting == {due}
        assert scene.count(select(event).where(event.c.name == "Date Reached")) == 3
        (properties,) = set(
            map(str, connection.execute(select(event.c.properties).where(event.c.pending)).scalars())
        )
        assert properties == "{'journey': 'birthday'}"


def test_what_is_due_comes_in_parts(database: Database) -> None:
    shop(database, *(f"p{number}" for number in range(20)))
    with database.begin() as connection:
        scene = Scene(database, connection, 20)
        scene.appoint(1, 2)
        parts = 1
        while tell_first(connection, scene.partitions, START + timedelta(hours=3), ALWAYS, 8):
            store_told(connection)
            parts += 1
        assert parts > 1
        store_told(connection)
        assert scene.count(select(event).where(event.c.pending)) == 20


def test_one_that_is_late_comes_now(database: Database) -> None:
    shop(database, "ana")
    with database.begin() as connection:
        scene = Scene(database, connection, 1)
        scene.appoint(1, 2)
        now = START + timedelta(hours=9)
        tell_first(connection, scene.partitions, now, now - timedelta(minutes=5), 100)
        assert scene.waiting == {now}


def test_one_that_moves_takes_its_event_back(database: Database) -> None:
    shop(database, "ana", "ben")
    with database.begin() as connection:
        scene = Scene(database, connection, 2)
        scene.appoint(1, 2)
        now = START + timedelta(hours=9)
        tell_first(connection, scene.partitions, now, ALWAYS, 100)
        scene.appoint(1, 3)
        assert scene.waiting == set()
        tell_of_pass(connection, 1, now, ALWAYS)
        assert scene.waiting == {START + timedelta(hours=3)}
        scene.appoint(1, 2)  # and back again
        tell_of_pass(connection, 1, now, ALWAYS)
        assert scene.waiting == {START + timedelta(hours=2)}
        scene.appoint(1, 2)  # nothing has changed
        assert scene.waiting == {START + timedelta(hours=2)}
        scene.appoint(1, None)
        assert scene.waiting == set()
        tell_of_pass(connection, 1, now, ALWAYS)
        assert scene.waiting == set()


def test_one_whose_event_is_handled_is_over(database: Database) -> None:
    shop(database, "ana")
    with database.begin() as connection:
        scene = Scene(database, connection, 1)
        scene.appoint(1, 2)
        due = START + timedelta(hours=2)
        tell_first(connection, scene.partitions, due, ALWAYS, 100)
        store_told(connection)
        rows = select(
            event.c.partition, event.c.contact, event.c.id, event.c.name, event.c.at, event.c.dedup_key
        ).where(event.c.pending)
        connection.execute(
            insert(wave).from_select(
                ["n", "partition", "contact", "event", "name", "at", "dedup_key"],
                select(literal(2), *rows.subquery().c),
            )
        )
        connection.execute(update(event).values(pending=False))
        settle(connection, 2)
        standing = select(appointment).where(
            appointment.c.told_at.is_not(None) | appointment.c.due_at.is_not(None)
        )
        assert scene.count(standing) == 0
        scene.appoint(2, 24)
        tell_of_pass(connection, 2, due + timedelta(days=2), ALWAYS)
        assert scene.waiting == {due + timedelta(days=1)}


def test_what_was_told_before_is_not_told_again(database: Database) -> None:
    people = MANY + 5
    shop(database, *(f"p{number}" for number in range(people)))
    with database.begin() as connection:
        scene = Scene(database, connection, people)
        scene.appoint(1, 2)
        due = START + timedelta(hours=2)
        tell_first(connection, scene.partitions, due, ALWAYS, people * 2)
        assert take_told(connection, 2, due, ALWAYS, people * 2) == people
        # As if none of it had been noted, and one had not been told.
        connection.execute(update(appointment).values(due_at=due, told_at=None))
        one = select(func.min(contact.c.id)).scalar_subquery()
        connection.execute(delete(event).where(event.c.contact == one))
        tell_first(connection, scene.partitions, due, ALWAYS, people * 2)
        assert take_told(connection, 3, due, ALWAYS, people * 2) == 1
        assert scene.count(select(wave).where(wave.c.n == 3)) == 1
        assert scene.count(select(event).where(event.c.name == "Date Reached")) == people


def test_everybody_is_gone_through_once_as_of_one_instant(database: Database) -> None:
    shop(database, *(f"p{number}" for number in range(20)))
    with database.begin() as connection:
        appoint_everybody(connection, Kind.DATE, "birthday", START)
    rounds, seen = 0, 0
    while True:
        with database.begin() as connection:
            prepare_session(connection, {})
            empty_working_tables(connection)
            hold(connection, range(database.deployment.partitions))
            passes = gather_everybody(connection, 8)
            if not passes:
                break
            assert passes == {-1: (Kind.DATE, "birthday")}
            rows = connection.execute(select(wave).where(and_(wave.c.n == -1, wave.c.at == START))).all()
            rounds, seen = rounds + 1, seen + len(rows)
    assert seen == 20
    assert rounds > 2

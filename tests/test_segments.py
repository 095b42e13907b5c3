"""A segment read for everybody at once holds the same contacts as its condition read for each of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, literal, select

from runner.journey.expression import Scope, parse_expression
from runner.journey.project import load_project
from runner.journey.values import Kind, ValueType
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.people.events import store_events
from runner.store.people.segments import members
from runner.store.predicates import Row, predicate
from runner.store.tables import contact, event
from runner.store.types import ByCodePoint, Instant

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CATALOG = """
timezone: Europe/Berlin
attributes:
  plan: {type: string}
events:
  Order Completed: {total: number, plan: string}
  Viewed: {}
topics:
  offers: {title: Offers, opt_in: explicit}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
"""
CONDITIONS = (
    'contact.plan == "pro"',
    'contact.plan == "5"',
    'contact.plan != "pro"',
    'count("Order Completed") >= 2',
    'count("Order Completed") == 0',
    'count("Order Completed", within="5d") >= 1',
    'count("Order Completed", where=event.total >= 20 and event.plan == "pro") >= 1',
    'count("Order Completed", where=event.plan == contact.plan) >= 1',
    'total("Order Completed", "total") > 30',
    'days_since("Order Completed") >= 3',
    'days_since("Order Completed") is None or count("Viewed") > 1',
    'did("Viewed") and not did("Order Completed", within="5d")',
    'last("Order Completed").plan == "pro"',
)


@pytest.fixture
def people(database: Database) -> Database:
    """Forty contacts with none to four events each, some of which happen now and are still to be handled."""
    arrivals = []
    for number in range(40):
        plan = ("pro", "free", 5, None)[number % 4]
        arrivals.append(_arrival(number, "Contact Identified", 30, **({"plan": plan} if plan else {})))
        arrivals += [
            _arrival(number, "Order Completed", order * 3, total=order * 10_000_000, plan=plan)
            for order in range(number % 5)
        ]
        if number % 3 == 0:
            arrivals.append(_arrival(number, "Viewed", 1))
    with database.begin() as connection:
        handled = [arrival for arrival in arrivals if arrival.at < NOW or arrival.contact < "c2"]
        store_events(connection, database.deployment, handled, pending=False)
        store_events(connection, database.deployment, arrivals, pending=True)
    return database


@pytest.mark.parametrize("text", CONDITIONS)
def test_everybody_at_once_is_each_alone(people: Database, text: str) -> None:
    catalog = load_project({"journeys/catalog.yaml": CATALOG}).catalog
    condition = parse_expression(text, Scope(catalog=catalog), expect=ValueType(Kind.BOOLEAN))
    row = Row(
        partition=contact.c.partition,
        contact=contact.c.id,
        contact_table=contact,
        zone=func.coalesce(contact.c.timezone, literal("Europe/Berlin", ByCodePoint())),
        instant=literal(NOW, Instant()),
    )
    partitions = range(people.deployment.partitions)
    with people.read() as connection:
        each = select(contact.c.partition, contact.c.id).where(predicate(condition, row, people.dialect))
        alone = sorted((partition, number) for partition, number in connection.execute(each))
        together = sorted(members(connection, condition, NOW, timezone="Europe/Berlin"))
        by_partition = [
            sorted(members(connection, condition, NOW, timezone="Europe/Berlin", partitions=[partition]))
            for partition in partitions
        ]
    assert together == alone
    assert [identity for found in by_partition for identity in found] == alone
    assert 0 < len(alone) < 40 or text == 'contact.plan == "5"'


def test_what_happens_now_counts_once_it_is_handled(people: Database) -> None:
    with people.read() as connection:
        pending = connection.execute(select(func.count()).where(event.c.pending)).scalar_one()
    assert pending > 0


def _arrival(number: int, name: str, days: int, **properties: object) -> Arrival:
    return Arrival(
        contact=f"c{number}",
        name=name,
        at=NOW - timedelta(days=days),
        properties={key: value for key, value in properties.items() if value is not None},
        undeclared={},
        dedup_key=f"{name} {days}",
    )

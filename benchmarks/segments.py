"""How fast a segment is evaluated over all contacts of a store: by what they are, and by what they did.

The floor is the SQL that somebody would write by hand for this one question, knowing how values are stored. It need
not ask whether an attribute has its declared type, and need not leave out events that have not been handled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import text

from benchmarks.harness import KINDS, Figure, Scale, analyse, databases, side_by_side
from runner.journey.catalog import Catalog
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.people.contacts import Identity
from runner.store.people.segments import members
from runner.store.types import to_microseconds

NOW = datetime(2026, 6, 1, 10, tzinfo=UTC)
TARGET = 0.5
EVENTS, ORDERS = 6, 2
"""Of each contact: two orders and four views, over the last half year."""
CATALOG = """
timezone: Europe/Berlin
attributes:
  lifetime_value: {type: number}
  plan: {type: string}
events:
  Order Completed: {total: number}
  Product Viewed: {}
topics:
  offers: {title: Offers, opt_in: explicit}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
segments:
  valued: {when: 'contact.lifetime_value >= 100 and contact.plan == "pro"'}
  returning: {when: 'count("Order Completed", within="90d") >= 2'}
  lapsed: {when: 'did("Order Completed") and not did("Product Viewed", within="30d")'}
"""
BY_HAND = {
    ("valued", "sqlite"): """
        SELECT partition, id FROM contact WHERE json_extract(attributes, '$.lifetime_value') >= 100000000
        AND json_extract(attributes, '$.plan') = 'pro'""",
    ("valued", "postgresql"): """
        SELECT partition, id FROM contact WHERE (attributes ->> 'lifetime_value')::bigint >= 100000000
        AND attributes ->> 'plan' = 'pro'""",
    ("returning", "sqlite"): """
        SELECT partition, contact FROM event WHERE name = 'Order Completed' AND at > :since AND at <= :now
        GROUP BY partition, contact HAVING count(*) >= 2""",
    ("lapsed", "sqlite"): """
        SELECT partition, id FROM contact WHERE EXISTS (SELECT 1 FROM event WHERE partition = contact.partition
        AND contact = contact.id AND name = 'Order Completed' AND at <= :now)
        AND NOT EXISTS (SELECT 1 FROM event WHERE partition = contact.partition AND contact = contact.id
        AND name = 'Product Viewed' AND at > :since AND at <= :now)""",
}
"""By segment and database; the two databases share what they both read."""
_SINCE = {"valued": timedelta(), "returning": timedelta(days=90), "lapsed": timedelta(days=30)}


def measure(scale: Scale) -> Iterator[Figure]:
    size, rounds = scale.of((20_000, 3), (100_000, 5))
    catalog = _catalog()
    for kind in KINDS:
        with databases(kind) as make:
            database = make()
            fill(database, size)
            for segment in catalog.segments:
                ours = partial(_members, database, catalog, segment)
                floor = partial(_by_hand, database, segment)
                assert sorted(ours()) == sorted(floor()), segment
                sides = side_by_side(
                    partial(_read, ours, size),
                    partial(_read, floor, size),
                    rounds=rounds,
                    ours_in=database,
                    floor_in=database,
                )
                yield sides.row(f"segment, {segment}", kind, size, TARGET)


def _read(who: Callable[[], list[Identity]], size: int, _round: int) -> int:
    assert 0 < len(who()) < size
    return size


def _members(database: Database, catalog: Catalog, segment: str) -> list[Identity]:
    condition = catalog.segments[segment].when
    with database.read() as connection:
        return list(members(connection, condition, NOW, timezone=catalog.timezone))


def _by_hand(database: Database, segment: str) -> list[Identity]:
    query = BY_HAND.get((segment, database.dialect)) or BY_HAND[segment, "sqlite"]
    instants = {"now": NOW, "since": NOW - _SINCE[segment]}
    values = {name: to_microseconds(instant) for name, instant in instants.items()}
    with database.read() as connection:
        found = connection.execute(text(query), values if database.dialect == "sqlite" else instants)
        return [(partition, number) for partition, number in found]


def _catalog() -> Catalog:
    project = load_project({"journeys/catalog.yaml": CATALOG})
    assert not project.problems, project.problems
    return project.catalog


def fill(database: Database, size: int) -> None:
    """``size`` contacts with their attributes and their handled events."""
    sqlite = database.dialect == "sqlite"
    numbers = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :size) "
        if sqlite
        else "WITH n(i) AS (SELECT generate_series(1, :size)) "
    )
    now = str(to_microseconds(NOW)) if sqlite else f"timestamptz '{NOW.isoformat()}'"
    day = "86400000000" if sqlite else "interval '1 day'"
    as_json = "" if sqlite else "::jsonb"
    attributes = (
        '(\'{"lifetime_value":\' || ((i % 200) * 1000000) || \',"plan":"\' || '
        f"CASE i % 3 WHEN 0 THEN 'pro' ELSE 'free' END || '\"}}'){as_json}"
    )
    partition = f"i % {database.deployment.partitions}"
    with database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO contact (partition, id, key, attributes, tags, created_at) "
                f"{numbers}SELECT {partition}, i, 'c' || i, {attributes}, '[]'{as_json}, {now} FROM n"
            ),
            {"size": size},
        )
        for number in range(1, EVENTS + 1):
            name, ago = (
                ("Order Completed", f"{number} * 20 + i % 130")
                if number <= ORDERS
                else ("Product Viewed", f"{number} * 4 + i % 70")
            )
            connection.execute(
                text(
                    "INSERT INTO event (partition, contact, id, name, at, received_at, properties, dedup_key, pending) "
                    f"SELECT partition, id, {number}, '{name}', {now} - ({ago.replace('i ', 'id ')}) * {day}, {now}, "
                    f"'{{}}'{as_json}, '{number}', false FROM contact"
                )
            )
    analyse(database)

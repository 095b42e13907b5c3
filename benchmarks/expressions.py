"""How long it takes to read an expression and to make SQL of it, by the processor's time: the median over a list that
goes through the whole language, and the slowest of it.

What the catalog defines (a segment, a stage, a score) is as large as its definition: it is measured with three
conditions each.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import literal
from sqlalchemy.dialects import postgresql, sqlite

from benchmarks.harness import Figure, Limit, Scale
from runner.journey.expression import Scope, parse_expression
from runner.journey.project import CATALOG, load_project
from runner.store.predicates import Row, predicate
from runner.store.tables import contact, run

LIMIT = 1.0
FILES = {
    CATALOG: """
attributes: {value: number, renewal: date, plan: string, seen: datetime}
accounts: {industry: string}
events:
  Signed Up: {plan: string}
  Order Completed: {revenue: number, items: [{sku: string}]}
topics: {offers: {title: Offers, opt_in: explicit}}
channels: {email: {uses: file, sender: {address: hello@shop.example}}}
scores:
  lead:
    - {event: Signed Up, add: 5, fades: 30d}
    - {event: Order Completed, where: event.revenue > 5, add: 10, fades: 90d}
    - {event: Message Opened, add: 1}
stages:
  - {name: early, when: did("Signed Up")}
  - {name: late, when: did("Order Completed")}
  - name: loyal
    when: total("Order Completed", "revenue", within="365d") > 500
"""
}
SINGLE = (
    'contact.plan == "pro" and contact.value >= 100 and contact.email.lower().endswith("@shop.example")',
    'today >= contact.renewal - days("14d") and weekday not in ("sat", "sun")',
    'did("Order Completed", within="30d", where=event.revenue > 50)',
    'count("Order Completed", within="365d") >= 3',
    'total("Order Completed", "revenue", by="account") > 500',
    'last("Order Completed").revenue > 5',
    '"a" in last("Order Completed").items.sku',
    'days_since("Order Completed") > 28',
    'opened("remind")',
    'sent("remind")',
    'in_journey("welcome")',
    'consent_age("offers", "email") > 700',
    'reachable("email")',
    'people(contact.value > 5, by="account") >= 3',
    'account.industry == "retail"',
)
DEFINED = (
    "contact.score > 5",
    'contact.stage == "late"',
    'people(contact.stage == "late", by="account") > 1',
)
ROW = Row(
    partition=contact.c.partition,
    contact=contact.c.id,
    contact_table=contact,
    zone=literal("UTC"),
    instant=run.c.arrived_at,
    trigger=run.c.trigger,
    data=run.c.data,
    run=run.c.id,
    entered_at=run.c.entered_at,
)


def measure(scale: Scale) -> Iterator[Figure]:
    project = load_project(FILES)
    assert not project.problems, project.problems
    catalog = project.catalog
    scope = Scope(
        catalog=catalog, trigger=catalog.events["Signed Up"].properties, sends=frozenset({"remind"})
    )
    times = scale.of(20, 200)
    for name, sources in (("one expression", SINGLE), ("stages and scores", DEFINED)):
        reading = [_best(times, parse_expression, source, scope) for source in sources]
        yield from _figures(f"{name}: read", "-", reading)
        for dialect in (sqlite.dialect(), postgresql.dialect()):  # type: ignore[no-untyped-call]
            whole = [_best(times, _as_sql, source, scope, dialect) for source in sources]
            yield from _figures(f"{name}: read and made SQL", dialect.name, whole)


def _figures(name: str, database: str, took: Sequence[float]) -> Iterator[Figure]:
    for which, measured in (("median", statistics.median(took)), ("slowest", max(took))):
        yield Limit(
            name=f"{name}, {which}",
            database=database,
            size=len(took),
            measured=measured,
            unit="ms",
            limit=LIMIT,
        )


def _as_sql(source: str, scope: Scope, dialect: Any) -> str:
    return str(predicate(parse_expression(source, scope), ROW, dialect.name).compile(dialect=dialect))


def _best(times: int, function: Callable[..., object], *arguments: object) -> float:
    """Milliseconds of the processor that the fastest of so many calls took: when nothing else came between."""
    best = float("inf")
    for _ in range(times):
        begun = time.process_time_ns()
        function(*arguments)
        best = min(best, time.process_time_ns() - begun)
    return best / 1e6

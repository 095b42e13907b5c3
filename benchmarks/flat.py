"""Whether a contact costs the same in a small store and in a large one, with one journey in force and with 200.

The floor is the engine itself, in the smallest store or with the fewest journeys: a ratio of 1 is flat. SQL by hand is
measured against itself in the same way: what it loses in a larger store, because fewer of its pages are in memory and
fewer people share one, is the database's to lose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import text

from benchmarks import advance, wakeup
from benchmarks.harness import KINDS, Figure, Scale, Sides, Spent, analyse, databases, spent
from runner.engine.versions import load_versions
from runner.store.database import Database
from runner.store.types import Instant

DUE = 20_000
TARGET = 0.8
WAYS = (("", TARGET, advance.advance_with_engine), (", by hand", None, advance.advance_by_hand))
OTHER_JOURNEY = """
journey: NAME
language: 1
title: One of many
topic: offers
trigger: {event: Signed Up}
exit:
  - {when: 'count("Order Completed") >= 5', reason: enough}
goal: {event: Subscribed, within: 7d}
steps:
  - {id: settle, wait: 1h}
  - {id: order, wait: {event: Subscribed, up_to: 7d}}
  - {id: pause, wait: 2h}
"""


def measure(scale: Scale) -> Iterator[Figure]:
    for kind in KINDS:
        with databases(kind) as make:
            due = scale.of(DUE, DUE)  # a trial has fewer
            sizes = scale.of((DUE, 100_000), (DUE, 300_000), (DUE, 300_000, 3_000_000))
            rounds = scale.of(1, 2)
            for name, some in (("flat, 20,000 due of so many", True), ("flat, all due", False)):
                filled = partial(_stored, make, due if some else None)
                for suffix, target, way in WAYS:
                    work = partial(_advance, filled, way)
                    yield from _beside_the_first(f"{name}{suffix}", kind, sizes, rounds, target, work)
            numbers = scale.of((1, 50), (1, 200))
            yield from _beside_the_first(
                "flat, journeys in force", kind, numbers, rounds, TARGET, partial(_wake, make, due)
            )


def _beside_the_first(
    name: str,
    kind: str,
    sizes: tuple[int, ...],
    rounds: int,
    target: float | None,
    work: Callable[[int], Spent],
) -> Iterator[Figure]:
    found = [[work(size) for size in sizes] for _ in range(rounds)]
    for place, size in enumerate(sizes[1:], start=1):
        pairs = [(of_round[place], of_round[0]) for of_round in found]
        yield Sides.of(pairs).row(name, kind, size, target)


def _advance(filled: Callable[[int], Database], way: Callable[[Database, datetime], int], size: int) -> Spent:
    database = filled(size)
    took = spent(partial(way, database, advance.START + timedelta(hours=1)), database)
    _forget(database)
    return took


def _stored(make: Callable[[], Database], due: int | None, size: int) -> Database:
    """A store of ``size`` runs, of which all are due an hour after the start, or only ``due``, spread evenly."""
    database = make()
    advance.fill(database, size)
    if due is not None and size > due:
        with database.begin() as connection:
            connection.execute(
                text("UPDATE run SET due_at = :later, next_at = :later WHERE contact % :every <> 0")
                .columns()
                .bindparams(later=_bound(database, advance.START + timedelta(days=3)), every=size // due)
            )
        analyse(database)
    return database


def _bound(database: Database, instant: datetime) -> object:
    return Instant().process_bind_param(instant, database.engine.dialect)


def _wake(make: Callable[[], Database], people: int, journeys: int) -> Spent:
    """Events wake the runs of one journey, with so many in force."""
    database = make()
    files = dict(wakeup.FILES)
    files["journeys/catalog.yaml"] = wakeup.CATALOG.replace("topics:", "  Subscribed: {}\ntopics:")
    for number in range(1, journeys):
        name = f"other{number:03}"
        files[f"journeys/{name}/journey.yaml"] = OTHER_JOURNEY.replace("NAME", name)
    wakeup.fill(database, people, files)
    # Compiled once a process, whatever happens then.
    versions = load_versions(database)
    took = spent(partial(wakeup.wake_with_engine, database, versions), database)
    wakeup.check(database, people)
    _forget(database)
    return took


def _forget(database: Database) -> None:
    """Free the room that it takes on disk: the next one is larger."""
    with database.begin() as connection:
        if database.dialect == "postgresql":
            connection.execute(text("TRUNCATE contact, consent, run, event, message, step_log"))
    database.close()

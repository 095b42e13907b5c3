"""Benchmarks with arguments of their own, called as all others are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from benchmarks import advance as advancing
from benchmarks import delivery as delivering
from benchmarks.harness import KINDS, Figure, Row, Scale, Sides, Spent, databases, settle, spent
from runner.store.database import Database

ADVANCE_TARGET = 0.8


def advance(scale: Scale) -> Iterator[Figure]:
    """Both ways need runs that are due, so each has a database of its own in each round, and no other is open."""
    for kind in KINDS:
        for size, rounds in scale.of(((10_000, 2),), ((10_000, 9), (300_000, 3))):
            pairs = []
            for number in range(rounds):
                took = {}
                for ours in (True, False) if number % 2 else (False, True):
                    with databases(kind) as make:
                        took[ours] = _advanced(make(), size, ours)
                pairs.append((took[True], took[False]))
            yield Sides.of(pairs).row("advance", kind, size, ADVANCE_TARGET)


def _advanced(database: Database, size: int, ours: bool) -> Spent:
    now = advancing.START + timedelta(hours=1)
    advancing.fill(database, size)
    versions = advancing.warm_up(database)
    settle(database)
    way = (
        partial(advancing.advance_with_engine, database, now, versions)
        if ours
        else partial(advancing.advance_by_hand, database, now)
    )
    took = spent(way, database)
    advancing.check(database, size)
    return took


def delivery(scale: Scale) -> Iterator[Figure]:
    for kind in KINDS:
        for figure in delivering.measure(kind, scale.of(600, 3_000)):
            yield Row(**figure)

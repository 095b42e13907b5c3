"""How fast the recorded year of ``examples/complete-journey`` goes through the shipped journeys, in events a second.

The floor reads and stores the same events and lives through nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import KINDS, Figure, Scale, Sides, databases, spent
from runner.engine.intake import read_arrivals
from runner.journey.project import Project, load_project, read_files
from runner.review.backtest import BATCH, parse_grant, recordings, replay
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.people.events import store_events

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples/complete-journey"


def measure(scale: Scale) -> Iterator[Figure]:
    project = load_project(read_files(FOLDER))
    for kind in KINDS:
        pairs = []
        for _ in range(scale.of(1, 3)):
            with databases(kind) as make:
                ours, floor = make(), make()
                pairs.append(
                    (
                        spent(lambda database=ours: _backtest(database, project), ours),  # type: ignore[misc]
                        spent(lambda database=floor: _store(database, project), floor),  # type: ignore[misc]
                    )
                )
        yield Sides.of(pairs).row("backtest", kind, pairs[0][0].done)


def _backtest(database: Database, project: Project) -> int:
    grant = parse_grant("offers", project.catalog)
    return replay(database, project, recordings(FOLDER), grants=[grant]).events


def _store(database: Database, project: Project) -> int:
    stored = 0
    for path in recordings(FOLDER):
        arrivals = [found for found in read_arrivals(path, project.catalog) if isinstance(found, Arrival)]
        for first in range(0, len(arrivals), BATCH):
            with database.begin() as connection:
                batch = arrivals[first : first + BATCH]
                stored += store_events(connection, database.deployment, batch, pending=True).new
    return stored

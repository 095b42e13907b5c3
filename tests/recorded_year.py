"""Part of the recorded year, stored and still to be lived by the shipped journeys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from runner.engine.apply import apply_project
from runner.engine.intake import read_arrivals
from runner.engine.versions import Versions, load_versions
from runner.journey.project import load_project, read_files
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.people.contacts import grant_consent
from runner.store.people.events import store_events

ROOT = Path(__file__).parent.parent
GROCER = ROOT / "examples/complete-journey"
EXTRACT = GROCER / "track.ndjson.gz"
EVENTS = 1_500


def part_of_the_year(database: Database) -> tuple[Versions, datetime]:
    """Apply the journeys of the recorded year, and store the first events of the extract with everybody's consent.
    Answers the versions, and until when what follows from these events has happened."""
    project = load_project(read_files(GROCER))
    apply_project(database, project, now=datetime(2016, 1, 1, tzinfo=UTC), author="test", git_commit=None)
    received = datetime(2018, 2, 1, tzinfo=UTC)
    read = read_arrivals(EXTRACT, project.catalog, received_at=received)
    arrivals = list(islice((arrival for arrival in read if isinstance(arrival, Arrival)), EVENTS))
    with database.begin() as connection:
        store_events(connection, database.deployment, arrivals, pending=True)
        grant_consent(connection, database.deployment, None, topic="offers", at=received, source="test")
    return load_versions(database), arrivals[-1].at + timedelta(days=60)

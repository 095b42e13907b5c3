"""Where a world begins: a generated project in two versions, compiled, and a database in which the first is in force.

Making one costs more than a hundred worlds, so some worlds share one.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from random import Random

from hypothesis.control import BuildContext
from hypothesis.internal.conjecture.data import ConjectureData

from runner.engine.apply import apply_project
from runner.engine.versions import Versions, load_versions
from runner.journey.project import Project, load_project
from runner.problem import Severity
from runner.store.database import Database, Deployment
from tests.reference.generate import CHANGES_OF_CLOCKS, ZONES, project_files
from tests.reference.lives import Happening
from tests.reference.model import Contact
from tests.simulation.life import Life

CANDIDATES = 6
MOST_MESSAGES = 100
"""To three contacts in nine days. Journeys that start each other in a circle send thousands, and a world of those takes
the time of a hundred others."""
DEPLOYMENT = Deployment(key="simulation", partitions=1)


@dataclass(frozen=True, kw_only=True)
class Ground:
    """``first`` is in force in ``image``, the bytes of a SQLite file, since a day before ``begin``; ``second`` has
    other journeys of the same names. ``compiled`` are the versions of both."""

    begin: datetime
    first: Project
    second: Project
    image: bytes
    compiled: Versions


@lru_cache(maxsize=2)
def ground(number: int) -> Ground:
    """The ground of that number, always the same."""
    chance = Random(f"ground {number}")
    zone = chance.choice(ZONES)
    day = chance.choice(CHANGES_OF_CLOCKS[zone])
    begin = datetime.fromisoformat(f"{day}T00:00:00+00:00")
    first = _project(chance, zone, begin)
    second = _project(chance, zone, begin, first.journeys.keys())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ground.db"
        path.write_bytes(empty_database())
        database = _apply(path, first, begin)
        versions = load_versions(database)
        database.close()
        image = path.read_bytes()
        database = _apply(path, second, begin)
        both = {version.id: version for version in (*versions, *load_versions(database, versions))}
        database.close()
    compiled = Versions(tuple(replace(version, current=False) for version in both.values()), ())
    return Ground(begin=begin, first=first, second=second, image=image, compiled=compiled)


def _project(chance: Random, zone: str, begin: datetime, names: Set[str] = frozenset()) -> Project:
    """Of a few projects the one that sends the most within bounds: what nobody is sent cannot be lost. Where there are
    ``names``, its journeys are called so: a journey whose file is gone is in force until it says that it ends."""
    drawn: list[Project] = []
    while not drawn:
        found = (_drawn(Random(chance.getrandbits(64)), zone) for _ in range(CANDIDATES))
        drawn = [project for project in found if not names or project.journeys.keys() == names]
    sent = [_messages(project, begin) for project in drawn]
    bounded = [count if count <= MOST_MESSAGES else -count for count in sent]
    return drawn[bounded.index(max(bounded))]


def _drawn(chance: Random, zone: str) -> Project:
    # Hypothesis draws the projects of the property tests. This is its drawing without its search, whose examples hang
    # on more than a number.
    data = ConjectureData(random=chance, prefix=())
    with BuildContext(data, is_final=False, wrapped_test=ground):
        # Nobody in these worlds answers what is asked of them, and the laws are about messages to contacts.
        project = load_project(project_files(data.draw, zone, asks=False))
    errors = [problem for problem in project.problems if problem.severity is Severity.ERROR]
    assert not errors, errors
    return project


BEFORE = timedelta(seconds=1)
"""So long before anybody is there the journeys are applied: no schedule fires meanwhile, whom it would mean once they
came is no question of these worlds."""


def written_texts(project: Project) -> dict[str, frozenset[str]]:
    """The names of the templates that are written, by journey."""
    return {
        name: frozenset(each.name for each in project.templates.get(name, ())) for name in project.journeys
    }


def _messages(project: Project, begin: datetime) -> int:
    """How many messages the naive model lets go to some who are always the same."""
    life, count = Life(Random(0), project.catalog, begin), 0
    written = written_texts(project)
    for key in ("c0", "c1", "c2"):
        arrivals = [*life.introduce(key), *(life.event(key, life.instant()) for _ in range(6))]
        happenings = [
            Happening(at=arrival.at, order=order, name=arrival.name, properties=arrival.properties)
            for order, arrival in enumerate(arrivals)
        ]
        contact = Contact(
            key, happenings, project.journeys, project.catalog, begin - BEFORE, templates=written
        )
        lived = contact.live_until(begin + timedelta(days=9))
        count += sum(message.status == "ready" for message in lived.messages)
    return count


def _apply(path: Path, project: Project, begin: datetime) -> Database:
    database = Database.open(f"sqlite:///{path}")
    apply_project(database, project, now=begin - BEFORE, author=None, git_commit=None)
    return database


@cache
def empty_database() -> bytes:
    """A database as the software makes it, but with a deployment key that is always the same."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        Database.open(f"sqlite:///{path}", partitions=DEPLOYMENT.partitions).close()
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE deployment SET key = ?", (DEPLOYMENT.key,))
        connection.close()
        return path.read_bytes()

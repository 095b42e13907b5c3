"""What a change does to the people who come over, found out by doing it, in a transaction that is taken back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from runner.engine.in_flight import Crossed, People
from runner.journey.model import Journey
from runner.journey.project import Project
from runner.store.database import Database

NOT_YET = 0
"""Stands for the number of a version that has not been stored; those of further ones are below it."""


class _TakenBackError(Exception):
    """Ends a transaction in which something was only tried."""


def tried(
    database: Database,
    project: Project,
    following: Mapping[str, Journey],
    hashes: Mapping[str, str],
    now: datetime,
    per_minute: int,
) -> Mapping[str, Crossed]:
    """What becomes of those in each journey of ``hashes``, in its order, which is that of ``apply``: all of them are
    released by one count. Raises NotAllowedError where the database does not let its user write."""
    crossed: dict[str, Crossed] = {}
    try:
        with database.begin() as connection:
            people = People(database, connection, project, now, per_minute)
            for place, (name, hash_) in enumerate(hashes.items()):
                crossed[name], _ = people.follow(following[name], NOT_YET - place, hash_)
            raise _TakenBackError
    except _TakenBackError:
        return crossed

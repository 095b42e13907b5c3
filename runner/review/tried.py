"""What a change does to the people who come over, found out by doing it, in a transaction that is taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from runner.engine.in_flight import Crossed, People
from runner.journey.graph import compile_program
from runner.journey.model import Journey
from runner.journey.project import Project
from runner.store.database import Database
from runner.store.journeys.standing import stands

NOT_YET = 0
"""Stands for the number of a version that has not been stored; those of further ones are below it."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """``until``: when the last timer ends of those who stand at each step, by its id, once they have come over."""

    crossed: Crossed
    until: Mapping[str, datetime]


class _TakenBackError(Exception):
    """Ends a transaction in which something was only tried."""


def tried(
    database: Database,
    project: Project,
    following: Mapping[str, Journey],
    hashes: Mapping[str, str],
    now: datetime,
    per_minute: int,
) -> Mapping[str, Tried]:
    """What becomes of those in each journey of ``hashes``, in its order, which is that of ``apply``: all of them are
    released by one count. Raises NotAllowedError where the database does not let its user write."""
    found: dict[str, Tried] = {}
    try:
        with database.begin() as connection:
            people = People(database, connection, project, now, per_minute)
            for place, (name, hash_) in enumerate(hashes.items()):
                number = NOT_YET - place
                crossed, _ = people.follow(following[name], number, hash_)
                nodes = compile_program(following[name]).nodes
                at = stands(connection, [number])
                until = {nodes[each.node].step.id: each.due for each in at if each.due is not None}
                found[name] = Tried(crossed=crossed, until=until)
            raise _TakenBackError
    except _TakenBackError:
        return found

"""Applying a project: its journeys become the versions that contacts enter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from runner.engine.in_flight import Crossed, People
from runner.engine.renaming import successor
from runner.engine.timed import begin_triggers
from runner.engine.versions import stored_project
from runner.engine.watch import watched_by
from runner.journey.model import Timers
from runner.journey.project import FOLDER, Project, journey_path
from runner.journey.version import version_hash
from runner.problem import Problem, ProblemsFound, Severity, Span
from runner.settings import Limits
from runner.store.audit import record
from runner.store.causes.begun import give_up_watching
from runner.store.database import Database
from runner.store.journeys.released import Queue
from runner.store.journeys.versions import StoredVersion, current_versions, store_version
from runner.store.local_time.zones import ensure_zones
from runner.store.tables import JourneyState


class Outcome(StrEnum):
    NEW = "new"  # never applied under this name
    CHANGED = "changed"  # another version than the one in force
    UNCHANGED = "unchanged"  # the version in force


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What applying meant for one journey. ``hash`` is that of the version in force afterwards; ``crossed`` is what
    became of those who were in older versions. ``state`` is not changed by applying: what was stopped stays stopped."""

    journey: str
    hash: str
    outcome: Outcome
    state: JourneyState = JourneyState.LIVE
    crossed: Crossed = field(default_factory=Crossed)


def apply_project(
    database: Database,
    project: Project,
    *,
    now: datetime,
    author: str | None,
    git_commit: str | None,
    released_per_minute: int = Limits.released_per_minute,
) -> tuple[Applied, ...]:
    """Store every journey of ``project`` that changed, in one transaction; contacts heard of from ``now``
    on enter the new versions. Runs stay in the version that they entered, or follow into the new one, as the journey
    says; of those whose time is up through that, ``released_per_minute`` go on.

    Answers what that meant, by the journeys' names. Raises ProblemsFound where the project has errors, people in flight
    would be left behind, or the file of a journey in force is gone; changes nothing then.
    """
    errors = tuple(problem for problem in project.problems if problem.severity is Severity.ERROR)
    if errors:
        raise ProblemsFound(errors)
    with database.begin() as connection:
        before = current_versions(connection)
        problems = gone(before, project)
        in_force = {version.journey: version.hash for version in before}
        stored = {version.journey: version for version in before}
        people = People(database, connection, project, now, released_per_minute)
        applied = []
        for name in sorted(project.journeys):
            hash_ = version_hash(project, name)
            outcome = _outcome(in_force.get(name), hash_)
            if outcome is Outcome.UNCHANGED:
                applied.append(Applied(journey=name, hash=hash_, outcome=outcome, state=stored[name].state))
                continue
            next_ = successor(connection, stored.get(name), project.journeys[name], hash_)
            problems += next_.problems
            version = store_version(
                connection,
                journey_name=name,
                hash_=hash_,
                files=project.bundle(name),
                renames=next_.renames,
                now=now,
                author=author,
                git_commit=git_commit,
                anew=name in stored
                and project.journeys[name].in_flight.retired is None
                and _retired(stored[name]),
            )
            if name in stored:
                people.ask_again(stored[name], next_.journey, hash_)
            crossed, left_behind = people.follow(next_.journey, version, hash_)
            problems += left_behind
            state = stored[name].state if name in stored else JourneyState.LIVE
            applied.append(Applied(journey=name, hash=hash_, outcome=outcome, state=state, crossed=crossed))
            begin_triggers(connection, project.journeys[name], now)
            detail: dict[str, object] = {
                "hash": hash_,
                "before": in_force.get(name),
                "git_commit": git_commit,
            }
            if crossed != Crossed():
                detail |= {"carried": crossed.carried, "moved": crossed.moved, "left": crossed.left}
                if next_.journey.in_flight.timers is not Timers.KEEP:
                    until = crossed.released_until
                    detail[Queue.RUNS.value] = until.isoformat() if until else None
            record(connection, at=now, who=author or "unknown", what=f"apply {name}", detail=detail)
        if problems:
            raise ProblemsFound(problems, project.files)
        ensure_zones(connection, [project.catalog.timezone])
        zone = project.catalog.timezone
        give_up_watching(
            connection,
            watched_by((each, zone) for each in project.journeys.values() if not each.in_flight.retired),
        )
    return tuple(applied)


def differing(before: Iterable[StoredVersion], project: Project) -> list[str]:
    """The journeys that applying ``project`` would put into force or refuse to forget."""
    in_force = {version.journey: version for version in before}
    changed = {
        name
        for name in project.journeys
        if name not in in_force or in_force[name].hash != version_hash(project, name)
    }
    missing = {
        name for name, version in in_force.items() if name not in project.journeys and not _retired(version)
    }
    return sorted(changed | missing)


def gone(before: Iterable[StoredVersion], project: Project) -> list[Problem]:
    """One for each version in force whose file is gone, though it has not been retired before."""
    return [_gone(each) for each in before if each.journey not in project.journeys and not _retired(each)]


def _retired(version: StoredVersion) -> bool:
    """Whether the journey has said that it ends, so that its file may go."""
    known = stored_project(version.journey, version.id, version.files)
    return known.journeys[version.journey].in_flight.retired is not None


def _gone(version: StoredVersion) -> Problem:
    """What is wrong where a file is gone, and what to do instead."""
    path = journey_path(version.journey)
    return Problem(
        code="journey/gone",
        message=f"`{version.journey}` is in force, and {path} is gone.",
        span=Span(f"{FOLDER}/", 1, 1),
        hint="Put it back with `retired: finish`, and nobody enters any more, or `retired: exit`, and everybody leaves"
        " at once; apply that, and then remove it.",
    )


def _outcome(before: str | None, now: str) -> Outcome:
    if before is None:
        return Outcome.NEW
    return Outcome.UNCHANGED if before == now else Outcome.CHANGED

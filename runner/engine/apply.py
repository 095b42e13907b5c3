"""Applying a project: its journeys become the versions that contacts enter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from runner.engine.timed import begin_triggers
from runner.engine.watch import watched_by
from runner.journey.project import Project
from runner.journey.version import version_hash
from runner.problem import ProblemsFound, Severity
from runner.store.audit import record
from runner.store.causes.begun import give_up_watching
from runner.store.database import Database
from runner.store.journeys.versions import current_versions, store_version
from runner.store.local_time.zones import ensure_zones


class Outcome(StrEnum):
    NEW = "new"  # never applied under this name
    CHANGED = "changed"  # another version than the one in force
    UNCHANGED = "unchanged"  # the version in force
    ABSENT = "absent"  # in force, but no longer among the files; it stays as it is


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What applying meant for one journey. ``hash`` is that of the version in force afterwards."""

    journey: str
    hash: str
    outcome: Outcome


def apply_project(
    database: Database,
    project: Project,
    *,
    now: datetime,
    author: str | None,
    git_commit: str | None,
) -> tuple[Applied, ...]:
    """Store every journey of ``project`` that changed, in one transaction; contacts heard of from ``now``
    on enter the new versions. Runs stay in the version that they entered.

    Answers what that meant, by the journeys' names. Raises ProblemsFound where the project has errors, and
    changes nothing then.
    """
    errors = tuple(problem for problem in project.problems if problem.severity is Severity.ERROR)
    if errors:
        raise ProblemsFound(errors)
    with database.begin() as connection:
        in_force = {version.journey: version.hash for version in current_versions(connection)}
        applied = []
        for name in sorted(project.journeys):
            hash_ = version_hash(project, name)
            outcome = _outcome(in_force.get(name), hash_)
            applied.append(Applied(journey=name, hash=hash_, outcome=outcome))
            if outcome is Outcome.UNCHANGED:
                continue
            store_version(
                connection,
                journey_name=name,
                hash_=hash_,
                files=project.bundle(name),
                now=now,
                author=author,
                git_commit=git_commit,
            )
            begin_triggers(connection, project.journeys[name], now)
            detail = {"hash": hash_, "before": in_force.get(name), "git_commit": git_commit}
            record(connection, at=now, who=author or "unknown", what=f"apply {name}", detail=detail)
        ensure_zones(connection, [project.catalog.timezone])
        zone = project.catalog.timezone
        give_up_watching(connection, watched_by((journey, zone) for journey in project.journeys.values()))
    absent = (
        Applied(journey=name, hash=hash_, outcome=Outcome.ABSENT)
        for name, hash_ in in_force.items()
        if name not in project.journeys
    )
    return tuple(sorted((*applied, *absent), key=lambda one: one.journey))


def _outcome(before: str | None, now: str) -> Outcome:
    if before is None:
        return Outcome.NEW
    return Outcome.UNCHANGED if before == now else Outcome.CHANGED

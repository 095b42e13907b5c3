"""What the steps of a journey were called before: kept by each ``apply``, and asked by each plan."""

from __future__ import annotations

from dataclasses import dataclass

from runner.engine.moved_entries import misnamed, never_applied
from runner.engine.versions import stored_project
from runner.journey.model import Journey
from runner.journey.renames import Renames, Reused, remembering, renames_with, reused
from runner.problem import JourneysError, Problem, Severity
from runner.store.journeys.versions import StoredVersion, hashes_of
from runner.store.statement import Connection


@dataclass(frozen=True, kw_only=True)
class Successor:
    """A version that is to be in force: its journey, which knows what its steps were called, and what is kept of
    names. With ``problems`` it may not be. ``void`` are the entries of its ``moved`` that are about no step: nothing is
    kept of them, and ``warnings`` tell of those that are no problems."""

    journey: Journey
    renames: Renames
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    void: frozenset[str]


def successor(
    connection: Connection, before: StoredVersion | None, journey: Journey, hash_: str
) -> Successor:
    """What ``journey`` is as the version of ``hash_`` behind ``before``. One that goes back to an earlier version is
    not refused."""
    kept, last = before.renames if before else None, _journey(before)
    hashes = hashes_of(connection, journey.name)
    again = hash_ in hashes.values()
    if before is None:
        wrong = never_applied(journey)
    else:
        wrong = () if again else misnamed(connection, last, journey, kept or {}, hashes)
    void = frozenset(each.was for each in wrong)
    all_renames = renames_with(kept, last, journey, again=again)
    renames = {was: now for was, now in all_renames.items() if was not in void}
    taken = () if again else tuple(_taken(each, journey) for each in reused(renames, last, journey))
    found = [*taken, *(each.problem for each in wrong)]
    return Successor(
        journey=remembering(journey, renames),
        renames=renames,
        problems=tuple(each for each in found if each.severity is Severity.ERROR),
        warnings=tuple(each for each in found if each.severity is Severity.WARNING),
        void=void,
    )


def _journey(before: StoredVersion | None) -> Journey | None:
    """The journey of a stored version; None where there is none that this release can read."""
    if before is None:
        return None
    try:
        return stored_project(before.journey, before.id, before.files).journeys[before.journey]
    except JourneysError:
        return None


def _taken(found: Reused, journey: Journey) -> Problem:
    return Problem(
        code="in-flight/taken",
        message=f"`{found.id}` was what `{found.by}` of `{journey.name}` was called before: people who have passed it"
        " are known by that name.",
        span=journey.span,
        hint=f"Give the new step `{found.id}` an id that no other step had.",
    )

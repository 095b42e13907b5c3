"""What the steps of a journey were called before: kept by each ``apply``, and asked by each plan."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from runner.engine.versions import stored_project
from runner.journey.model import Journey
from runner.journey.renames import Renames, Reused, remembering, renames_with, reused
from runner.problem import JourneysError, Problem
from runner.store.journeys.versions import StoredVersion


@dataclass(frozen=True, kw_only=True)
class Successor:
    """A version that is to be in force: its journey, which knows what its steps were called, and what is kept of
    names. With ``problems`` it may not be."""

    journey: Journey
    renames: Renames
    problems: tuple[Problem, ...]


def successor(
    before: StoredVersion | None, journey: Journey, hash_: str, known: Collection[str]
) -> Successor:
    """What ``journey`` is as the version of ``hash_`` behind ``before``; ``known`` are the hashes of all versions that
    were ever applied. One that goes back to an earlier version is not refused."""
    kept, last = before.renames if before else None, _journey(before)
    again = hash_ in known
    renames = renames_with(kept, last, journey, again=again)
    problems = () if again else tuple(_taken(each, journey) for each in reused(renames, last, journey))
    return Successor(journey=remembering(journey, renames), renames=renames, problems=problems)


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

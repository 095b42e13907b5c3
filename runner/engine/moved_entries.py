"""Entries of ``moved`` that are about nothing: no version that was applied has such a step, or none of that kind.

Such an entry is a slip of the pen. Whoever renames a send by it means that nobody gets it twice, and all would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runner.engine.versions import stored_project
from runner.journey.graph import walk
from runner.journey.model import Exit, Journey
from runner.journey.renames import Renames, leads_to
from runner.journey.words import did_you_mean
from runner.problem import JourneysError, Problem, Severity
from runner.store.journeys.versions import version_files
from runner.store.statement import Connection


@dataclass(frozen=True, kw_only=True)
class Misnamed:
    """The entry of the step ``was``, and what is wrong with it."""

    was: str
    problem: Problem


def never_applied(journey: Journey) -> tuple[Misnamed, ...]:
    """The entries of a journey that was never applied here: people of other databases may need them, so they are no
    errors."""
    return tuple(
        Misnamed(
            was=was,
            problem=Problem(
                code="in-flight/nothing-moved",
                message=f"`{journey.name}` was never applied, so no step was called `{was}`.",
                span=span,
                hint=f"Leave out `{was}`, unless the journey was applied elsewhere.",
                severity=Severity.WARNING,
            ),
        )
        for was, span in journey.in_flight.places.items()
    )


def misnamed(
    connection: Connection, last: Journey | None, journey: Journey, kept: Renames, hashes: Mapping[int, str]
) -> tuple[Misnamed, ...]:
    """The entries of ``journey`` that are about no step of an applied version; ``hashes`` has those by their ids, and
    ``last`` is in force. What is known of renames (``kept``), and what the version in force says too, was said before.

    None where a version that might have the step cannot be read by this release of the software.
    """
    said = last.in_flight.moved if last else {}
    asked = {
        was: target
        for was in journey.in_flight.places
        if (target := journey.in_flight.moved[was]) != said.get(was)
        and not (isinstance(target, str) and leads_to(kept, was, target))
    }
    steps = {step.id: step for step in walk(journey.steps)}
    seen: dict[str, set[type]] = {}
    for number in sorted(hashes, reverse=True):
        if not asked:
            return ()
        try:
            old = stored_project(journey.name, number, version_files(connection, number))
        except JourneysError:
            return ()
        for step in walk(old.journeys[journey.name].steps):
            seen.setdefault(step.id, set()).add(type(step.verb))
        asked = {
            was: target
            for was, target in asked.items()
            if not (type(steps[target].verb) in seen.get(was, ()) if isinstance(target, str) else was in seen)
        }
    return tuple(
        Misnamed(was=was, problem=_wrong(journey, was, target, set(seen)))
        for was, target in asked.items()
        if was in seen or was not in kept
    )


def _wrong(journey: Journey, was: str, target: str | Exit, known: set[str]) -> Problem:
    span = journey.in_flight.places[was]
    if was in known:
        return Problem(
            code="in-flight/other-kind",
            message=f"`{was}` of `{journey.name}` was never a step of the kind of `{target}`.",
            span=span,
            hint=f"Say where they go: a step of the same kind, or `moved: {{{was}: {{exit: REASON}}}}`.",
        )
    gone = known - {step.id for step in walk(journey.steps)}
    return Problem(
        code="in-flight/never-there",
        message=f"No version of `{journey.name}` that was applied has a step `{was}`.",
        span=span,
        hint=did_you_mean(was, sorted(gone))
        or f"Leave out `{was}`: `moved` is about steps that were applied.",
    )

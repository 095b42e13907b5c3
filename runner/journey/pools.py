"""Which journeys draw from which pool."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runner.journey.graph import walk
from runner.journey.model import Draw, Journey


def drawn_from(journeys: Iterable[Journey]) -> Mapping[str, tuple[str, ...]]:
    """The names of those of ``journeys`` that draw from each pool, by its name. Of one that is retired, which nobody
    enters any more, nothing is said."""
    found: dict[str, set[str]] = {}
    for journey in journeys:
        for step in walk(journey.steps):
            if isinstance(step.verb, Draw) and journey.in_flight.retired is None:
                found.setdefault(step.verb.pool, set()).add(journey.name)
    return {pool: tuple(sorted(names)) for pool, names in sorted(found.items())}

"""Circles among things of which each leads to others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

Way = TypeVar("Way")


def circles(ways: Mapping[str, Sequence[Way]], leads_to: Callable[[Way], str]) -> Iterator[tuple[Way, ...]]:
    """The shortest circle through each name that is in one and in none that was told before, from its first name on.
    ``ways`` are those that begin at a name; what they lead to may have none."""
    within = _going_on(ways, leads_to)
    told: set[str] = set()
    for name in within:
        if name not in told:
            circle = _shortest(within, leads_to, name)
            told.update(map(leads_to, circle))
            if circle:
                yield circle


def _going_on(ways: Mapping[str, Sequence[Way]], leads_to: Callable[[Way], str]) -> dict[str, list[Way]]:
    """The ways without those that end sooner or later: only from what is left one may come back."""
    comes_from: dict[str, list[str]] = defaultdict(list)
    on: dict[str, int] = {}
    for name, its in ways.items():
        on[name] = len(its)
        for way in its:
            comes_from[leads_to(way)].append(name)
    ending = [name for name in {*on, *comes_from} if not on.get(name)]
    for end in ending:
        for name in comes_from[end]:
            on[name] -= 1
            if not on[name]:
                ending.append(name)
    return {name: [way for way in its if on.get(leads_to(way))] for name, its in ways.items() if on[name]}


def _shortest(
    ways: Mapping[str, Sequence[Way]], leads_to: Callable[[Way], str], start: str
) -> tuple[Way, ...]:
    """The shortest way from ``start`` back to it; empty where there is none."""
    by: dict[str, tuple[str, Way]] = {}
    queue = [start]
    for name in queue:
        for way in ways.get(name, ()):
            target = leads_to(way)
            if target not in by:
                by[target] = (name, way)
                queue.append(target)
            if target == start:
                circle = [way]
                while name != start:
                    name, way = by[name]
                    circle.append(way)
                return tuple(reversed(circle))
    return ()

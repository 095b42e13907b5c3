"""Circles among things of which each leads to others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

Way = TypeVar("Way")


def circles(ways: Mapping[str, Sequence[Way]], leads_to: Callable[[Way], str]) -> Iterator[tuple[Way, ...]]:
    """The shortest circle through each name that is in one, told once, from its first name on. ``ways`` are those that
    begin at a name; what they lead to may have none."""
    told: set[frozenset[str]] = set()
    for name in ways:
        circle = _shortest(ways, leads_to, name)
        members = frozenset(map(leads_to, circle))
        if circle and members not in told:
            told.add(members)
            yield circle


def _shortest(
    ways: Mapping[str, Sequence[Way]], leads_to: Callable[[Way], str], start: str
) -> tuple[Way, ...]:
    """The shortest way from ``start`` back to it; empty where there is none."""
    reached: dict[str, tuple[Way, ...]] = {start: ()}
    queue = [start]
    for name in queue:
        for way in ways.get(name, ()):
            target = leads_to(way)
            if target == start:
                return (*reached[name], way)
            if target not in reached:
                reached[target] = (*reached[name], way)
                queue.append(target)
    return ()

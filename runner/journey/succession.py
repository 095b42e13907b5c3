"""Where people go who stand in an older version of a journey, when a newer one takes over.

A step with the same id and of the same kind carries its people over by itself, wherever it stands in the file. What
``moved`` of the newer version says is for the others, and what earlier versions said of renames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from runner.journey.graph import Node, Program
from runner.journey.model import Exit


class Trouble(StrEnum):
    """Why nobody knows where people go."""

    REMOVED = "removed"  # the step is gone
    RETYPED = "retyped"  # the step is of another kind now
    MISMATCHED = "mismatched"  # `moved` leads to a step of another kind


@dataclass(frozen=True)
class Carried:
    """People stay at their step: ``node`` is its place in the newer version."""

    node: Node


@dataclass(frozen=True)
class Moved:
    """People stand at ``node`` of the newer version from now on, a step of another name."""

    node: Node


@dataclass(frozen=True)
class Leaves:
    """Their runs end with ``reason``."""

    reason: str


@dataclass(frozen=True)
class Unaccounted:
    """Nothing says where they go."""

    trouble: Trouble


Fate = Carried | Moved | Leaves | Unaccounted


def succession(old: Program, new: Program) -> Mapping[int, Fate]:
    """What becomes of those who stand at each node of ``old``, by its index, under what ``new`` says."""
    by_id = {node.step.id: node for node in new.nodes}
    return {node.index: _fate(node, by_id, new) for node in old.nodes}


def same_kind(one: Node, other: Node) -> bool:
    """Whether whoever stands at one may stand at the other: both have the same verb, and waits wait for the same sort
    of thing."""
    return type(one.verb) is type(other.verb)


def _fate(node: Node, by_id: Mapping[str, Node], new: Program) -> Fate:
    same = by_id.get(node.step.id)
    if same is not None and same_kind(node, same):
        return Carried(same)
    in_flight = new.journey.in_flight
    target = in_flight.moved.get(node.step.id)
    if isinstance(target, Exit):
        return Leaves(target.reason)
    if target is None and in_flight.renamed is not None:
        known = by_id.get(in_flight.renamed.get(node.step.id, ""))
        if known is not None and same_kind(node, known):
            return Moved(known)
    if target is None:
        return Unaccounted(Trouble.REMOVED if same is None else Trouble.RETYPED)
    found = by_id[target]
    return Moved(found) if same_kind(node, found) else Unaccounted(Trouble.MISMATCHED)

"""Of those who come over into a new version: until when they wait there, and which steps they are led past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from runner.engine.in_flight import Crossing
from runner.journey.graph import Program
from runner.journey.succession import Carried, Moved
from runner.review.planned import Kept


def skipped(crossing: Crossing, at: int, new: Program) -> tuple[str, ...]:
    """The steps of ``new`` that lay ahead of those who stand at the node ``at``, and do so no more."""
    old, fate = crossing.standing.program, crossing.fates[at]
    if not isinstance(fate, Carried | Moved):
        return ()
    ahead = [crossing.fates[each] for each in sorted(old.ahead(old.nodes[at]) - {old.end})]
    known = dict.fromkeys(each.node.index for each in ahead if isinstance(each, Carried | Moved))
    still = new.ahead(fate.node) | {fate.node.index}
    return tuple(new.nodes[each].step.id for each in known if each not in still)


_LENGTHS = ("duration", "local", "date", "offset", "up_to", "sla")
"""What of a step says how long people stand there."""


def kept(over: Sequence[Crossing], ends: Mapping[str, datetime]) -> tuple[Kept, ...]:
    """The steps whose length changes under those who stand there; ``ends`` as ``until`` has them."""
    changed: dict[str, None] = {}
    for crossing in over:
        for stand in crossing.standing.stands:
            fate = crossing.fates[stand.node]
            if isinstance(fate, Carried | Moved) and stand.due is not None and fate.node.timer_outcome:
                old = crossing.standing.program.nodes[stand.node].verb
                if any(getattr(old, each, None) != getattr(fate.node.verb, each, None) for each in _LENGTHS):
                    changed[fate.node.step.id] = None
    return tuple(Kept(step=step, until=ends[step]) for step in changed)


def until(over: Sequence[Crossing]) -> dict[str, datetime]:
    """When the last timer ends of those who come over, by the step at which they come to stand."""
    found: dict[str, datetime] = {}
    for crossing in over:
        for stand in crossing.standing.stands:
            fate = crossing.fates[stand.node]
            if isinstance(fate, Carried | Moved) and stand.due is not None:
                step = fate.node.step.id
                found[step] = max(stand.due, found.get(step, stand.due))
    return found

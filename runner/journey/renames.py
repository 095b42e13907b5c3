"""What the steps of a journey were called in its earlier versions: kept from all ``moved`` that was ever applied, so
that an entry may leave the file once it has been.

A rename is a former id and the one that followed it; that one may have been renamed since, so they make chains. An id
that is put back, as when an earlier version is applied again, turns its chain round.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from runner.journey.graph import walk
from runner.journey.model import Exit, Journey, Step

Renames = Mapping[str, str]
"""By a former id, the one that followed it."""


@dataclass(frozen=True)
class Reused:
    """The new step ``id`` bears a name that ``by`` had before, a step of the same kind beside it."""

    id: str
    by: str


def leading_to(renames: Renames, kinds: Mapping[str, object]) -> Mapping[str, str]:
    """By former id, the step to which it leads in the end; ``kinds`` are those of the steps, by id. An id that is
    borne by another step of that kind leads nowhere."""
    return {
        was: end
        for was, end in ends(renames, kinds).items()
        if isinstance(end, str) and end != was and end in kinds and kinds.get(was) != kinds[end]
    }


def ends(direct: Mapping[str, str | Exit], ids: Collection[str]) -> dict[str, str | Exit | None]:
    """Where each id leads in the end: to the first of ``ids``, or to what leads no further; None where it comes to a
    circle. Each is followed once."""
    found: dict[str, str | Exit | None] = {}
    for gone in direct:
        passed = {gone}
        target: str | Exit | None = direct[gone]
        while isinstance(target, str) and target not in ids and target in direct:
            if target in found or target in passed:
                target = found.get(target)
                break
            passed.add(target)
            target = direct[target]
        found.update(dict.fromkeys(passed, target))
    return found


def leads_to(renames: Renames, was: str, id: str) -> bool:
    """Whether it is known that ``was`` became ``id``, perhaps by way of others."""
    return id in _chain(renames, was, ())[1:]


def reused(renames: Renames, before: Journey | None, after: Journey) -> Iterator[Reused]:
    """The steps that are new in ``after`` under an id that another of its steps is known by. ``before`` is the version
    in force."""
    old, new = _steps(before), _steps(after)
    for was in sorted(set(renames) & set(new)):
        by = _chain(renames, was, set(new) - {was})[-1]
        if by != was and by in new and _alike(new, was, by) and not _same(old, new, was):
            yield Reused(was, by)


def remembering(journey: Journey, renames: Renames) -> Journey:
    """The journey, knowing what its steps are called in other versions."""
    kinds = {id: type(step.verb) for id, step in _steps(journey).items()}
    in_flight = replace(
        journey.in_flight, renamed=leading_to(renames, kinds), names=all_names(renames, kinds)
    )
    return replace(journey, in_flight=in_flight)


def all_names(renames: Renames, ids: Collection[str]) -> Mapping[str, frozenset[str]]:
    """By step of ``ids``, all names that it has had before and since. Of several that lead to one, as they stood beside
    one another, each has its own name alone."""
    by_end: dict[str, set[str]] = {}
    for name in {*renames, *renames.values()}:
        by_end.setdefault(_chain(renames, name, ())[-1], set()).add(name)
    steps = ((names & set(ids), names) for names in by_end.values())
    return {id: frozenset(names) for own, names in steps if len(own) == 1 for id in own}


def renames_with(
    renames: Renames | None, before: Journey | None, after: Journey, *, again: bool = False
) -> Renames:
    """The renames once ``after`` is in force instead of ``before``; None where nobody has kept them until now.
    ``again``: it was in force before."""
    old, new = _steps(before), _steps(after)
    known = dict(renames if renames is not None else _said(before))
    for was, target in _said(after).items():
        if before is not None and was in before.in_flight.moved and was not in known:
            continue  # it was none when it was said first
        # Two that stood beside one another are two steps: people go from one to the other.
        if was in old and _same(old, new, target) and _alike(old, was, target):
            continue
        known[was] = target
        if was in _chain(known, target, ())[1:]:  # it had this name before
            del known[target]
    for put_back in [each for each in known if each in new and not _same(old, new, each)]:
        *_, end = chain = _chain(known, put_back, set(new) - {put_back})
        if end not in new:
            del known[put_back]
            known.update(dict.fromkeys(chain[1:], put_back))
        elif again and _alike(new, put_back, end):
            del known[put_back]  # as they stood beside one another then, they are two
    return known


def _said(journey: Journey | None) -> Renames:
    moved = journey.in_flight.moved if journey else {}
    return {was: target for was, target in moved.items() if isinstance(target, str)}


def _chain(renames: Renames, was: str, ids: Collection[str]) -> list[str]:
    """``was`` and what followed it, up to the first of ``ids``."""
    passed = {was: None}
    now = renames.get(was)
    while now is not None and now not in passed:
        passed[now] = None
        now = None if now in ids else renames.get(now)
    return list(passed)


def _steps(journey: Journey | None) -> Mapping[str, Step]:
    return {step.id: step for step in walk(journey.steps)} if journey else {}


def _alike(steps: Mapping[str, Step], one: str, other: str) -> bool:
    return type(steps[one].verb) is type(steps[other].verb)


def _same(old: Mapping[str, Step], new: Mapping[str, Step], id: str) -> bool:
    """Whether the step is there in both, of the same kind."""
    return id in old and id in new and type(old[id].verb) is type(new[id].verb)

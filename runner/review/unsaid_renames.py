"""Sends that are gone while others are new that look the same: perhaps they were renamed, and nobody said so.

Whoever has had such a message is not known to have had it under its new name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from runner.engine.in_flight import Crossing, Standing
from runner.journey.graph import Program
from runner.journey.model import Journey, Send
from runner.journey.project import Project
from runner.journey.renames import Renames, leading_to
from runner.journey.succession import Carried, Moved
from runner.journey.template import Template
from runner.store.journeys.passed import passed
from runner.store.statement import Connection


@dataclass(frozen=True, kw_only=True)
class UnsaidRename:
    """``people`` have passed the send ``gone``, and ``new`` says the same, or stands in its place (not ``same_text``).
    ``again``: some of them may come to it."""

    gone: str
    new: str
    people: int
    same_text: bool
    again: bool


def unsaid_renames(
    connection: Connection,
    crossings: Sequence[Crossing],
    new: Program,
    project: Project,
    renames: Renames,
    void: Set[str] = frozenset(),
) -> tuple[UnsaidRename, ...]:
    """What to ask about the sends of ``new``, a journey of ``project``; ``renames`` are those that are known then, and
    ``void`` the entries of its ``moved`` that say nothing."""
    found: dict[tuple[str, str], UnsaidRename] = {}
    for crossing in crossings:
        old = crossing.standing
        for gone, like, same_text in _alike(old, new, project, void):
            names = {gone} | set(_names(renames, old.program, gone))
            people = passed(connection, old.version, names)
            if not people:
                continue
            before = found.get((gone, like))
            found[gone, like] = UnsaidRename(
                gone=gone,
                new=like,
                people=sum(people.values()) + (before.people if before else 0),
                same_text=same_text or bool(before and before.same_text),
                again=_come_to(crossing, people, new, like) or bool(before and before.again),
            )
    return tuple(found[each] for each in sorted(found))


def _names(renames: Renames, old: Program, step: str) -> Iterator[str]:
    kinds = {node.step.id: type(node.verb) for node in old.nodes}
    yield from (was for was, now in leading_to(renames, kinds).items() if now == step)


def _alike(old: Standing, new: Program, project: Project, void: Set[str]) -> Iterator[tuple[str, str, bool]]:
    """The sends of ``old`` that nothing accounts for in ``new``, each with the first new one that says the same, or
    else stands in its place; and whether it says the same."""
    before, after = _sends(old.program), _sends(new)
    in_flight = new.journey.in_flight
    accounted = {*(in_flight.moved.keys() - void), *(in_flight.renamed or {})}
    known = set((in_flight.renamed or {}).values())
    ours = _texts(old.project, old.program.journey)
    theirs = _texts(project, new.journey)
    fresh = {step: send for step, send in after.items() if step not in before and step not in known}
    for step, send in before.items():
        if step in after or step in accounted:
            continue
        said = _said(send, ours)
        same = [other for other, its in fresh.items() if _said(its, theirs) == said]
        beside = [other for other in fresh if _place(new, other) == _place(old.program, step)]
        for other in [*same, *beside][:1]:
            yield step, other, bool(same)


def _sends(program: Program) -> Mapping[str, Send]:
    return {node.step.id: node.verb for node in program.nodes if isinstance(node.verb, Send)}


def _texts(project: Project, journey: Journey) -> Sequence[Template]:
    return project.templates.get(journey.name, ())


def _said(send: Send, texts: Iterable[Template]) -> object:
    """What tells messages apart for those who read them: where, and what they say."""
    return send.channel, sorted(
        (each.locale or "", each.extension, sorted(each.front.items()), each.body)
        for each in texts
        if send.sends(each.name)
    )


def _place(program: Program, step: str) -> tuple[str | None, str | None]:
    """The steps between which a step stands in the file."""
    index = program.node(step).index
    ids = [None, *(node.step.id for node in program.nodes), None]
    return ids[index], ids[index + 2]


def _come_to(crossing: Crossing, people: Mapping[int, int], new: Program, step: str) -> bool:
    """Whether some of ``people``, by where they stood, may come to ``step``."""
    target = new.node(step).index
    places = [fate.node for node in people if isinstance(fate := crossing.fates[node], Carried | Moved)]
    return any(target in new.ahead(place) for place in places)

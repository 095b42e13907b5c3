"""What a new version of a journey changes, in the words of its author: keys of the journey, steps, texts, and what it
reads of the catalog."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from enum import StrEnum

from runner.journey.graph import Node, Program, held_steps
from runner.journey.model import Journey, Send, Step
from runner.journey.project import Project, journey_path
from runner.journey.succession import Carried, Moved, succession
from runner.journey.template import Template, templates_sent
from runner.journey.version import meaning, sends_of
from runner.journey.yaml import Fields, Items, Scalar, Value
from runner.review.altered import Altered, altered, inline
from runner.review.catalog_read import catalog_changes


class Part(StrEnum):
    JOURNEY = "journey"
    STEP = "step"
    TEXT = "text"
    CATALOG = "catalog"


class Became(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """``name`` is the key, the step, the file or the entry of the catalog; ``was`` its name before, where it had
    another.

    ``place`` says where a step stands that is new or stands elsewhere now, ``says`` what a step that is new or gone
    does, and of `moved` whom it concerns. ``lines`` are those of a text that are new, and gone.
    """

    part: Part
    name: str
    became: Became = Became.CHANGED
    was: str | None = None
    place: str | None = None
    says: str | None = None
    values: tuple[Altered, ...] = ()
    lines: tuple[int, int] = (0, 0)

    @property
    def tells(self) -> bool:
        """Whether there is a difference at all."""
        return self.became is not Became.CHANGED or bool(
            self.was or self.place or self.values or any(self.lines)
        )


def what_changed(before: Project, old: Program, after: Project, new: Program) -> tuple[Difference, ...]:
    """What sets the journey of ``new``, in ``after``, apart from that of ``old``, in ``before``: its keys, its steps in
    the order of the file, its texts, and what it reads of the catalog."""
    name = new.journey.name
    trees = [project.trees[journey_path(name)] for project in (before, after)]
    steps = _Steps(old, new, *trees)
    found = [*_of_journey(*trees), *steps.differences()]
    found += _of_texts(name, _texts(before, old.journey), _texts(after, new.journey), steps.was)
    told = [each for each in found if each.tells]
    entries = list(catalog_changes(name, before, after))
    if not told and not entries:
        told = [each for each in _of_moved(new.journey, *trees) if each.tells]
    if not told and not entries:
        entries = list(catalog_changes(name, before, after, whole=True))
    return (*told, *(Difference(part=Part.CATALOG, name=each, values=values) for each, values in entries))


_TOLD_ELSEWHERE = frozenset({"journey", "language", "steps", "moved"})


def _of_journey(before: Value, after: Value) -> Iterator[Difference]:
    if not (isinstance(before, Fields) and isinstance(after, Fields)):
        return
    keys = dict.fromkeys(each.key for each in (*after.fields, *before.fields))
    for key in keys:
        if key not in _TOLD_ELSEWHERE:
            values = tuple(altered(before.get(key), after.get(key), key=key))
            yield Difference(part=Part.JOURNEY, name=key, values=values)


def _of_moved(journey: Journey, before: Value, after: Value) -> Iterator[Difference]:
    """Of versions that nothing else sets apart: where steps are renamed, that is told at the steps."""
    if not (isinstance(before, Fields) and isinstance(after, Fields)):
        return
    was, left = before.get("moved"), after.get("moved")
    values = tuple(altered(was, left, key="moved"))
    entries = [{each.key for each in of.fields} if isinstance(of, Fields) else set() for of in (was, left)]
    gone = entries[0] - entries[1]
    # A name is kept for good; an exit, or the way to a step that stood beside, is not.
    of_names = all(each.after is None for each in values) and all(map(journey.in_flight.called_now, gone))
    says = "nobody is affected: renames that were applied are kept" if gone and of_names else None
    yield Difference(part=Part.JOURNEY, name="moved", values=values, says=says)


@dataclass(frozen=True)
class _Place:
    """``holder`` is the step, and the way out of it, in whose list of steps a step stands; ``behind`` the step before
    it in that list."""

    holder: tuple[str, str] | None
    behind: str | None


class _Steps:
    """Two versions of the steps of one journey."""

    def __init__(self, old: Program, new: Program, before: Value, after: Value) -> None:
        self.old, self.new = _by_id(old), _by_id(new)
        self.before, self.after = dict(_written(before)), dict(_written(after))
        self.was = {id: id for id in self.new if id in self.old}
        """By id, what a step was called before."""
        for index, fate in succession(old, new).items():
            if isinstance(fate, Carried | Moved) and old.nodes[index].step.id not in self.new:
                self.was.setdefault(fate.node.step.id, old.nodes[index].step.id)
        self.now = {was: id for id, was in self.was.items()}
        self.places_before = dict(_places(old.journey.steps))
        self.places = dict(_places(new.journey.steps))

    def differences(self) -> Iterator[Difference]:
        """In the order of the new file; what is gone comes behind the step that it came behind."""
        gone_behind = self._gone_behind()
        yield from gone_behind.get(None, ())
        moved = self._moved()
        for id, node in self.new.items():
            was = self.was.get(id)
            if was is None:
                yield Difference(
                    part=Part.STEP, name=id, became=Became.ADDED, place=_told(self.places[id]),
                    says=_says(self.after[id]),
                )  # fmt: skip
            else:
                yield Difference(
                    part=Part.STEP, name=id, was=was if was != id else None,
                    place=_told(self.places[id]) if id in moved else None,
                    values=tuple(self._values(self.old[was], node)),
                )  # fmt: skip
            yield from gone_behind.get(id, ())

    def _gone_behind(self) -> Mapping[str | None, Sequence[Difference]]:
        found: dict[str | None, list[Difference]] = {}
        last: str | None = None
        for id in self.old:
            last = self.now.get(id, last)
            if id not in self.now:
                gone = Difference(part=Part.STEP, name=id, became=Became.REMOVED, says=_says(self.before[id]))
                found.setdefault(last, []).append(gone)
        return found

    def _moved(self) -> set[str]:
        """The steps that stand elsewhere now, without those that do so with the step that holds them."""
        rows = [
            [self.now[id] for id in self.old if id in self.now],
            [id for id in self.new if id in self.was],
        ]
        kept: set[str] = set()
        for block in SequenceMatcher(None, rows[0], rows[1], autojunk=False).get_matching_blocks():
            kept.update(rows[1][block.b : block.b + block.size])
        found: set[str] = set()
        for id in rows[1]:
            held_before, held = self.places_before[self.was[id]].holder, self.places[id].holder
            as_now = (self.now.get(held_before[0], ""), held_before[1]) if held_before else None
            along = held is not None and held == as_now and held[0] in found
            if (id not in kept or held != as_now) and not along:
                found.add(id)
        return {id for id in found if not self._follows(id, found)}

    def _follows(self, id: str, moved: set[str]) -> bool:
        """Whether it stands elsewhere with the step that it came behind, and comes behind it still."""
        behind, behind_before = self.places[id].behind, self.places_before[self.was[id]].behind
        return behind in moved and behind == self.now.get(behind_before or "")

    def _values(self, old: Node, new: Node) -> Iterator[Altered]:
        if meaning(old.step) == meaning(new.step):
            return
        before, after = self.before[old.step.id], self.after[new.step.id]
        one, other = _verb(before), _verb(after)
        if type(old.verb) is not type(new.verb):
            yield Altered(where=(), before=_says(before), after=_says(after))
            return
        for each in altered(before.get(one), after.get(other), key=one):
            yield each if each.where else replace(each, where=(one,))


def _by_id(program: Program) -> Mapping[str, Node]:
    return {node.step.id: node for node in program.nodes}


def _written(value: Value) -> Iterator[tuple[str, Fields]]:
    """The steps in ``value`` as their author wrote them, by id."""
    if isinstance(value, Items):
        for item in value.items:
            id = item.get("id") if isinstance(item, Fields) else None
            if isinstance(item, Fields) and isinstance(id, Scalar):
                yield id.text, item
            yield from _written(item)
    elif isinstance(value, Fields):
        for each in value.fields:
            yield from _written(each.value)


def _verb(step: Fields) -> str:
    return next(each.key for each in step.fields if each.key not in ("id", "note"))


def _says(step: Fields) -> str:
    """The verb, and what it is about: ``send email``."""
    verb = _verb(step)
    value = step.get(verb)
    return f"{verb} {inline(value)}" if value is not None else verb


def _places(steps: Sequence[Step], holder: tuple[str, str] | None = None) -> Iterator[tuple[str, _Place]]:
    behind: str | None = None
    for step in steps:
        yield step.id, _Place(holder, behind)
        behind = step.id
        for way, held in held_steps(step):
            yield from _places(held, (step.id, way))


def _told(place: _Place) -> str:
    if place.behind is not None:
        return f"after `{place.behind}`"
    return f"first in `{place.holder[0]}` ({place.holder[1]})" if place.holder else "at the beginning"


_Text = tuple[Mapping[str, str], str]
"""What stands before the body of a text, and the body."""


def _texts(project: Project, journey: Journey) -> Mapping[str, _Text]:
    """By path, every file that messages of the journey are made from, in the order of the steps that send them."""
    found: dict[str, _Text] = {}
    sends: list[Send] = list(sends_of(journey))
    for send in sends:
        for template in templates_sent(project.templates.get(journey.name, ()), [send]):
            found |= _files(template)
    return found


def _files(template: Template) -> Mapping[str, _Text]:
    front = {
        **template.front,
        **({"layout": template.layout} if template.layout else {}),
        **(
            {"attachments": ", ".join(each.path for each in template.attachments)}
            if template.attachments
            else {}
        ),
    }
    found: dict[str, _Text] = {template.path: (front, template.body)}
    found |= {part.path: ({}, part.text) for part in template.parts}
    for attachment in template.attachments:
        found |= _files(attachment)
    return found


def _of_texts(
    journey: str, before: Mapping[str, _Text], after: Mapping[str, _Text], was_called: Mapping[str, str]
) -> Iterator[Difference]:
    """``was_called``: by step, its name before, for a text may be called like its step."""

    def short(path: str) -> str:
        return path.removeprefix(f"journeys/{journey}/").removeprefix("journeys/")

    gone = {path: text for path, text in before.items() if path not in after}
    for path, text in after.items():
        known = before.get(path)
        if known is not None:
            yield _of_text(short(path), known, text)
            continue
        folder, _, file = path.rpartition("/")
        called, dot, rest = file.partition(".")
        renamed = f"{folder}/{was_called.get(called, called)}{dot}{rest}"
        was = renamed if renamed in gone else next((one for one, its in gone.items() if its == text), None)
        if was is None:
            yield Difference(part=Part.TEXT, name=short(path), became=Became.ADDED)
        else:
            yield replace(_of_text(short(path), gone.pop(was), text), was=short(was))
    for path in gone:
        yield Difference(part=Part.TEXT, name=short(path), became=Became.REMOVED)


def _between(one: Sequence[str], other: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Both without the lines with which they alike begin and end."""
    least = min(len(one), len(other))
    begin = next((place for place in range(least) if one[place] != other[place]), least)
    end = next((place for place in range(least - begin) if one[~place] != other[~place]), least - begin)
    return one[begin : len(one) - end], other[begin : len(other) - end]


COMPARED = 100_000
"""Pairs of lines that are held against each other; of longer texts the lines are counted, wherever they stand."""


def _changed_lines(one: Sequence[str], other: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The lines that are gone, and those that are new."""
    if len(one) * len(other) > COMPARED:
        before, after = Counter(one), Counter(other)
        gone, new = list((before - after).elements()), list((after - before).elements())
        return (gone, new) if gone or new else (one, other)
    taken: list[str] = []
    put: list[str] = []
    for kind, *places in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if kind != "equal":
            taken += one[places[0] : places[1]]
            put += other[places[2] : places[3]]
    return taken, put


def _of_text(name: str, before: _Text, after: _Text) -> Difference:
    values = [
        Altered(where=(key,), before=before[0].get(key), after=after[0].get(key))
        for key in dict.fromkeys((*after[0], *before[0]))
        if before[0].get(key) != after[0].get(key)
    ]
    taken, put = _changed_lines(*_between(before[1].split("\n"), after[1].split("\n")))
    fresh, gone = len(put), len(taken)
    if (fresh, gone) == (1, 1) and taken[0].strip() != put[0].strip():
        values.append(Altered(where=("text",), before=taken[0].strip(), after=put[0].strip()))
        fresh = gone = 0
    return Difference(part=Part.TEXT, name=name, values=tuple(values), lines=(fresh, gone))

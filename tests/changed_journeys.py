"""Small journeys that are changed at random, as careful authors change them: whatever a step was called before, and
wherever those go who stand at a step that is gone, is said once. What was said and applied is taken out again, now and
then.

A step has an ``origin``, which it keeps under every name; a send's subject is its origin. So nobody may ever get a
subject twice in a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any

CATALOG = """\
timezone: Europe/Berlin
locale: en
attributes: {vip: {type: boolean}, born: {type: date}}
events:
  Signed Up: {plan: string}
  Bought: {total: number}
  Read: {}
  Left: {}
topics: {offers: {title: Offers, opt_in: explicit}}
channels: {email: {uses: file}}
"""
QUIET = 'policies: {quiet_hours: {from: "21:00", to: "08:00", channels: [email]}}\n'
KINDS = (
    "send", "send", "send", "wait", "wait", "wait", "local", "local", "until", "event", "event", "when", "any",
    "collect", "branch", "split", "gate", "update",
)  # fmt: skip
HOURS = (5, 24, 30, 72, 120, 200)
TIMERS = ("keep", "recompute", "restart")


@dataclass
class Made:
    """A step. ``inside`` are the lists of steps that it holds."""

    origin: str
    name: str
    kind: str
    hours: int = 24
    about: str = "Bought"
    inside: list[list[Made]] = field(default_factory=list)


@dataclass
class Draft:
    """A journey as its author has it before them. ``aliases``: every name that a step of an origin ever had."""

    random: Random
    steps: list[Made] = field(default_factory=list)
    follow: bool = True
    timers: str = "keep"
    exits: bool = True
    quiet: bool = False
    aliases: dict[str, set[str]] = field(default_factory=dict)
    kinds: dict[str, set[str]] = field(default_factory=dict)
    """By name, the kinds of steps that ever had it."""
    said: list[set[str]] = field(default_factory=list)
    """Names of which ``moved`` has said, in applied versions, that they are those of one step."""
    occupied: frozenset[str] = frozenset()
    """The steps at which people stand: most changes are about them."""
    count: int = 0

    @classmethod
    def fresh(cls, random: Random) -> Draft:
        draft = cls(random=random, quiet=random.random() < 0.5)
        draft.steps = [draft._new() for _ in range(random.randint(4, 8))]
        return draft

    def _new(self, depth: int = 0) -> Made:
        self.count += 1
        kind = self.random.choice(KINDS)
        if depth and kind in ("branch", "split", "gate"):
            kind = "send"
        made = Made(origin=f"s{self.count}", name=f"s{self.count}", kind=kind)
        made.hours, made.about = self.random.choice(HOURS), self.random.choice(["Bought", "Read"])
        lists = {"branch": 2, "split": 2, "event": 2, "any": 2, "when": 1, "gate": 1}.get(kind, 0)
        made.inside = [
            [self._new(depth + 1) for _ in range(self.random.randint(0, 2 - depth))] for _ in range(lists)
        ]
        return made

    # What is read of it

    def places(self) -> list[tuple[list[Made], int]]:
        """Every step, as the list that holds it and its place there."""
        return list(_places(self.steps))

    def standing(self) -> dict[str, str]:
        """The kind of each step, by its name."""
        return {steps[place].name: steps[place].kind for steps, place in self.places()}

    def note_names(self, moved: dict[str, Any]) -> None:
        """Remember how the steps are called, and what was said of it, once the version is applied."""
        for name, target in moved.items() if self.follow else ():
            if isinstance(target, str):
                both = [names for names in self.said if names & {name, target}]
                self.said = [names for names in self.said if names not in both]
                self.said.append({name, target}.union(*both))
        for steps, place in self.places():
            made = steps[place]
            self.aliases.setdefault(made.origin, set()).add(made.name)
            self.kinds.setdefault(made.name, set()).add(made.kind)

    # What is done to it

    def change(self) -> str:
        """Change something; answers what."""
        what = self.random.choice(
            ["length", "length", "move", "move", "remove", "retype", "nest", "unnest", "rename", "rename", "later",
             "later", "again", "again", "again", "add", "timers", "timers", "follow", "exits"]
        )  # fmt: skip
        getattr(self, f"_{what}")()
        return what

    def _pick(self) -> tuple[list[Made], int]:
        places = self.places()
        crowded = [(steps, place) for steps, place in places if steps[place].name in self.occupied]
        return self.random.choice(crowded if crowded and self.random.random() < 0.7 else places)

    def _any(self) -> Made:
        steps, place = self._pick()
        return steps[place]

    def _length(self) -> None:
        self._any().hours = self.random.choice(HOURS)

    def _take(self) -> Made | None:
        if len(self.steps) < 2 and not any(made.inside for made in self.steps):
            return None
        steps, place = self._pick()
        if steps is self.steps and len(steps) == 1:
            return None
        return steps.pop(place)

    def _move(self) -> None:
        if made := self._take():
            steps = self.random.choice([self.steps, *(held for one in self.steps for held in one.inside)])
            steps.insert(self.random.randint(0, len(steps)), made)

    def _later(self) -> None:
        """Messages that some have had come to stand before everybody again."""
        for steps, place in self.places():
            if steps[place].kind == "send" and self.random.random() < 0.4:
                self.steps.append(steps.pop(place))
                return

    def _again(self) -> None:
        """A message that some have had is called otherwise, and comes to stand before everybody once more: at once, or
        in a version to come."""
        found = [(steps, place) for steps, place in self.places() if steps[place].kind == "send"]
        if found:
            steps, place = self.random.choice(found)
            if self.random.random() < 0.6:
                self._call_otherwise(steps[place])
            if self.random.random() < 0.6:
                self.steps.append(steps.pop(place))

    def _remove(self) -> None:
        self._take()

    def _retype(self) -> None:
        made, other = self._any(), self._new()
        was = made.kind
        made.kind, made.inside = other.kind, other.inside
        # What it said before is not what it says now; and a message is known by the name of its send.
        if made.kind == "send" or was == "send":
            made.origin = made.name = other.origin

    def _nest(self) -> None:
        place = self.random.randrange(len(self.steps))
        held = self.steps[place : place + 2]
        wrapping = self._new()
        wrapping.kind, wrapping.inside = "branch", [held, []]
        self.random.shuffle(wrapping.inside)
        self.steps[place : place + 2] = [wrapping]

    def _unnest(self) -> None:
        for place, made in enumerate(self.steps):
            if made.inside:
                self.steps[place : place + 1] = [one for held in made.inside for one in held] or [self._new()]
                return

    def _rename(self) -> None:
        self._call_otherwise(self._any())

    def _call_otherwise(self, made: Made) -> None:
        self.count += 1
        made.name = f"{made.origin}-{self.count}"

    def _add(self) -> None:
        self.steps.insert(self.random.randint(0, len(self.steps)), self._new())

    def _timers(self) -> None:
        self.timers = self.random.choice(TIMERS)

    def _follow(self) -> None:
        self.follow = self.random.random() < 0.7

    def _exits(self) -> None:
        self.exits = not self.exits

    # As files

    def moved(self) -> dict[str, Any]:
        """Where those go who stand at a step under a name, or of a kind, that is no more."""
        now = self.standing()
        by_origin = {steps[place].origin: steps[place] for steps, place in self.places()}
        found: dict[str, Any] = {}
        for origin, names in self.aliases.items():
            made = by_origin.get(origin)
            for name in sorted(names):
                if now.get(name) is not None and self.kinds[name] == {now[name]}:
                    continue
                if made is not None and made.name != name and self.kinds[name] == {made.kind}:
                    found[name] = made.name
                else:
                    found[name] = {"exit": "gone"}
        return {
            name: target
            for name, target in found.items()
            if not (isinstance(target, str) and now.get(name) == now[target])
        }

    def moved_without_what_was_said(self) -> dict[str, Any]:
        """The same without some of the entries that earlier versions had, be it the other way round."""
        return {
            name: target
            for name, target in self.moved().items()
            if not any({name, target} <= names for names in self.said if isinstance(target, str))
            or self.random.random() < 0.3
        }

    def files(self, moved: dict[str, Any]) -> dict[str, str]:
        lines = [
            "journey: tour",
            "language: 1",
            "title: A tour",
            "topic: offers",
            "trigger: {event: Signed Up}",
        ]
        if self.exits:
            lines.append("exit: [{event: Left, reason: left}, {when: contact.vip, reason: vip}]")
        if self.follow:
            lines += ["in_flight: follow", f"timers: {self.timers}"]
            if moved:
                lines.append("moved:")
                lines += [f"  {name}: {_target(target)}" for name, target in moved.items()]
        lines += ["steps:", *_written(self.steps, 2)]
        files = {
            f"journeys/tour/{origin}.html": f"---\nsubject: {origin}\n---\n<p>{origin}</p>\n"
            for steps, place in self.places()
            if steps[place].kind == "send"
            for origin in [steps[place].origin]
        }
        return files | {
            "journeys/catalog.yaml": CATALOG + (QUIET if self.quiet else ""),
            "journeys/tour/journey.yaml": "\n".join(lines) + "\n",
        }

    def kept(self) -> tuple[list[Made], bool, str, bool]:
        """The version, to come back to later."""
        return deepcopy(self.steps), self.follow, self.timers, self.exits

    def back_to(self, version: tuple[list[Made], bool, str, bool]) -> None:
        steps, self.follow, self.timers, self.exits = version
        self.steps = deepcopy(steps)


def _target(target: Any) -> str:
    return target if isinstance(target, str) else f"{{exit: {target['exit']}}}"


def _places(steps: list[Made]) -> Iterator[tuple[list[Made], int]]:
    for place, made in enumerate(steps):
        yield steps, place
        for held in made.inside:
            yield from _places(held)


def _written(steps: list[Made], indent: int) -> list[str]:
    lines: list[str] = []
    for made in steps:
        lines += _step(made, indent)
    return lines


def _step(made: Made, indent: int) -> list[str]:
    space, name, hours = " " * indent, made.name, made.hours

    def held(place: int, extra: int = 6) -> list[str]:
        inside = _written(made.inside[place], indent + extra)
        return inside or [
            " " * (indent + extra) + f"- {{id: {name}-in-{place}, update: {{run: {{note: {place}}}}}}}"
        ]

    def line(text: str) -> list[str]:
        return [f"{space}- {{id: {name}, {text}}}"]

    match made.kind:
        case "send":
            return line(f"send: {{channel: email, template: {made.origin}}}")
        case "wait":
            return line(f"wait: {hours}h")
        case "local":
            return line(f'wait: {{for: {hours}h, at: "09:00", days: [mon, wed, sat]}}')
        case "until":
            return line(
                f"wait: {{until: contact.born, offset: {hours}h, if_past: continue, if_missing: continue}}"
            )
        case "collect":
            return line(f"wait: {{collect: {made.about}, for: {hours}h, save_as: list{made.origin}}}")
        case "update":
            return line("update: {run: {seen: true}}")
        case "event":
            head = [f"{space}- id: {name}", f"{space}  wait:", f"{space}    event: {made.about}"]
            head += [
                f"{space}    up_to: {hours}h",
                f"{space}    save_as: got{made.origin}",
                f"{space}    then:",
            ]
            return [*head, *held(0), f"{space}    timeout:", *held(1)]
        case "when":
            head = [
                f"{space}- id: {name}",
                f"{space}  wait:",
                f'{space}    when: did("{made.about}", within="48h")',
            ]
            return [*head, f"{space}    up_to: {hours}h", f"{space}    then:", *held(0)]
        case "any":
            head = [
                f"{space}- id: {name}",
                f"{space}  wait:",
                f"{space}    up_to: {hours}h",
                f"{space}    any:",
            ]
            head += [
                f"{space}      - name: one",
                f"{space}        event: Bought",
                f"{space}        then:",
                *held(0, 10),
            ]
            return [
                *head,
                f"{space}      - name: two",
                f"{space}        event: Read",
                f"{space}        then:",
                *held(1, 10),
            ]
        case "branch":
            head = [
                f"{space}- id: {name}",
                f"{space}  branch:",
                f"{space}    - name: yes-{made.about.lower()}",
            ]
            head += [f'{space}      when: did("{made.about}")', f"{space}      steps:", *held(0, 8)]
            return [*head, f"{space}    - name: rest", f"{space}      else:", *held(1, 8)]
        case "split":
            head = [f"{space}- id: {name}", f"{space}  split:", f"{space}    arms:"]
            for place, arm in enumerate(("a", "b")):
                head += [
                    f"{space}      - name: {arm}",
                    f"{space}        percent: 50",
                    f"{space}        steps:",
                ]
                head += held(place, 10)
            return head
        case "gate":
            head = [f"{space}- id: {name}", f"{space}  condition:", f'{space}    if: did("{made.about}")']
            return [*head, f"{space}    else:", *held(0)]
    raise ValueError(made.kind)

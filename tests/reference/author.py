"""Small journeys at random, valid ones, out of everything that the core of the language has.

A journey is drawn as the mapping that its YAML file holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

Draw = Any
"""Hypothesis's ``draw``: takes a strategy, answers a value."""

PROPERTIES = {"n": "number", "k": "string", "d": "date", "t": "datetime"}
EVENTS = ("A", "B", "C")
CATALOG: Mapping[str, Any] = {
    "locale": "en",
    "attributes": {
        "plan": {"type": "string"},
        "points": {"type": "number"},
        "vip": {"type": "boolean"},
        "due": {"type": "date"},
        "meet": {"type": "datetime"},
    },
    "events": dict.fromkeys(EVENTS, PROPERTIES),
    "topics": {
        "offers": {"title": "Offers", "opt_in": "explicit"},
        "receipts": {"title": "Receipts", "opt_in": "none"},
    },
    "segments": {"busy": {"when": 'count("A", within="2d") >= 2'}},
    "channels": {"email": {"uses": "file", "sender": {"name": "Shop", "address": "shop@example.com"}}},
}

ABOUT_CONTACTS = (
    'contact.plan == "pro"',
    'contact.plan != "pro"',
    "contact.plan is None",
    "contact.points >= 2",
    "not contact.points > 1",
    "contact.vip",
    '"hot" in contact.tags',
    'contact.timezone == "UTC"',
    'consented("offers", "email")',
)
ABOUT_HISTORY = (
    'did("A")',
    'not did("B", where=event.k == "x")',
    'count("A") == 1',
    'count("B", within="2d") >= 2',
    'count("A", within="12h") == 0',
    'total("A", "n", within="3d") > 4',
    'total("B", "n") >= 3',
    'last("A").n > 2',
    'last("C").k == "x"',
    'days_since("A") >= 1',
    'days_since("B") == 2',
    'in_segment("busy")',
)
ABOUT_TIME = (
    "today >= contact.due",
    "now >= contact.meet",
    'weekday in ["sat", "sun"]',
    'contact.due < today + days("2d")',
)
ABOUT_THE_TRIGGER = (
    "trigger.n >= 2",
    "trigger.k == contact.plan",
    "trigger.k is None",
    'did("B", where=event.k == trigger.k)',
    'count("A", within="1d", where=event.n >= trigger.n) >= 1',
    "trigger.d > today",
)
ABOUT_THE_EVENT = (
    "event.n >= 2",
    'event.k == "x"',
    "event.k == contact.plan",
    'count("A") <= 2',
    "event.n is None",
)
ABOUT_BOTH = ("event.k == trigger.k", "event.n > trigger.n")
ABOUT_RUN_VALUES = {
    "score": ("run.score > 1",),
    "kept": ("run.kept.n >= 2", 'run.kept.k == "x"', "run.kept.k is None", "run.kept.n == trigger.n"),
    "gathered": ('"x" in run.gathered.k', "2 in run.gathered.n"),
}
NUMBERS = ("event.n", "event.n + 1", 'total("A", "n")', "2.5", "contact.points")

LENGTHS = ("30m", "6h", "12h", "1d", "2d", "1d6h", "90m", "P1DT30M")
TIMES = ("00:00", "00:30", "02:00", "02:30", "06:00", "12:00")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DATES = ("contact.due", "contact.meet", "trigger.d", "trigger.t")


@dataclass
class Author:
    """Draws one journey; counts its steps, so that their ids rise in file order."""

    draw: Draw
    name: str
    steps_left: int
    top: list[str] = field(default_factory=list)
    count: int = 0
    sends: list[str] = field(default_factory=list)
    run_values: set[str] = field(default_factory=set)
    jumps: list[tuple[dict[str, Any], int]] = field(default_factory=list)
    templates: set[str] = field(default_factory=set)

    def one_of(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def maybe(self) -> bool:
        return bool(self.draw(st.booleans()))

    def seldom(self) -> bool:
        return not self.draw(st.integers(0, 3))

    # Expressions -----------------------------------------------------------------------------------------

    def test(self, *more: Sequence[str]) -> str:
        """A condition that may read the contact, history, the trigger and what the run has done so far."""
        pools = [ABOUT_CONTACTS, ABOUT_HISTORY, ABOUT_TIME, ABOUT_THE_TRIGGER, *more]
        if self.run_values:
            pools.append(tuple(f"run.{name} is not None" for name in sorted(self.run_values)))
            pools += [ABOUT_RUN_VALUES[name] for name in sorted(self.run_values & ABOUT_RUN_VALUES.keys())]
        if self.sends:
            pools.append(tuple(f'sent("{step}")' for step in self.sends))
        first = self.one_of(*self.one_of(*pools))
        if self.seldom():
            second = self.one_of(*self.one_of(*pools))
            return str(self.one_of(f"({first}) and ({second})", f"({first}) or ({second})", f"not ({first})"))
        return str(first)

    def of_trigger(self) -> str:
        return str(self.one_of(*ABOUT_THE_EVENT, *ABOUT_CONTACTS, *ABOUT_HISTORY))

    # Steps -----------------------------------------------------------------------------------------------

    def list_of_steps(self, depth: int, *, at_least: int = 0) -> list[dict[str, Any]]:
        wanted = self.draw(st.integers(at_least, 3 if depth else 5))
        steps: list[dict[str, Any]] = []
        while len(steps) < wanted and (self.steps_left > 0 or len(steps) < at_least):
            steps.append(self.step(depth))
        if depth and self.steps_left > 0 and self.seldom():
            steps.append(self.last_step())
        return steps

    def new_step(self) -> dict[str, Any]:
        self.count += 1
        self.steps_left -= 1
        return {"id": f"s{self.count}"}

    def last_step(self) -> dict[str, Any]:
        """Nothing comes behind these, so they stand last in a list of their own."""
        step = self.new_step()
        if self.maybe():
            step["exit"] = self.one_of("done", "enough")
        else:
            step["goto"] = ""
            self.jumps.append((step, self.count))
        return step

    def step(self, depth: int) -> dict[str, Any]:
        step = self.new_step()
        if not depth:
            self.top.append(step["id"])
        kinds = ["send", "send", "wait", "event", "when", "any", "collect", "until", "update", "update"]
        kinds += ["condition", "branch", "split"] if depth < 2 else []
        match self.one_of(*kinds):
            case "wait":
                step["wait"] = self.wait_for()
            case "until":
                step["wait"] = self.wait_until()
            case "event":
                wait = self.event() | {"up_to": self.up_to()}
                step["wait"] = wait | self.nested(depth, "then", "timeout")
            case "when":
                wait = {"when": self.test(), "up_to": self.up_to()}
                step["wait"] = wait | self.nested(depth, "then", "timeout")
            case "any":
                options = [self.option(depth, f"o{number}") for number in range(self.one_of(1, 2, 2, 3))]
                wait = {"any": options, "up_to": self.up_to()}
                step["wait"] = wait | self.nested(depth, "timeout")
            case "collect":
                step["wait"] = self.digest() | self.nested(depth, "if_empty")
            case "send":
                template = step["id"]
                self.templates.add(template)
                step["send"] = {"channel": "email", "topic": self.one_of("offers", "offers", "receipts")}
                self.sends.append(step["id"])
            case "update":
                step["update"] = self.update()
            case "condition":
                test = self.test()
                if not self.seldom():
                    step["condition"] = {"if": test, "else": self.list_of_steps(depth + 1, at_least=1)}
                else:
                    step["condition"] = test
            case "branch":
                cases: list[dict[str, Any]] = []
                for number in range(self.draw(st.integers(1, 2))):
                    test = self.test()
                    cases.append(
                        {
                            "when": test,
                            "name": f"c{number}",
                            "steps": self.list_of_steps(depth + 1, at_least=1),
                        }
                    )
                step["branch"] = [*cases, {"name": "rest", "else": self.list_of_steps(depth + 1, at_least=1)}]
            case "split":
                shares = self.one_of((50, 50), (10, 90), (33.33, 66.67))
                step["split"] = {
                    "arms": [
                        {"name": name, "percent": share, "steps": self.list_of_steps(depth + 1, at_least=1)}
                        for name, share in zip("ab", shares, strict=True)
                    ]
                }
        return step

    def nested(self, depth: int, *keys: str) -> dict[str, Any]:
        """Steps under some of ``keys``."""
        wanted = [key for key in keys if depth < 2 and self.maybe()]
        return {key: self.list_of_steps(depth + 1, at_least=1) for key in wanted}

    def up_to(self) -> Any:
        if self.maybe() or self.maybe():
            return self.one_of(*LENGTHS)
        offset = {"offset": self.one_of("-1d", "2d", "6h")} if self.maybe() else {}
        return {"until": self.one_of(*DATES), **offset}

    def event(self, key: str = "event") -> dict[str, Any]:
        """An event that is waited for."""
        wait: dict[str, Any] = {key: self.one_of(*EVENTS)}
        if self.maybe():
            wait["where"] = self.one_of(*ABOUT_THE_EVENT, *ABOUT_BOTH)
        if self.maybe():
            wait["since"] = self.one_of("here", "entry", "entry")
        if key == "event" and self.maybe():
            wait["save_as"] = "kept"
            self.run_values |= {"kept"}
        return wait

    def option(self, depth: int, name: str) -> dict[str, Any]:
        option = self.event() if self.maybe() else {"when": self.test()}
        return option | {"name": name} | self.nested(depth, "then")

    def digest(self) -> dict[str, Any]:
        wait = self.event("collect") | {"for": self.one_of("0m", *LENGTHS), "save_as": "gathered"}
        if self.maybe():
            wait["max"] = self.one_of(1, 2)
        if self.maybe() or wait["for"] == "0m":
            wait["at"] = self.one_of(*TIMES)
        self.run_values |= {"gathered"}
        return wait

    def wait_for(self) -> Any:
        if self.maybe():
            return self.one_of(*LENGTHS)
        wait: dict[str, Any] = {"for": self.one_of("0m", *LENGTHS)}
        if self.maybe():
            wait["at"] = self.one_of(*TIMES)
        if self.maybe() or "at" not in wait:
            wait["days"] = self.weekdays()
        return wait

    def weekdays(self) -> list[str]:
        return sorted(
            self.draw(st.sets(st.sampled_from(WEEKDAYS), min_size=1, max_size=4)), key=WEEKDAYS.index
        )

    def wait_until(self) -> dict[str, Any]:
        wait: dict[str, Any] = {
            "until": self.one_of(*DATES),
            "if_past": self.one_of("continue", "exit"),
            "if_missing": self.one_of("continue", "exit", "wait"),
        }
        if self.maybe():
            wait["offset"] = self.one_of("-1d", "2d", "-6h", "1d6h")
        if self.maybe():
            wait["at"] = self.one_of(*TIMES)
        return wait

    def update(self) -> dict[str, Any]:
        update: dict[str, Any] = {}
        if self.maybe():
            update["set"] = self.one_of(
                {"plan": "pro"},
                {"plan": "= trigger.k", "points": "= contact.points + 1"},
                {"points": 2},
                {"vip": True},
                {"due": '= today + days("2d")'},
                {"due": "= trigger.d", "points": '= count("A")'},
                {"timezone": "Europe/Berlin"},
            )
        if self.maybe():
            update["add_tags"] = ["hot"]
        elif self.maybe():
            update["remove_tags"] = ["hot"]
        if self.maybe() or not update:
            update["run"] = self.one_of({"score": "= trigger.n + 1"}, {"score": 3}, {"word": "= trigger.k"})
            self.run_values |= set(update["run"])
        return update

    # The whole -------------------------------------------------------------------------------------------

    def journey(self) -> dict[str, Any]:
        journey: dict[str, Any] = {
            "journey": self.name, "language": 1, "title": f"Journey {self.name}", "owner": "shop@example.com",
            "topic": "offers",
        }  # fmt: skip
        triggers = [self.trigger() for _ in range(self.one_of(1, 1, 2))]
        journey["trigger"] = triggers[0] if len(triggers) == 1 else triggers
        entry: dict[str, Any] = {"again": self.one_of("ignore", "restart", "refresh")}
        entry["reentry"] = self.one_of("never", "always", "always", "1d", "36h")
        if self.maybe():
            entry["per"] = self.one_of("trigger.k", "trigger.n", "contact.plan")
        journey["entry"] = entry
        steps = self.list_of_steps(0, at_least=1)
        self.land_jumps()
        if rules := [self.exit_rule(number) for number in range(self.one_of(0, 0, 1, 2))]:
            journey["exit"] = rules
        if self.maybe():
            goal: dict[str, Any] = {"event": self.one_of(*EVENTS), "within": self.one_of("12h", "1d", "3d")}
            if self.seldom():
                goal["where"] = self.one_of(*ABOUT_THE_EVENT, *ABOUT_BOTH)
            if self.maybe():
                goal["value"] = self.one_of(*NUMBERS)
            goal["then"] = self.one_of("continue", "exit")
            journey["goal"] = goal
        journey["steps"] = steps
        return journey

    def trigger(self) -> dict[str, Any]:
        trigger: dict[str, Any] = {"event": self.one_of(*EVENTS)}
        if self.seldom():
            trigger["where"] = self.of_trigger()
        return trigger

    def exit_rule(self, number: int) -> dict[str, Any]:
        reason = f"out-{number}"
        if self.maybe():
            return {"when": self.test(), "reason": reason}
        rule = {"event": self.one_of(*EVENTS), "reason": reason}
        if self.maybe():
            rule["where"] = self.one_of(*ABOUT_THE_EVENT, *ABOUT_BOTH)
        return rule

    def land_jumps(self) -> None:
        """Each ``goto`` leads to a later step of the outermost list; where there is none, it becomes an exit."""
        for step, place in self.jumps:
            later = [target for target in self.top if int(target[1:]) > place]
            if later:
                step["goto"] = self.one_of(*later)
            else:
                del step["goto"]
                step["exit"] = "done"

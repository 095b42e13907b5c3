"""Small journeys at random, valid ones: who enters, when it ends, what it is measured by, and its steps.

A journey is drawn as the mapping that its YAML file holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from tests.reference.step_author import StepAuthor
from tests.reference.vocabulary import (
    ABOUT_BOTH,
    ABOUT_CONTACTS,
    ABOUT_HISTORY,
    ABOUT_JOURNEYS,
    ABOUT_THE_BROADCAST,
    ABOUT_THE_EVENT,
    BROADCAST,
    CRON_LINES,
    DATE_TRIGGERS,
    EVENTS,
    NUMBERS,
    PROPERTIES,
    SEGMENTS,
    TIMES,
    TOPICS,
)

LAUNCHES: tuple[Mapping[str, Any], ...] = (
    {"delivery": "shadow"},
    {"delivery": "live"},
    {"delivery": "seed", "seeds": ["c0@example.com", "Other@example.com"]},
    {"ramp": [{"percent": 5, "for": "2d"}, {"percent": 100}]},
)
"""Virtual time looks at a journey whose ramp is over."""


class Author(StepAuthor):
    """Draws one journey."""

    def journey(self) -> dict[str, Any]:
        journey: dict[str, Any] = {
            "journey": self.name, "language": 1, "title": f"Journey {self.name}", "owner": "shop@example.com",
            "topic": "offers",
        }  # fmt: skip
        triggers = self.triggers()
        journey["trigger"] = triggers[0] if len(triggers) == 1 else triggers
        launches = LAUNCHES if self.asks else LAUNCHES[:1]
        journey |= self.one_of(*[{}] * 3, {"stage": "looking"})
        journey |= self.one_of(*[{}] * 8, {"holdout": "40%"}, *launches)
        if self.asks and any(finds_people(trigger) for trigger in triggers):
            journey["existing"] = self.one_of("skip", "enter", "enter", "enter")
        entry: dict[str, Any] = {"again": self.one_of("ignore", "restart", "refresh")}
        rules = ["always"] if self.chatty else ["never", "always", "always", "1d", "36h"]
        entry["reentry"] = self.one_of(*rules)
        if self.maybe():
            entry["per"] = self.one_of("trigger.k", "trigger.n", "contact.plan")
        if self.shares and self.maybe():
            entry["by"] = "account"
        elif self.asks and self.seldom():
            entry["by"] = "contact"
        journey["entry"] = entry
        if self.maybe():
            goal: dict[str, Any] = {"event": self.one_of(*EVENTS), "within": self.one_of("12h", "1d", "3d")}
            if self.seldom():
                goal["where"] = self.one_of(*ABOUT_THE_EVENT, *ABOUT_BOTH)
            if self.maybe():
                goal["value"] = self.one_of(*NUMBERS)
            goal["then"] = self.one_of("continue", "exit")
            journey["goal"], self.has_goal = goal, True
        if self.asks and self.maybe():
            journey["links"] = self.links()
        steps = self.list_of_steps(0, at_least=3 if self.chatty else 1)
        self.land_jumps()
        if rules := [self.exit_rule(number) for number in range(self.one_of(0, 0, 1, 2))]:
            journey["exit"] = rules
        journey["steps"] = steps
        return journey

    def triggers(self) -> list[dict[str, Any]]:
        """One of the forms, or one or two events; who may be enrolled always is."""
        if self.name in self.manual:
            return [
                {"manual": True, "properties": PROPERTIES},
                *([self.event_trigger()] if self.maybe() else []),
            ]
        if self.asks and self.seldom() and self.maybe():
            self.knows_event = False
            return [self.trigger_that_may_hold(), *([self.trigger_that_may_hold()] if self.seldom() else [])]
        if self.maybe() or self.maybe():
            return [self.event_trigger() for _ in range(self.one_of(1, 1, 2))]
        trigger = self.other_trigger()
        self.knows_event = False
        return [trigger, *([self.event_trigger()] if self.seldom() else [])]

    def trigger_that_may_hold(self) -> dict[str, Any]:
        """Of somebody, though nothing happens."""
        return dict(
            self.one_of(
                {"segment": self.one_of(*SEGMENTS), "change": "enter"},
                {"attribute": "plan", "to": self.one_of("pro", "x", None)},
                {"attribute": "points", "to": self.one_of(1, 2), "from": 0},
                {"consent": self.one_of(*TOPICS[:-1]), "change": self.one_of("given", "withdrawn")},
                {"consent": "offers", "channel": "email", "change": self.one_of("given", "withdrawn")},
            )
        )

    def other_trigger(self) -> dict[str, Any]:
        match self.one_of(
            "attribute", "consent", "segment", "date", "schedule", "schedule", *["journey"] * len(self.others)
        ):
            case "attribute":
                name, values = self.one_of(
                    ("plan", ("pro", "free", "x")), ("points", (0, 1, 2)), ("vip", (True, False)), ("due", ())
                )
                said = {key: self.one_of(*values, None) for key in ("from", "to") if values and self.seldom()}
                return {"attribute": name, **said}
            case "consent":
                said = {"channel": self.one_of("email", "sms")} if self.maybe() else {}
                if said and self.seldom():
                    return {"consent": "news", "change": "stale", **said}
                change = self.one_of("given", "given", "withdrawn", "pending")
                return {"consent": self.one_of(*TOPICS[:-1]), "change": change, **said}
            case "segment":
                return {
                    "segment": self.one_of(*SEGMENTS),
                    "change": self.one_of("enter", "leave"),
                }
            case "journey":
                said = {"outcome": self.one_of("completed", "done", "out-0", "goal")} if self.maybe() else {}
                return {"journey": self.one_of(*self.others), **said}
            case "date":
                return self.date_trigger()
        schedule = {"schedule": self.one_of(*CRON_LINES)}
        if self.maybe() or self.maybe():
            schedule["timezone"] = self.one_of("contact", "contact", "Europe/Berlin")
        if self.maybe():
            schedule["catch_up"] = self.one_of("skip", "once", "all")
        if self.maybe():
            schedule["audience"] = self.one_of(*ABOUT_CONTACTS, *ABOUT_HISTORY, *ABOUT_JOURNEYS)
        return schedule

    def date_trigger(self) -> dict[str, Any]:
        trigger: dict[str, Any] = {"date": self.one_of(*DATE_TRIGGERS)}
        if self.maybe():
            trigger["every"] = "year"
        if self.maybe():
            trigger["offset"] = self.one_of("-1d", "-2d", "1d", "-6h")
        if self.maybe():
            trigger["at"] = self.one_of(*TIMES)
        if self.maybe():
            trigger["if_past"] = self.one_of("skip", "enter")
        return trigger

    def event_trigger(self) -> dict[str, Any]:
        if self.asks and self.seldom() and self.maybe():
            return {"event": BROADCAST, "where": self.one_of(*ABOUT_THE_BROADCAST)}
        trigger: dict[str, Any] = {"event": self.one_of(*EVENTS)}
        if not self.chatty and self.seldom():
            trigger["where"] = self.of_trigger()
        return trigger

    def links(self) -> dict[str, Any]:
        """What readers may press; nobody looks whether the letter has the link."""
        day = {"type": "date"} | self.one_of({}, {"min": "= today"}, {"max": "= contact.due"})
        given = {"type": "number"} | self.one_of(
            {}, {"min": 1}, {"min": "= trigger.n"}, {"max": "= contact.points"}
        )
        every = {
            "yes": {"consent": {"give": self.one_of(*TOPICS[:-1])}},
            "no": {
                "consent": {"withdraw": self.one_of(*TOPICS[:-1]), "channel": self.one_of("email", "sms")}
            },
            "say": {"ask": {"run.given": given, "run.day": day}},
            "more": {"ask": {"run.fine": {"type": "boolean"}, "run.words": {"type": "string"}}},
            "when": {"ask": {"run.hour": {"type": "datetime", "min": "= contact.meet"}}},
            "day": {"ask": {"run.day": day}, "snooze": "run.day"},
            "later": {"snooze": ["6h", "2d"]},
            "tell": {"emit": self.emit()},
            "stop": {"exit": "stopped"},
        }
        wanted = self.draw(st.sets(st.sampled_from(sorted(every)), min_size=1, max_size=4))
        links = {name: every[name] for name in sorted(wanted)}
        for link in links.values():
            self.run_values |= {name.removeprefix("run.") for name in link.get("ask", ())}
            if self.seldom():
                link["expires"] = self.one_of("12h", "2d")
        return links

    def exit_rule(self, number: int) -> dict[str, Any]:
        reason = f"out-{number}"
        if self.needs_consent and self.seldom():
            return {**self.one_of({"consent": "withdrawn"}, {"replied": "any"}), "reason": reason}
        if self.maybe():
            return {"when": self.turning(), "reason": reason}
        if self.asks and self.seldom():
            return self.broadcast() | {"reason": reason}
        rule = {"event": self.one_of(*EVENTS), "reason": reason}
        if self.maybe():
            rule["where"] = self.one_of(*ABOUT_THE_EVENT, *ABOUT_BOTH)
        return rule


def finds_people(trigger: Mapping[str, Any]) -> bool:
    """Whether the trigger may hold of somebody though nothing happens."""
    if "segment" in trigger:
        return bool(trigger["change"] == "enter")
    return "to" in trigger or ("consent" in trigger and trigger["change"] != "stale")

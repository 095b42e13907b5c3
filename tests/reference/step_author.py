"""Steps of small journeys at random, valid ones, out of everything that the language has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.reference.send_author import SendAuthor
from tests.reference.vocabulary import ABOUT_BOTH, ABOUT_THE_EVENT, EVENTS, HOURS, LENGTHS, TIMES, TOPICS


@dataclass
class StepAuthor(SendAuthor):
    """Draws the steps of one journey, and counts them, so that their ids rise in file order."""

    def list_of_steps(self, depth: int, *, at_least: int = 0) -> list[dict[str, Any]]:
        wanted = self.draw(st.integers(at_least, (3 if depth else 5) + self.chatty))
        steps: list[dict[str, Any]] = []
        while len(steps) < wanted and (self.steps_left > 0 or len(steps) < at_least):
            steps.append(self.step(depth))
        if depth and self.steps_left > 0 and self.seldom():
            steps.append(self.last_step())
        return steps

    def new_step(self) -> dict[str, Any]:
        self.count += 1
        self.steps_left -= 1
        return {"id": f"s{self.count}"} | self.one_of(*[{}] * 9, {"note": "Why it is there."})

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
        kinds = ["send"] * (16 if self.chatty else 3)
        kinds += ["wait", "event", "when", "any", "collect", "until", "update", "update", "emit", "consent"]
        kinds += ["enroll"] if self.manual else []
        kinds += ["draw"]
        kinds += ["use", "audience"] if self.asks else []
        kinds += ["hand_off", "call"] if self.asks else []
        kinds += ["series"] if not depth else []
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
                wait = {"when": self.turning(), "up_to": self.up_to()}
                step["wait"] = wait | self.nested(depth, "then", "timeout")
            case "any":
                options = [self.option(depth, f"o{number}") for number in range(self.one_of(1, 2, 2, 3))]
                wait = {"any": options, "up_to": self.up_to()}
                step["wait"] = wait | self.nested(depth, "timeout")
            case "collect":
                step["wait"] = self.digest() | self.nested(depth, "if_empty")
            case "send":
                step["send"] = self.send(step["id"])
                if self.seldom():
                    step["send"] |= self.nested(depth, "if_blocked")
                self.sends.append(step["id"])
            case "emit":
                step["emit"] = self.emit()
            case "enroll":
                step["enroll"] = {"journey": self.one_of(*self.manual), "properties": self.properties()}
            case "consent":
                step["consent"] = {self.one_of("give", "give", "withdraw"): self.one_of(*TOPICS[:-1])}
                if self.maybe():
                    step["consent"]["channel"] = self.one_of("email", "sms")
            case "update":
                step["update"] = self.update()
            case "hand_off":
                step["hand_off"] = {"to": "sales"} | self.until_escalated()
                if self.seldom():
                    step["hand_off"] |= {"channel": "crm", "reason": '= "Of " + contact.plan'}
                step["hand_off"] |= self.nested(depth, "accepted", "rejected", "escalate")
            case "call":
                step["call"] = self.call()
                step["call"] |= {"up_to": self.one_of("6h", "2d", "4d")} | self.nested(depth, "on_error")
            case "audience":
                step["ad_audience"] = {self.one_of("add", "remove"): "fans"}
                step["ad_audience"] |= self.one_of({}, {"channel": "crm"})
            case "use":
                given = {"pause": self.one_of(*LENGTHS), "least": self.one_of(0, 2)}
                step["use"] = {"fragment": "hint", "with": given} if self.maybe() else "hint"
            case "draw":
                step["draw"] = {"pool": self.one_of("codes", "codes", "nothing"), "save_as": "code"}
                step["draw"] |= self.nested(depth, "if_empty")
                self.run_values |= {"code"}
            case "series":
                step["series"] = {"each": self.one_of([1], [1, 2], ["x", "y"]), "do": self.repeated()}
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
                if self.has_goal:
                    step["split"]["experiment"] = self.experiment()
        return step

    def experiment(self) -> dict[str, Any]:
        """In virtual time nobody is moved to the better arm."""
        by = {"by": self.one_of(["contact.plan"], ["contact.vip", "contact.plan"])} if self.maybe() else {}
        guarded = {"guardrail": "unsubscribed"} if self.maybe() else {}
        return {"metric": "goal", "winner": "bayes", **guarded, **by}

    def repeated(self) -> list[dict[str, Any]]:
        """Steps of a series, whose sends nobody asks for: outside of it they have longer names."""
        before = list(self.sends)
        steps = self.list_of_steps(1, at_least=1)
        self.sends = before
        return steps

    def properties(self) -> dict[str, Any]:
        return {
            "n": self.one_of(1, "= trigger.n", "= contact.points + 1"),
            "k": self.one_of("x", "= contact.plan"),
        }

    def emit(self) -> Any:
        event = self.one_of(*EVENTS)
        return event if self.maybe() else {"event": event, "properties": self.properties()}

    def nested(self, depth: int, *keys: str) -> dict[str, Any]:
        """Steps under some of ``keys``."""
        wanted = [key for key in keys if depth < 2 and self.maybe()]
        return {key: self.list_of_steps(depth + 1, at_least=1) for key in wanted}

    def call(self) -> dict[str, Any]:
        call: dict[str, Any] = {"url": "https://example.com/"}
        call |= self.one_of(
            {"json": {"n": 1}},
            {"json": {"n": "= contact.points"}, "retry": 1, "timeout": "5s", "method": "PUT"},
            {"method": "GET", "headers": {"X-Plan": "= contact.plan"}},
            {"json": {}, "method": self.one_of("POST", "PATCH", "DELETE")},
        )
        if self.maybe():
            call |= {"save_as": "told", "answer": {"n": "number", "k": "string"}}
            self.run_values |= {"told"}
        return call

    def until_escalated(self) -> dict[str, Any]:
        if self.maybe():
            return {"sla": self.one_of("6h", "2d", "4d")}
        return {"sla": self.one_of("30m", "90m", "6h", "30h"), "hours": self.one_of(*HOURS)}

    def up_to(self) -> Any:
        if self.maybe() or self.maybe():
            return self.one_of(*LENGTHS)
        offset = {"offset": self.one_of("-1d", "2d", "6h")} if self.maybe() else {}
        return {"until": self.one_of(*self.dates()), **offset}

    def event(self, key: str = "event") -> dict[str, Any]:
        """An event that is waited for."""
        wait: dict[str, Any] = {key: self.one_of(*EVENTS)}
        if self.asks and key == "event" and self.seldom():
            wait = self.broadcast()
        elif self.maybe():
            wait["where"] = self.one_of(*ABOUT_THE_EVENT, *ABOUT_BOTH)
        if self.maybe():
            wait["since"] = self.one_of("here", "entry", "entry")
        if key == "event" and self.maybe():
            wait["save_as"] = "kept"
            self.run_values |= {"kept"}
        return wait

    def option(self, depth: int, name: str) -> dict[str, Any]:
        option = self.event() if self.maybe() else {"when": self.turning()}
        return option | {"name": name} | self.nested(depth, "then")

    def digest(self) -> dict[str, Any]:
        wait = self.event("collect") | {"for": self.one_of("0m", *LENGTHS), "save_as": "gathered"}
        if self.maybe():
            wait["max"] = self.one_of(1, 2)
        if self.maybe() or wait["for"] == "0m":
            wait["at"] = self.one_of(*TIMES)
        if self.seldom():
            wait["days"] = self.weekdays()
            wait |= self.one_of({}, {"timezone": "Asia/Tokyo"})
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
        if self.seldom():
            wait["timezone"] = self.one_of("contact", "Asia/Tokyo")
        return wait

    def wait_until(self) -> dict[str, Any]:
        wait: dict[str, Any] = {
            "until": self.one_of(*self.dates()),
            "if_past": self.one_of("continue", "exit"),
            "if_missing": self.one_of("continue", "exit", "wait"),
        }
        if self.maybe():
            wait["offset"] = self.one_of("-1d", "2d", "-6h", "1d6h")
        if self.maybe():
            wait["at"] = self.one_of(*TIMES)
        if self.seldom():
            wait["days"] = self.weekdays()
            wait |= self.one_of({}, {"timezone": "Asia/Tokyo"})
        self.leaves += [(wait, key, self.count) for key in ("if_past", "if_missing") if self.seldom()]
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
        if self.asks and self.seldom():
            update["score"] = {"name": self.one_of("lead", "heat"), "add": self.one_of(3, -2, 0.5)}
        if self.maybe() or not update:
            update["run"] = self.one_of({"score": "= trigger.n + 1"}, {"score": 3}, {"word": "= trigger.k"})
            self.run_values |= set(update["run"])
        return update

    def land_jumps(self) -> None:
        """Each ``goto`` leads to a later step of the outermost list; where there is none, it becomes an exit, and a
        wait for a date goes on as it did."""
        for wait, key, place in self.leaves:
            later = [target for target in self.top if int(target[1:]) > place]
            if later:
                wait[key] = {"goto": self.one_of(*later)}
        for step, place in self.jumps:
            later = [target for target in self.top if int(target[1:]) > place]
            if later:
                step["goto"] = self.one_of(*later)
            else:
                del step["goto"]
                step["exit"] = "done"

"""Steps of every kind, by chance: a part of what ``whole_language`` writes."""

# ruff: noqa: E501
from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from whole_catalog import BOOLEANS, CHANNELS, OF_EVENT, OF_RUN, OF_TRIGGER, STEPS_OF_TEMPLATES, TOPICS, ZONES

Tree = Any


class StepAuthor:
    """Writes the steps of a journey. ``signed``: all that starts it has the properties of a sign-up."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.ids = 0
        self.signed = False

    # Small things

    def span(self) -> str:
        return self.random.choice(["1m", "1h", "90m", "1d", "2d", "1w", "PT2H", "1d3h", "20d"])

    def boolean(self, depth: int = 1, *, run: bool = False, event: str | None = None) -> str:
        pool: tuple[str, ...] = BOOLEANS if depth else BOOLEANS[:-3]
        if event and self.random.random() < 0.7:
            pool = OF_EVENT[event]
        elif run and self.random.random() < 0.4:
            pool = (*OF_RUN, *(OF_TRIGGER if self.signed else ()))
        text = self.random.choice(pool)
        while "«boolean»" in text:
            text = text.replace("«boolean»", f"({self.boolean(depth - 1, run=run, event=event)})", 1)
        text = text.replace("«number»", str(self.random.choice([0, 5, 99.5, -1])))
        return text.replace("«span»", self.random.choice(["1h", "7d", "30d"])).replace(
            "«few»", self.random.choice("123")
        )

    def some(self, items: Any) -> list[Any]:
        chosen = [each for each in items if self.random.random() < 0.5]
        return chosen or [self.random.choice(items)]

    def _id(self) -> str:
        self.ids += 1
        return f"s{self.ids}"

    def where(self, event: str) -> Tree:
        return {"where": self.boolean(event=event)} if self.random.random() < 0.5 else {}

    def an_event(self) -> str:
        return self.random.choice(list(OF_EVENT))

    # Steps

    def steps(self, most: int, depth: int = 2) -> list[Tree]:
        return [self.step(depth) for _ in range(self.random.randint(0 if depth < 2 else 1, most))]

    def step(self, depth: int) -> Tree:
        kinds: list[Callable[[int], Tree]] = [
            *(
                self._wait,
                self._wait,
                self._wait,
                self._condition,
                self._sends,
                self._sends,
                self._act,
                self._act,
            ),
            *(() if depth == 0 else (self._branch, self._split, self._series)),
        ]
        id = self._id()
        return {"id": id, **self.random.choice(kinds)(depth - 1)}

    def _held(self, depth: int) -> list[Tree]:
        if depth < 0 or self.random.random() < 0.4:
            return []
        if self.random.random() < 0.2:
            return [{"id": self._id(), "exit": "over"}]
        return self.steps(2, depth)

    def _wait(self, depth: int) -> Tree:
        random = self.random
        event = self.an_event()
        hours: Tree = random.choice(
            [
                {},
                {"at": "02:30"},
                {"at": "09:00", "days": ["mon", "sat"]},
                {"timezone": "Asia/Tbilisi", "at": "23:59"},
            ]
        )
        up_to = random.choice(
            [
                self.span(),
                self.span(),
                {"until": "contact.renewal"},
                {"until": "contact.seen", "offset": "2d"},
            ]
        )
        until = {
            "until": random.choice(
                [
                    "contact.renewal",
                    "contact.seen",
                    'today + days("3d")',
                    'contact.renewal - days("1d")',
                    "now",
                ]
            ),
            "if_past": random.choice(["continue", "exit"]),
            "if_missing": random.choice(["continue", "exit", "wait"]),
        }
        options = [
            {"event": event, **self.where(event), **random.choice([{}, {"since": "entry"}]), "then": self._held(depth), "name": "first"},
            {"when": self.boolean(run=True), "name": "second"},
            {"event": "Order Completed", "save_as": f"w{self.ids}"},
        ]  # fmt: skip
        return {
            "wait": random.choice(
                [
                    self.span(),
                    {"for": self.span(), **hours},
                    {**until, **hours, **random.choice([{}, {"offset": "-1d"}, {"offset": "36h"}])},
                    {"event": event, **self.where(event), **random.choice([{}, {"since": "entry"}]), "up_to": up_to,
                     "then": self._held(depth), "timeout": self._held(depth)},
                    {"event": "Back In Stock", "where": "event.sku == contact.country", "up_to": up_to},
                    {"when": self.boolean(run=True), "up_to": up_to, "then": self._held(depth), "timeout": self._held(depth)},
                    {"any": self.some(options), "up_to": up_to, "timeout": self._held(depth)},
                    {"collect": event, **self.where(event), "for": self.span(), **hours, "max": random.choice([1, 20]), "save_as": f"c{self.ids}",
                     "if_empty": self._held(depth), **random.choice([{}, {"since": "entry"}])},
                ]
            )
        }  # fmt: skip

    def _condition(self, depth: int) -> Tree:
        test = self.boolean(2, run=True)
        return {
            "condition": self.random.choice(
                [test, {"if": test, "else": self._held(depth)}, {"if": test, "else": []}]
            )
        }

    def a_send(self) -> Tree:
        random = self.random
        options: Mapping[str, Callable[[], Tree]] = {
            "topic": lambda: random.choice(TOPICS),
            "valid_for": self.span,
            "window": lambda: random.choice(
                [{"from": "11:00", "to": "12:00"}, {"from": "23:00", "to": "01:00", "days": ["sun"]}, {"best": "24h", "fallback": "11:00"}]
            ),
            "only_if": lambda: self.boolean(run=True),
            "rate": lambda: {"max": random.choice([1, 2]), "per": random.choice(["1m", "1h", "1d"])},
            "ignore_quiet_hours": lambda: True,
            "on_unknown": lambda: random.choice(["resend", "hold"]),
        }  # fmt: skip
        made = {
            key: option() for key, option in options.items() if random.random() < 0.25 and option != self.span
        }
        if "valid_for" in made and made["valid_for"] == "0m":
            del made["valid_for"]
        if made.get("topic") != "orders":
            made.pop("ignore_quiet_hours", None)
            made.pop("on_unknown", None)
        return {"channel": random.choice(CHANNELS), **made}

    def _sends(self, depth: int) -> Tree:
        template = self.random.choice(
            [
                "hello",
                "nudge",
                "hello",
                {
                    "by": ["contact.plan", "contact.vip"],
                    "from": "cells",
                    "empty": self.random.choice(STEPS_OF_TEMPLATES),
                },
            ]
        )
        blocked: Tree = {"if_blocked": held} if (held := self._held(depth)) else {}
        return {"send": {**self.a_send(), "template": template, **blocked}}

    def _act(self, depth: int) -> Tree:
        random = self.random
        return random.choice(
            [
                {"update": {"set": {"vip": random.choice([True, False, None]), "value": random.choice([1, 12.5, "= contact.value + 1"])}}},
                {"update": {"set": {random.choice(["plan", "country"]): random.choice(["pro", "free", None])}, "add_tags": ["a"], "remove_tags": ["hinted"]}},
                {"update": {"set": {"renewal": random.choice(["2026-04-01", "= today", None]), "seen": "= now"}}},
                {"update": {"set": {"timezone": random.choice(ZONES)}}},
                {"update": {"score": {"add": random.choice([5, -2, "= contact.value"]), "name": "lead"}}},
                {"consent": {random.choice(["give", "withdraw"]): random.choice(TOPICS[:3]), **random.choice([{}, {"channel": "email"}])}},
                {"emit": {"event": "Asset Read", "properties": {"stage": "use", "minutes": "= contact.value"}}},
                {"emit": random.choice(["Order Completed", "Trial Started", "Signed Up"])},
                {"enroll": random.choice(["next", {"journey": "next", "properties": {"plan": "= contact.plan", "seats": 3}}])},
                {"draw": {"pool": "vouchers", "save_as": f"d{self.ids}", "if_empty": self._held(depth)}},
                {"call": random.choice(["https://shop.example/ping", {
                    "url": '= "https://shop.example/" + contact.id', "method": "PUT", "json": {"vip": "= contact.vip", "list": [1, "two", None, {"deep": "= now"}]},
                    "headers": {"X-Shop": "example"}, "up_to": "90m", "retry": 1, "save_as": f"k{self.ids}",
                    "answer": {"ok": "boolean", "items": [{"sku": "string"}]}, "on_error": self._held(depth)}])},
                {"hand_off": {"to": "sales", "reason": "= contact.first_name", "sla": random.choice(["1h", "4h", "2d"]), **random.choice([{}, {"hours": "office"}, {"hours": "late"}]),
                              "accepted": self._held(depth), "rejected": self._held(depth), "escalate": self._held(depth)}},
                {"ad_audience": {random.choice(["add", "remove"]): "buyers"}},
                {"use": {"fragment": "hint", "with": {"topic": random.choice(TOPICS), "least": 3}}},
            ]
        )  # fmt: skip

    def _branch(self, depth: int) -> Tree:
        cases: list[Tree] = [
            {"when": self.boolean(2, run=True), "name": f"case-{number}", "steps": self._held(depth)}
            for number in range(self.random.randint(1, 2))
        ]
        return {"branch": [*cases, {"name": "rest", "else": self._held(depth)}]}

    def _split(self, depth: int) -> Tree:
        arms = [
            {"name": "a", "percent": 40, "steps": self._held(depth)},
            {"name": "b", "percent": 60, "steps": self._held(depth)},
        ]
        return {"split": {"arms": arms}}

    def _series(self, depth: int) -> Tree:
        return {
            "series": {
                "each": [1, 2],
                "do": [
                    {"id": "pause", "wait": "{item}h"},
                    {"id": "note", "update": {"run": {"of_{item}": "{item}"}}},
                    *({"id": f"x{number}", **self._wait(-1)} for number in range(self.random.randint(0, 1))),
                ],
            }
        }

"""Projects that use the whole language: a seed makes a project without errors."""

# ruff: noqa: E501
from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from whole_catalog import (
    ATTRIBUTES,
    CHANNELS,
    EVENTS,
    FRAGMENT,
    SIGNED_UP,
    TOPICS,
    ZONES,
)
from whole_steps import StepAuthor, Tree

from runner.problem import Severity
from runner.review.check import check_files

Files = dict[str, str]


class Author(StepAuthor):
    """Writes one project. What it says of a run stands at steps behind those that write it, or not at all: whoever is
    given the project looks whether it is one without errors."""

    def project(self) -> Files:
        """Two to four journeys, their catalog, templates, and what else stands there. Has no errors."""
        wrong = {"demo", "next", *(f"more-{number}" for number in range(self.random.randint(0, 2)))}
        files = {
            "journeys/catalog.yaml": _text(self.catalog()),
            "journeys/fragments/hint.yaml": _text(FRAGMENT),
        }
        while wrong:
            for name in sorted(wrong):
                files |= journey_files(name, self.journey(name))
            problems = [
                problem for problem in check_files(files).problems if problem.severity is Severity.ERROR
            ]
            wrong = {problem.span.file.split("/")[1] for problem in problems}
            # What is wrong in the fragment is so for one of those that use it.
            wrong = {name for name in wrong if f"journeys/{name}/journey.yaml" in files} or (
                {"demo", "next"} if wrong else set()
            )
        return files

    def catalog(self) -> Tree:
        policies: Tree = {
            "quiet_hours": {"from": "21:00", "to": "08:00", "channels": self.some(CHANNELS)},
            "frequency_cap": self.some(
                (
                    {"max": 2, "per": "7d"},
                    {"max": 1, "per": "1d", "channel": "sms", "over": "drop"},
                    {"max": 1, "per": "2d", "topic": "offers", "over": "defer"},
                )
            ),
            "priority": ["transactional", "news", "offers"],
            "hold": [{"when": "contact.tickets > 0", "topics": ["offers"]}, {"when": self.boolean(0)}],
            "holdout": {"percent": self.random.choice([1, 20, 50]), "name": "global"},
        }
        kept = {key: value for key, value in policies.items() if self.random.random() < 0.5}
        return {
            "timezone": self.random.choice(ZONES),
            "locale": "en",
            "attributes": ATTRIBUTES,
            "accounts": {"industry": {"type": "string", "one_of": ["retail", "health"]}, "seats": "number"},
            "events": EVENTS,
            "topics": {
                "news": {"title": "News", "opt_in": self.random.choice(["explicit", "double", "soft"]), "stale_after": "20d"},
                "offers": {"title": "Offers", "opt_in": "soft", "on_unknown": "hold"},
                "tips": {"title": "Tips", "opt_in": [{"when": "contact.country in EU", "is": "double"}, {"else": "soft"}]},
                "orders": {"title": "Orders", "opt_in": "none"},
            },
            "lists": {"EU": ["AT", "BE", "DE"]},
            "segments": {
                "big": {"when": 'total("Order Completed", "revenue", within="10d") > 100', "persona": True, "refresh": "2h"},
                "quiet": {"when": 'days_since("Order Completed") >= 3'},
                "vips": {"when": "contact.vip"},
            },
            "stages": [{"name": "problem", "when": 'did("Asset Read")'}, {"name": "use", "when": 'did("Order Completed", by="account")'}],
            "scores": {"lead": [{"event": "Asset Read", "add": 10, "fades": "5d"}, {"event": "Order Completed", "where": "event.revenue > 50", "add": 5}]},
            "funnel": [{"name": "reads", "when": "contact.stage is not None", "probability": 0.1, "value": "contact.value"}],
            "channels": {
                "email": {"cost": 0.01, "sender": {"name": "Shop", "address": "hello@shop.example"}},
                "sms": {}, "push": {}, "crm": {"uses": "file"}, "audiences": {"uses": "file"},
            },
            "pools": {"vouchers": {"file": "vouchers.csv"}},
            "hours": {"office": {"from": "09:00", "to": "17:00"}, "late": {"from": "22:00", "to": "23:30", "days": ["sat"], "timezone": "Asia/Tbilisi"}},
            "costs": [{"name": "licence", "amount": 10, "per": "month"}],
            "goals": [{"name": "revenue", "metric": "revenue", "journeys": ["demo"], "target": 100, "by": "2027-02-21"}],
            "policies": kept or {"holdout": policies["holdout"]},
        }  # fmt: skip

    def journey(self, name: str) -> Tree:
        """A journey; `next` can be entered by hand."""
        self.ids = 0
        random = self.random
        triggers = [self._trigger(name) for _ in range(random.randint(1, 3))]
        if name == "next":
            triggers.append({"manual": True, "properties": SIGNED_UP})
        self.signed = all(each.get("event") == "Signed Up" or "properties" in each for each in triggers)
        tree: Tree = {
            "journey": name, "language": 1, "title": "A journey", "topic": random.choice(TOPICS), "trigger": triggers,
        }  # fmt: skip
        options: Mapping[str, Callable[[], Tree]] = {
            "entry": self._entry,
            "existing": lambda: random.choice(["skip", "skip", "enter"]),
            "exit": lambda: [self._exit() for _ in range(random.randint(1, 2))],
            "goal": self._goal,
            "holdout": lambda: random.choice(["10%", "50%", "2.5%"]),
            "delivery": lambda: random.choice(["live", "shadow"]),
            "ramp": lambda: [{"percent": random.choice([5, 50]), "for": "2d"}, {"percent": 100}],
        }
        tree |= {key: made() for key, made in options.items() if random.random() < 0.35}
        links = {
            "later": {"snooze": ["1d", "1w"]},
            "stop": {"exit": "stopped"},
            "done": {"emit": {"event": "Asset Read", "properties": {"minutes": 3}}, "expires": "5d"},
            "confirm": {"consent": {"give": "news"}},
            "no": {"consent": {"withdraw": "offers", "channel": "email"}},
            "begin": {
                "ask": {
                    "run.started": {"type": "date", "min": "= today"},
                    "amount": {"type": "number", "max": 10},
                }
            },
        }
        if random.random() < 0.5:
            tree["links"] = links
        tree["steps"] = [*self._beginning(), *self.steps(4)]
        return tree

    def _beginning(self) -> list[Tree]:
        """What later steps speak of."""
        every: list[Tree] = [
            {"id": "hello", "send": self.random.choice(["email", self.a_send()])},
            {"id": "values", "update": {"run": {"days": 3, "since": "= today", "plan": "= contact.plan", "started": "= contact.renewal"}}},
            {"id": "bought", "wait": {"event": "Order Completed", "up_to": self.span(), "save_as": "order"}},
            {"id": "gathers", "wait": {"collect": "Order Completed", "for": self.span(), "max": 3, "save_as": "orders"}},
            {"id": "asks", "call": {"url": "https://shop.example/score", "up_to": "3h", "retry": 1, "save_as": "score", "answer": {"ok": "boolean", "value": "number"}}},
        ]  # fmt: skip
        return self.some(every)

    # What starts and ends runs

    def _trigger(self, name: str) -> Tree:
        random = self.random
        event = self.an_event()
        other = "demo" if name != "demo" else "next"
        return random.choice(
            [
                {"event": "Signed Up", **self.where("Signed Up")},
                {"event": "Signed Up"},
                {"event": event, **self.where(event)},
                {"event": "Back In Stock", "where": "event.sku == contact.country"},
                {"segment": random.choice(["big", "quiet", "vips"]), "change": random.choice(["enter", "leave"])},
                {"attribute": "plan", **random.choice([{}, {"to": "pro"}, {"from": None, "to": "free"}, {"from": "free"}])},
                {"attribute": random.choice(["value", "vip", "renewal", "timezone", "seen"])},
                {"consent": random.choice(TOPICS[:2]), "change": random.choice(["pending", "given", "withdrawn"])},
                {"consent": "news", "channel": "email", "change": random.choice(["given", "stale"])},
                {"schedule": random.choice(["0 9 * * MON", "30 2 * * *", "0 */8 * * *", "15 1 29 2 *"]),
                 "timezone": random.choice(["contact", *ZONES]),
                 "catch_up": random.choice(["skip", "once", "all"]),
                 **({"audience": self.boolean(0)} if random.random() < 0.7 else {})},
                {"date": random.choice(["contact.renewal", "contact.seen"]), "offset": random.choice(["-2d", "0d", "3d"]),
                 "if_past": random.choice(["skip", "enter"]), **random.choice([{}, {"every": "year"}]), **random.choice([{}, {"at": "02:30"}])},
                {"journey": other, **random.choice([{}, {"outcome": "completed"}])},
                {"manual": True, "properties": SIGNED_UP},
            ]
        )  # fmt: skip

    def _entry(self) -> Tree:
        random = self.random
        per = [
            "contact.country",
            "contact.plan",
            *(["trigger.plan", "trigger.source"] if self.signed else []),
        ]
        return {
            "reentry": random.choice(["never", "always", "1d", "1w"]),
            **random.choice([{}, {"per": random.choice(per)}]),
            **random.choice([{}, {"again": random.choice(["ignore", "restart", "refresh"])}]),
            **random.choice([{}, {"by": random.choice(["account", "contact"])}]),
        }

    def _exit(self) -> Tree:
        event = self.an_event()
        return self.random.choice(
            [
                {"event": event, **self.where(event), "reason": "happened"},
                {"when": self.boolean(run=True), "reason": "turned"},
                {"when": 'days_since("Order Completed") >= 2', "reason": "quiet"},
                {"consent": "withdrawn", "reason": "unwanted"},
                {"replied": "any", "reason": "replied"},
                {"event": "Back In Stock", "where": "event.sku == contact.country", "reason": "there"},
            ]
        )

    def _goal(self) -> Tree:
        return {
            "event": "Order Completed", **self.where("Order Completed"), "within": "7d", "value": "event.revenue",
            "then": self.random.choice(["continue", "exit"]),
        }  # fmt: skip


def journey_files(name: str, tree: Tree) -> Files:
    """A journey with the templates that its sends may name."""
    links = "".join(f" {{{{ links.{link} }}}}" for link in tree.get("links", ()))
    said = (
        "---\nsubject: Hello\n---\nHello {{ contact.first_name }}, {{ contact.value }}, {{ contact.renewal }}"
        + links
        + "\n"
    )
    paths = ("hello", "nudge", "cells/free/true", "cells/pro/false")
    text = _text(tree)
    named = [path for path in paths if path.split("/")[0] in text or (path == "hello" and '"use"' in text)]
    return {f"journeys/{name}/journey.yaml": text, **{f"journeys/{name}/{path}.txt": said for path in named}}


def _text(tree: Tree) -> str:
    return json.dumps(tree, indent=1, ensure_ascii=False) + "\n"

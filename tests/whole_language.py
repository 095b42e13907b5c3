"""Projects that use the whole language: a seed makes a project without errors."""

# ruff: noqa: E501
from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from runner.problem import Severity
from runner.review.check import check_files

Files = dict[str, str]
Tree = Any

ATTRIBUTES = {
    "first_name": {"type": "string", "pii": True},
    "plan": {"type": "string", "one_of": ["free", "pro"]},
    "value": {"type": "number", "unit": "EUR"},
    "tickets": {"type": "number"},
    "renewal": {"type": "date"},
    "seen": {"type": "datetime"},
    "vip": {"type": "boolean"},
    "country": {"type": "string"},
}
ORDER = {"order_id": "string", "revenue": "number", "items": [{"sku": "string", "price": "number"}]}
SIGNED_UP = {"plan": "string", "seats": "number", "source": "string"}
EVENTS: Mapping[str, Mapping[str, Any]] = {
    "Signed Up": SIGNED_UP,
    "Order Completed": ORDER,
    "Trial Started": {"ends": "date"},
    "Asset Read": {"stage": "string", "minutes": "number"},
    "Back In Stock": {"broadcast": True, "sku": "string"},
}
CHANNELS = ("email", "sms", "push")
TOPICS = ("news", "offers", "tips", "orders")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tbilisi", "Australia/Lord_Howe", "Pacific/Apia")
STEPS_OF_TEMPLATES = ("hello", "nudge")

FRAGMENT = {
    "fragment": "hint",
    "parameters": {
        "pause": {"type": "duration", "default": "3h"},
        "topic": {"type": "topic"},
        "least": {"type": "number", "default": 0},
        "bought": {"type": "event", "default": "Order Completed"},
        "who": {"type": "expression", "default": "contact.vip"},
    },
    "steps": [
        {"id": "gate", "condition": {"if": "contact.value >= {least} and {who}", "else": [{"id": "skip", "goto": "end"}]}},
        {"id": "hello", "send": {"channel": "email", "topic": "{topic}"}},
        {"id": "rest", "wait": {"event": "{bought}", "up_to": "{pause}", "then": [{"id": "happy", "goto": "end"}]}},
        {"id": "end", "update": {"add_tags": ["hinted"]}},
    ],
}  # fmt: skip

BOOLEANS = (
    *("contact.vip", "contact.value >= «number»", 'contact.plan == "pro"', "contact.country in EU", '"hinted" in contact.tags'),
    *("contact.country is None", 'contact.first_name.matches("^[A-Z]")', "contact.renewal > today", "contact.seen < now"),
    *('did("Order Completed", within="«span»")', 'did("Signed Up")', 'count("Asset Read", within="30d") >= 2', "contact.tickets == 0"),
    *('total("Order Completed", "revenue", within="365d") > 500', 'last("Asset Read").stage == "problem"'),
    *('days_since("Order Completed") >= «few»', 'did("Order Completed", within="30d", where=event.revenue > 50)'),
    *('in_segment("big")', 'completed("demo")', 'in_journey("next")', 'consented("news", "email")', 'reachable("sms")'),
    *('consent_age("offers", "email") >= 3', "contact.score > 5", 'contact.score.lead >= 10', 'contact.stage == "use"'),
    *('weekday in ("sat", "sun")', "account.seats > 5", 'account.industry == "retail"', 'did("Order Completed", by="account")'),
    *('people(contact.vip, by="account") >= 2', 'contact.persona == "big"', 'contact.timezone == "UTC"', 'count("Message Opened") > 0'),
    *('contact.email.endswith("@shop.example")', 'sent("demo/hello")', "contact.renewal - today < 9", '"x-1" in last("Order Completed").items.sku'),
    *("«boolean» and «boolean»", "«boolean» or «boolean»", "not (reason)".replace("reason", "«boolean»")),
)  # fmt: skip
OF_EVENT = {
    "Signed Up": ('event.plan == "pro"', "event.seats > 2", 'event.source != "import"', "event.seats >= contact.value"),
    "Order Completed": ("event.revenue > 50", '"x-1" in event.items.sku', 'event.order_id == "o-1"', "event.revenue >= contact.value / 2"),
    "Trial Started": ("event.ends > today", "event.ends is None"),
    "Asset Read": ("event.minutes > 1", 'event.stage in ("problem", "use")'),
}  # fmt: skip
OF_RUN = (
    *(
        "run.blocked is None",
        "run.days >= 2",
        "run.since <= today",
        "run.entered_at < now",
        'run.plan == "pro"',
    ),
    *(
        "run.order.revenue > 50",
        '"x-1" in run.order.items.sku',
        '"x-1" in run.orders.order_id',
        "run.score.ok",
        "run.started is not None",
    ),
    *('sent("hello")', 'opened("hello")', 'clicked("hello", link="stop")', 'replied("hello")'),
)
OF_TRIGGER = ('trigger.plan == "pro"', "trigger.seats > 2", "trigger.source == contact.country")


class Author:
    """Writes one project. What it says of a run stands at steps behind those that write it, or not at all: whoever is
    given the project looks whether it is one without errors."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self._ids = 0
        self._signed = False

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
            "quiet_hours": {"from": "21:00", "to": "08:00", "channels": self._some(CHANNELS)},
            "frequency_cap": self._some(
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
        self._ids = 0
        random = self.random
        triggers = [self._trigger(name) for _ in range(random.randint(1, 3))]
        if name == "next":
            triggers.append({"manual": True, "properties": SIGNED_UP})
        self._signed = all(each.get("event") == "Signed Up" or "properties" in each for each in triggers)
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
            {"id": "hello", "send": self.random.choice(["email", self._send()])},
            {"id": "values", "update": {"run": {"days": 3, "since": "= today", "plan": "= contact.plan", "started": "= contact.renewal"}}},
            {"id": "bought", "wait": {"event": "Order Completed", "up_to": self.span(), "save_as": "order"}},
            {"id": "gathers", "wait": {"collect": "Order Completed", "for": self.span(), "max": 3, "save_as": "orders"}},
            {"id": "asks", "call": {"url": "https://shop.example/score", "up_to": "3h", "retry": 1, "save_as": "score", "answer": {"ok": "boolean", "value": "number"}}},
        ]  # fmt: skip
        return self._some(every)

    # Small things

    def span(self) -> str:
        return self.random.choice(["1m", "1h", "90m", "1d", "2d", "1w", "PT2H", "1d3h", "20d"])

    def boolean(self, depth: int = 1, *, run: bool = False, event: str | None = None) -> str:
        pool: tuple[str, ...] = BOOLEANS if depth else BOOLEANS[:-3]
        if event and self.random.random() < 0.7:
            pool = OF_EVENT[event]
        elif run and self.random.random() < 0.4:
            pool = (*OF_RUN, *(OF_TRIGGER if self._signed else ()))
        text = self.random.choice(pool)
        while "«boolean»" in text:
            text = text.replace("«boolean»", f"({self.boolean(depth - 1, run=run, event=event)})", 1)
        text = text.replace("«number»", str(self.random.choice([0, 5, 99.5, -1])))
        return text.replace("«span»", self.random.choice(["1h", "7d", "30d"])).replace(
            "«few»", self.random.choice("123")
        )

    def _some(self, items: Any) -> list[Any]:
        chosen = [each for each in items if self.random.random() < 0.5]
        return chosen or [self.random.choice(items)]

    def _id(self) -> str:
        self._ids += 1
        return f"s{self._ids}"

    def _where(self, event: str) -> Tree:
        return {"where": self.boolean(event=event)} if self.random.random() < 0.5 else {}

    def _event(self) -> str:
        return self.random.choice(list(OF_EVENT))

    # What starts and ends runs

    def _trigger(self, name: str) -> Tree:
        random = self.random
        event = self._event()
        other = "demo" if name != "demo" else "next"
        return random.choice(
            [
                {"event": "Signed Up", **self._where("Signed Up")},
                {"event": "Signed Up"},
                {"event": event, **self._where(event)},
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
            *(["trigger.plan", "trigger.source"] if self._signed else []),
        ]
        return {
            "reentry": random.choice(["never", "always", "1d", "1w"]),
            **random.choice([{}, {"per": random.choice(per)}]),
            **random.choice([{}, {"again": random.choice(["ignore", "restart", "refresh"])}]),
            **random.choice([{}, {"by": random.choice(["account", "contact"])}]),
        }

    def _exit(self) -> Tree:
        event = self._event()
        return self.random.choice(
            [
                {"event": event, **self._where(event), "reason": "happened"},
                {"when": self.boolean(run=True), "reason": "turned"},
                {"when": 'days_since("Order Completed") >= 2', "reason": "quiet"},
                {"consent": "withdrawn", "reason": "unwanted"},
                {"replied": "any", "reason": "replied"},
                {"event": "Back In Stock", "where": "event.sku == contact.country", "reason": "there"},
            ]
        )

    def _goal(self) -> Tree:
        return {
            "event": "Order Completed", **self._where("Order Completed"), "within": "7d", "value": "event.revenue",
            "then": self.random.choice(["continue", "exit"]),
        }  # fmt: skip

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
        event = self._event()
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
            {"event": event, **self._where(event), **random.choice([{}, {"since": "entry"}]), "then": self._held(depth), "name": "first"},
            {"when": self.boolean(run=True), "name": "second"},
            {"event": "Order Completed", "save_as": f"w{self._ids}"},
        ]  # fmt: skip
        return {
            "wait": random.choice(
                [
                    self.span(),
                    {"for": self.span(), **hours},
                    {**until, **hours, **random.choice([{}, {"offset": "-1d"}, {"offset": "36h"}])},
                    {"event": event, **self._where(event), **random.choice([{}, {"since": "entry"}]), "up_to": up_to,
                     "then": self._held(depth), "timeout": self._held(depth)},
                    {"event": "Back In Stock", "where": "event.sku == contact.country", "up_to": up_to},
                    {"when": self.boolean(run=True), "up_to": up_to, "then": self._held(depth), "timeout": self._held(depth)},
                    {"any": self._some(options), "up_to": up_to, "timeout": self._held(depth)},
                    {"collect": event, **self._where(event), "for": self.span(), **hours, "max": random.choice([1, 20]), "save_as": f"c{self._ids}",
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

    def _send(self) -> Tree:
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
        return {"send": {**self._send(), "template": template, **blocked}}

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
                {"draw": {"pool": "vouchers", "save_as": f"d{self._ids}", "if_empty": self._held(depth)}},
                {"call": random.choice(["https://shop.example/ping", {
                    "url": '= "https://shop.example/" + contact.id', "method": "PUT", "json": {"vip": "= contact.vip", "list": [1, "two", None, {"deep": "= now"}]},
                    "headers": {"X-Shop": "example"}, "up_to": "90m", "retry": 1, "save_as": f"k{self._ids}",
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

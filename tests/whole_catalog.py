"""What the projects of ``whole_language`` speak of: the vocabulary of their catalog, and conditions over it."""

# ruff: noqa: E501
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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

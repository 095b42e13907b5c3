"""What generated journeys and events speak of: the catalog, and sentences about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PROPERTIES = {"n": "number", "k": "string", "d": "date", "t": "datetime"}
EVENTS = ("A", "B", "C")
CODES = tuple(f"code-{number}" for number in range(600))
"""The values of the pool that has some: more than are ever drawn."""
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
        "news": {"title": "News", "opt_in": "soft", "stale_after": "60h"},
        "tips": {
            "title": "Tips",
            "opt_in": [{"when": 'contact.plan == "pro"', "is": "double"}, {"else": "explicit"}],
        },
        "receipts": {"title": "Receipts", "opt_in": "none"},
    },
    "segments": {
        "busy": {"when": 'count("A", within="2d") >= 2'},
        "rich": {"when": "contact.points >= 2"},
        "quiet": {"when": 'not did("B", within="30h")'},
        "later": {"when": "today > contact.due"},
    },
    "accounts": {"tier": {"type": "string"}, "seats": {"type": "number"}},
    "links": {"domain": "links.example"},
    "channels": {
        "email": {"uses": "file", "sender": {"name": "Shop", "address": "shop@example.com"}},
        "sms": {"uses": "file"},
        "crm": {"uses": "file"},
        "audiences": {"uses": "file"},
    },
    "pools": {"codes": {"file": "codes.csv"}, "nothing": {"file": "nothing.csv"}},
}
FRAGMENT: Mapping[str, Any] = {
    "fragment": "hint",
    "title": "A hint",
    "parameters": {"pause": {"type": "duration", "default": "6h"}, "least": {"type": "number", "default": 1}},
    "steps": [
        {
            "id": "gate",
            "condition": {"if": "contact.points >= {least}", "else": [{"id": "skip", "goto": "end"}]},
        },
        {"id": "rest", "wait": {"event": "B", "up_to": "{pause}"}},
        {"id": "end", "update": {"add_tags": ["hot"]}},
    ],
}
"""Steps that journeys share."""
ACCOUNTS: Mapping[str, Mapping[str, Any]] = {
    "acme": {"tier": "gold", "seats": 3},
    "beta": {"tier": "free"},
}
"""What is known of accounts; of others nothing is."""
TOPICS = ("offers", "offers", "news", "tips", "receipts")

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
    'not consented("tips", "sms")',
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
ABOUT_ACCOUNTS = (
    'account.tier == "gold"',
    "account.seats >= 2",
    "account.tier is None",
    "account.tier != contact.plan",
    "contact.account is not None",
)
ABOUT_JOURNEYS = ('in_journey("j1")', 'completed("j1")')
"""Their beginning and their end is no event, so who waits for it hears of it at the next one; how soon that is, nobody
promises."""
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
    "given": ("run.given >= 2", "run.given > contact.points"),
    "day": ("run.day <= today", 'run.day < today + days("2d")'),
    "gathered": ('"x" in run.gathered.k', "2 in run.gathered.n"),
}
NUMBERS = ("event.n", "event.n + 1", 'total("A", "n")', "2.5", "contact.points")

LENGTHS = ("30m", "6h", "12h", "1d", "2d", "1d6h", "90m", "P1DT30M")
TIMES = ("00:00", "00:30", "02:00", "02:30", "06:00", "12:00")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DATES = ("contact.due", "contact.meet", "trigger.d", "trigger.t")

QUIET = (("21:00", "06:30"), ("01:00", "02:30"), ("12:00", "18:00"))
WINDOWS = (("06:00", "12:00"), ("22:00", "02:00"), ("02:00", "03:00"))
CRON_LINES = ("0 6 * * *", "30 2 * * *", "0 0,12 * * MON-FRI", "0 18 27-30 * SUN", "0 */6 * * *")
DATE_TRIGGERS = ("contact.due", "contact.meet")
CELLS = (
    (("contact.plan",), ("pro", "free")),
    (("contact.plan", "contact.vip"), ("pro/true", "x/false", "free/true")),
    (("contact.points",), ("1", "2")),
)
"""What tells the readers of a message apart, and for whom words are written."""

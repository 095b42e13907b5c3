"""What generated journeys and events speak of: the catalog, and sentences about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PROPERTIES = {"n": "number", "k": "string", "d": "date", "t": "datetime"}
EVENTS = ("A", "B", "C")
BROADCAST = "Z"
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CODES = tuple(f"code-{number}" for number in range(600))
"""The values of the pool that has some: more than are ever drawn."""
CATALOG: Mapping[str, Any] = {
    "locale": "en",
    "attributes": {
        "plan": {"type": "string", "one_of": ["pro", "free", "x"]},
        "points": {"type": "number"},
        "vip": {"type": "boolean"},
        "due": {"type": "date"},
        "meet": {"type": "datetime"},
    },
    "events": {**dict.fromkeys(EVENTS, PROPERTIES), BROADCAST: {"broadcast": True, **PROPERTIES}},
    "topics": {
        "offers": {"title": "Offers", "opt_in": "explicit"},
        "news": {"title": "News", "opt_in": "soft", "stale_after": "60h"},
        "tips": {
            "title": "Tips",
            "opt_in": [{"when": 'contact.plan == "pro"', "is": "double"}, {"else": "explicit"}],
        },
        "deals": {"title": "Deals", "opt_in": "double"},
        "club": {
            "title": "The club",
            "opt_in": [
                {"when": "contact.points >= 2", "is": "soft"},
                {"when": "contact.vip", "is": "explicit"},
                {"else": "double"},
            ],
        },
        "clan": {
            "title": "The clan",
            "opt_in": [{"when": "contact.points == 1", "is": "double"}, {"else": "soft"}],
        },
        "receipts": {"title": "Receipts", "opt_in": "none"},
    },
    "lists": {"PAID": ["pro", "x"]},
    "scores": {
        "lead": [
            {"event": "A", "add": 2, "fades": "30h"},
            {"event": "B", "add": 1.5, "where": 'event.k == "x"'},
            {"event": "C", "add": -1},
        ],
        "heat": [{"event": "B", "add": 5, "fades": "12h"}],
    },
    "segments": {
        "busy": {"when": 'count("A", within="2d") >= 2', "persona": True},
        "rich": {"when": "contact.points >= 2", "persona": True},
        "quiet": {"when": 'not did("B", within="30h")', "refresh": "6h"},
        "later": {"when": "today > contact.due", "refresh": "15m"},
        "warm": {"when": "contact.score.heat > 2"},
    },
    "stages": [
        {"name": "cold", "title": "Nothing yet", "when": "contact.points is not None"},
        {"name": "looking", "when": 'did("A", within="40h")'},
        {"name": "buying", "when": 'total("B", "n", within="3d") > 2'},
    ],
    "hours": {
        "office": {"from": "09:00", "to": "17:00"},
        "desk": {
            "from": "10:00",
            "to": "13:30",
            "days": list(WEEKDAYS[:3] + WEEKDAYS[5:]),
            "timezone": "Asia/Tokyo",
        },
        "counter": {"from": "08:30", "to": "09:00", "days": ["thu", "fri"]},
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
HOURS = tuple(CATALOG["hours"])
SEGMENTS = tuple(CATALOG["segments"])
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
TOPICS = ("offers", "offers", "news", "tips", "deals", "club", "clan", "receipts")

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
ABOUT_COLLEAGUES = (
    'did("A", by="account")',
    'not did("B", within="1d", where=event.k == "x", by="account")',
    'count("A", within="2d", by="account") >= 3',
    'total("B", "n", by="account") > 3',
    'last("C", by="account").k == "x"',
    'days_since("A", by="account") >= 1',
    'people(contact.points >= 2, by="account") >= 1',
    'people(contact.plan == "pro" or "hot" in contact.tags, by="account") == 1',
    'people(count("B") >= 1 and contact.timezone is None, by="account") >= 2',
    'people(contact.stage == "looking", by="account") > 1',
    'people(in_journey("j1"), by="account") >= 2',
)
"""What they do is no event of the contact, so nobody waits for it."""
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
ABOUT_THE_BROADCAST = (
    "event.k == contact.plan",
    "event.n >= 1 and event.k == contact.plan",
    "contact.points == event.n",
    'contact.account == event.k and not did("A", within="12h")',
    "event.d == contact.due",
)
"""Each says who hears it."""
ABOUT_ITS_HEARERS = ("event.k == trigger.k", "trigger.n == event.n and contact.points >= 1")
ABOUT_RUN_VALUES = {
    "score": ("run.score > 1",),
    "kept": ("run.kept.n >= 2", 'run.kept.k == "x"', "run.kept.k is None", "run.kept.n == trigger.n"),
    "told": ("run.told.n >= 2", 'run.told.k == "x"', "run.told.k is None"),
    "given": ("run.given >= 2", "run.given > contact.points"),
    "fine": ("run.fine", "not run.fine"),
    "words": ('run.words == "x"', 'run.words.startswith("xx")'),
    "hour": ("run.hour <= now", "run.hour > contact.meet"),
    "day": ("run.day <= today", 'run.day < today + days("2d")'),
    "gathered": ('"x" in run.gathered.k', "2 in run.gathered.n"),
}
NUMBERS = ("event.n", "event.n + 1", 'total("A", "n")', "2.5", "contact.points")

ABOUT_THE_DERIVED = (
    "contact.plan in PAID",
    'contact.stage == "looking"',
    'contact.stage in ["cold", "buying"]',
    "contact.stage is None",
    'contact.persona == "busy"',
    "contact.persona is not None",
    "contact.score.lead >= 2",
    "contact.score.lead > contact.score.heat",
    "not contact.score.heat > 2.5",
    "contact.score.heat is None",
    'in_segment("warm")',
)
"""What the catalog makes of a contact."""
ABOUT_CONSENTS = (
    'consent_age("offers", "email") >= 1',
    'consent_age("news", "sms") is None',
    'reachable("sms")',
    'not reachable("email")',
)
INSTANTS_SAID = ("2026-04-04T12:00:00+02:00", "2026-10-03T06:00:00Z")
"""Those that conditions name."""
ABOUT_DATES = (
    'today >= date("2026-03-29")',
    'contact.due < date("2026-10-26")',
    *(f'now > datetime("{instant}")' for instant in INSTANTS_SAID),
    f'contact.meet >= datetime("{INSTANTS_SAID[1]}")',
)
ABOUT_READERS = (
    'opened("{step}")',
    'not opened("{step}")',
    'clicked("{step}")',
    'clicked("{step}", link="yes")',
    'replied("{step}")',
)
"""What a reader may have done with the message of a step."""

LENGTHS = ("30m", "6h", "12h", "1d", "2d", "1d6h", "90m", "P1DT30M")
TIMES = ("00:00", "00:30", "02:00", "02:30", "06:00", "12:00")
DATES = ("contact.due", "contact.meet", "trigger.d", "trigger.t")

QUIET = (("21:00", "06:30"), ("01:00", "02:30"), ("12:00", "18:00"))
WINDOWS = (("06:00", "12:00"), ("22:00", "02:00"), ("02:00", "03:00"))
CRON_LINES = ("0 6 * * *", "30 2 * * *", "0 0,12 * * MON-FRI", "0 18 27-30 * SUN", "0 */6 * * *")
DATE_TRIGGERS = ("contact.due", "contact.meet")
CELLS = (
    (("contact.plan",), ("pro", "free")),
    (("contact.plan", "contact.vip"), ("pro/true", "x/false", "free/true")),
    (("contact.points",), ("1", "2")),
    (("contact.stage",), ("looking", "buying")),
)
"""What tells the readers of a message apart, and for whom words are written."""

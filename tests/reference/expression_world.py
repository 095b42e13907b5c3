"""A small world to read expressions in: a catalog, and contacts with nasty values, some of whom share an account.

The same pools feed stored values and the literals of ``expression_author``, so that comparisons often come out equal.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from runner.journey.catalog import (
    MESSAGE_CLICKED,
    MESSAGE_EVENTS,
    MESSAGE_OPENED,
    MESSAGE_PROPERTIES,
    MESSAGE_REPLIED,
    SCORE_ADDED,
    SCORE_PROPERTIES,
    Attribute,
    Catalog,
    ChannelSettings,
    EventType,
    OptIn,
    Score,
    ScoreRule,
    Segment,
    Stage,
    Topic,
)
from runner.journey.expression import Scope, parse_expression
from runner.journey.expression.derived import score_expression, stage_expression
from runner.journey.values import BOOLEAN, DATE, DATETIME, LARGEST, NUMBER, STRING, Kind, ValueType
from runner.store.types import to_microseconds
from tests.reference.expressions import Situation

ZONES = ("Asia/Tbilisi", "America/New_York", "Pacific/Apia", "Australia/Lord_Howe", None)
NOON = to_microseconds(datetime(2026, 3, 29, 12, tzinfo=UTC))
HOUR = 3_600_000_000
DAY = 24 * HOUR

STRINGS = (
    *("", "a", "A", "ab", "b", "Z", "~", "é", "e\u0301", "ß", "ẞ", "İ", "i\u0307", "ı", "I", "ΑΣ", "ας", "Ǆ"),
    *(
        "ა",
        "Ა",
        "გამარჯობა",
        "عربي",
        "አማርኛ",
        "\uffff",
        "\ue000",
        "😀",
        "😀x",
        "𐐀",
        "a\nb",
        "a\n",
        "%_",
        "'\"\\",
    ),
    *("mon", "2026-03-29", "12", " "),
)
NUMBERS = (
    *(0, 1, -1, 500_000, -500_000, 333_333, 1_000_000, -1_000_000, 1_500_000, 2_000_000, 3_000_000, 100_000),
    *(28_000_000, 7_000_001, 999_999_999_999, 86_400_000_000, 3_000_000_000_000_000),
    *(LARGEST, -LARGEST, LARGEST - 1, LARGEST // 2 + 1, -(LARGEST // 3)),
)
DATES = (
    *("2026-03-29", "2026-03-28", "2026-03-30", "2024-02-29", "2025-12-31", "2026-04-26"),
    *("1969-12-31", "0001-01-01", "9999-12-31", "2000-02-29", "1900-03-01"),
)
DATETIMES = (
    *("2026-03-29T12:00:00.000000Z", "2026-03-29T11:59:59.999999Z", "2026-03-22T12:00:00.000000Z"),
    *("2026-03-01T12:00:00.043200Z", "2026-02-27T23:30:00.123456Z", "1969-07-20T20:17:40.000001Z"),
    *("0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z", "2026-04-02T04:00:00.000000Z"),
)
POOLS: Mapping[Kind, tuple[Any, ...]] = {
    Kind.STRING: STRINGS,
    Kind.NUMBER: NUMBERS,
    Kind.BOOLEAN: (True, False),
    Kind.DATE: DATES,
    Kind.DATETIME: DATETIMES,
}
STRAY = (
    None,
    "x",
    5,
    True,
    [],
    ["a"],
    {},
    {"s": "a"},
    "2026-02-31",
    "2026-02-31T10:00:00.000000Z",
    "0000-01-01",
)
"""What may lie where another type is read, if a catalog changes its mind."""

ITEM = ValueType(Kind.OBJECT, fields={"sku": STRING, "price": NUMBER})
PROPERTIES = {
    "s": STRING,
    "n": NUMBER,
    "b": BOOLEAN,
    "d": DATE,
    "t": DATETIME,
    "Ünï.cödé [0] $": STRING,
    "place": ValueType(Kind.OBJECT, fields={"city": STRING, "lines": ValueType(Kind.LIST, items=STRING)}),
    "words": ValueType(Kind.LIST, items=STRING),
    "amounts": ValueType(Kind.LIST, items=NUMBER),
    "flags": ValueType(Kind.LIST, items=BOOLEAN),
    "items": ValueType(Kind.LIST, items=ITEM),
}
EVENTS = ("Order Completed", "Cart Updated")
ATTRIBUTES = {
    "s": STRING,
    "n": NUMBER,
    "m": NUMBER,
    "b": BOOLEAN,
    "d": DATE,
    "t": DATETIME,
    "o": PROPERTIES["place"],
}
ACCOUNT = {"s": STRING, "n": NUMBER, "b": BOOLEAN, "d": DATE, "t": DATETIME, "words": PROPERTIES["words"]}
TOPICS = ("offers", "news")
CHANNELS = ("email", "sms", "push")
STEPS = ("remind", "nudge")
JOURNEY = "abandoned"
"""The journey of the run in which expressions are read."""
JOURNEYS = {JOURNEY: frozenset(STEPS), "welcome": frozenset({"hello", "remind"})}


def _attributes(types: Mapping[str, ValueType]) -> dict[str, Attribute]:
    return {name: Attribute(name=name, type=type) for name, type in types.items()}


def _catalog() -> Catalog:
    bare = Catalog(
        attributes=_attributes(ATTRIBUTES),
        accounts=_attributes(ACCOUNT),
        events={name: EventType(name=name, properties=PROPERTIES) for name in EVENTS},
        topics={name: Topic(name=name, title=name, opt_in=OptIn.EXPLICIT) for name in TOPICS},
        channels={name: ChannelSettings(name=name, uses="file") for name in CHANNELS},
        lists={"EU": ("a", "İ", "ა"), "FAR": ("😀", "~")},
    )
    segments = {
        "vip": 'total("Order Completed", "n", within="365d") > 2 and contact.b',
        "recent": 'did("Cart Updated", within="7d", where=event.n > 0)',
    }
    read = {name: parse_expression(source, Scope(catalog=bare)) for name, source in segments.items()}
    with_segments = replace(
        bare, segments={name: Segment(name=name, when=when) for name, when in read.items()}
    )
    scope = Scope(catalog=with_segments)
    stages = tuple(
        Stage(name=name, when=parse_expression(when, scope))
        for name, when in (
            ("a", "contact.b or did('Cart Updated')"),
            ("b", "did('Order Completed', where=event.n > 0)"),
            ("ab", "count('Order Completed', within='30d', by='account') > 2 and account.b"),
        )
    )
    paid = parse_expression("event.b", replace(scope, event=PROPERTIES))
    rules = {
        "lead": (
            ScoreRule(event="Order Completed", add=10_000_000, fades=720),
            ScoreRule(event="Cart Updated", add=-333_333, where=paid, fades=7),
        ),
        "heat": (
            ScoreRule(event="Cart Updated", add=500_000),
            ScoreRule(event=MESSAGE_OPENED, add=1, fades=1),
        ),
    }
    scores = {
        name: Score(name=name, rules=parts, value=score_expression(name, parts))
        for name, parts in rules.items()
    }
    return replace(with_segments, stages=stages, stage=stage_expression(stages), scores=scores)


CATALOG = _catalog()
SCOPE = Scope(
    catalog=CATALOG,
    trigger=PROPERTIES,
    event=PROPERTIES,
    run_values={"s": STRING, "n": NUMBER, "b": BOOLEAN, "d": DATE, "comments": PROPERTIES["items"]},
    sends=frozenset(STEPS),
)


# Contacts -------------------------------------------------------------------------------------------------------


def _value(chance: random.Random, type: ValueType, strays: float) -> Any:
    if chance.random() < strays:
        return chance.choice(STRAY)
    if type.kind is Kind.LIST:
        assert type.items is not None
        return [_value(chance, type.items, strays) for _ in range(chance.randrange(4))]
    if type.kind is Kind.OBJECT:
        return {
            name: _value(chance, part, strays) for name, part in type.fields.items() if chance.random() < 0.8
        }
    return chance.choice(POOLS[type.kind])


def _values(chance: random.Random, types: Mapping[str, ValueType]) -> dict[str, Any]:
    return {name: _value(chance, type, 0.1) for name, type in types.items() if chance.random() < 0.85}


def situations(count: int, seed: int) -> list[Situation]:
    """So many contacts, the same for one seed. The event looked at is one of their handled ones, as in a pass. Four
    accounts are shared, and some contacts have none."""
    chance = random.Random(seed)
    accounts = {name: _values(chance, ACCOUNT) for name in ("acme", "Ä", "globex", "ää")}
    people = [_situation(chance, number, accounts) for number in range(count)]
    for person in people:
        if person.columns["account"] is not None:
            person.members.extend(
                other for other in people if other.columns["account"] == person.columns["account"]
            )
    return people


def as_of_now(person: Situation) -> Situation:
    """The contact and its colleagues without what lies ahead, or has still to be handled, at the contact's instant."""

    def past(one: Situation, until: int) -> Situation:
        return replace(one, events=[event for event in one.events if event[1] <= until], pending=())

    own = person.columns["id"]
    others = [past(other, person.instant - 1) for other in person.members if other.columns["id"] != own]
    alone = past(person, person.instant)
    members = [*others, alone] if person.members else []
    return replace(alone, members=members)


def _situation(chance: random.Random, number: int, accounts: Mapping[str, Mapping[str, Any]]) -> Situation:
    zone = chance.choice(ZONES)
    instant = NOON + chance.choice([0, 0, 0, chance.randrange(-400 * DAY, 400 * DAY)])
    events = [_event(chance, instant) for _ in range(chance.randrange(1, 12))]
    looked_at = [properties for name, _, properties in events if name in EVENTS]
    consents = {
        (topic, channel): chance.random() < 0.5
        for topic in TOPICS
        for channel in (*CHANNELS, "*")
        if chance.random() < 0.4
    }
    account = chance.choice([None, *accounts])
    columns = {
        "id": f"c{number}",
        "email": chance.choice([None, *STRINGS]),
        "phone": chance.choice([None, *STRINGS]),
        "timezone": zone,
        "locale": chance.choice([None, *STRINGS]),
        "account": account,
    }
    addresses = [columns[name] for name in ("id", "email", "phone") if columns[name] is not None]
    own_run = (JOURNEY, chance.choice(["active", "completed"]))
    welcome = ("welcome", chance.choice(["active", "completed", "exited"]))
    let_go = frozenset((JOURNEY, step) for step in STEPS if chance.random() < 0.4)
    return Situation(
        instant=instant,
        zone=zone or "UTC",
        columns=columns,
        attributes=_values(chance, ATTRIBUTES),
        tags=sorted(set(chance.sample(STRINGS, chance.randrange(4)))),
        trigger=_values(chance, PROPERTIES),
        event=chance.choice(looked_at) if looked_at else _values(chance, PROPERTIES),
        run={**_values(chance, SCOPE.run_values), **_values(chance, {"blocked": STRING})},
        entered_at=instant - chance.choice([0, DAY, chance.randrange(30 * DAY)]),
        events=[*events, (EVENTS[0], instant + 1, _values(chance, PROPERTIES))],
        pending=[(EVENTS[0], instant, _values(chance, PROPERTIES))],
        sent=frozenset(step for _, step in let_go),
        sent_by=let_go | {("welcome", step) for step in JOURNEYS["welcome"] if chance.random() < 0.5},
        run_number=1,
        runs=[own_run, welcome] if chance.random() < 0.7 else [own_run],
        consents=consents,
        consents_since={
            found: instant - chance.choice([0, DAY, DAY - 1, chance.randrange(800 * DAY)])
            for found in consents
        },
        suppressed=frozenset(
            (channel, address) for channel in CHANNELS for address in addresses if chance.random() < 0.2
        ),
        account=None if account is None else accounts[account],
    )


def _event(chance: random.Random, instant: int) -> tuple[str, int, Mapping[str, Any]]:
    back = chance.choice(
        [
            *(0, 1, HOUR, HOUR - 1, 7 * DAY, 7 * DAY - 1, 30 * DAY, 365 * DAY),
            *(chance.randrange(12 * HOUR), chance.randrange(60 * DAY)),
        ]
    )
    name = chance.choice(
        [*EVENTS, *EVENTS, *EVENTS, MESSAGE_OPENED, MESSAGE_CLICKED, MESSAGE_REPLIED, SCORE_ADDED]
    )
    if name in EVENTS:
        return name, instant - back, _values(chance, PROPERTIES)
    properties: dict[str, Any] = {
        "run": chance.choice([1_000_000, 1_000_000, 2_000_000]),
        "journey": chance.choice([JOURNEY, "welcome"]),
        "step": chance.choice([*STEPS, "hello"]),
        "link": chance.choice(["cart", "a"]),
        "bot": chance.choice([True, False, False]),
        "score": chance.choice(["lead", "heat"]),
        "add": chance.choice(NUMBERS),
    }
    declared = MESSAGE_PROPERTIES if name in MESSAGE_EVENTS else SCORE_PROPERTIES
    return (
        name,
        instant - back,
        {key: properties[key] for key in declared if key in properties and chance.random() < 0.9},
    )

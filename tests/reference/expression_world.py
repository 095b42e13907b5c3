"""A small world to read expressions in: a catalog, contacts with nasty values, and expressions over them.

The same pools feed stored values and literals, so that comparisons often come out equal.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import ColumnElement, Connection, Select, and_, func, insert, literal, select

from runner.journey.catalog import Attribute, Catalog, ChannelSettings, EventType, OptIn, Segment, Topic
from runner.journey.expression import Scope, parse_expression
from runner.journey.expression.canonical import number_text
from runner.journey.values import BOOLEAN, DATE, DATETIME, LARGEST, NUMBER, STRING, Kind, ValueType
from runner.store import tables
from runner.store.local_time.zones import ensure_zones
from runner.store.predicates import Row
from runner.store.types import from_microseconds, to_microseconds
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


def _catalog() -> Catalog:
    attributes = {
        "s": STRING,
        "n": NUMBER,
        "m": NUMBER,
        "b": BOOLEAN,
        "d": DATE,
        "t": DATETIME,
        "o": PROPERTIES["place"],
    }
    bare = Catalog(
        attributes={name: Attribute(name=name, type=type) for name, type in attributes.items()},
        events={name: EventType(name=name, properties=PROPERTIES) for name in EVENTS},
        topics={"offers": Topic(name="offers", title="Offers", opt_in=OptIn.EXPLICIT)},
        channels={name: ChannelSettings(name=name, uses="file") for name in ("email", "sms")},
        lists={"EU": ("a", "İ", "ა"), "FAR": ("😀", "~")},
    )
    segments = {
        "vip": 'total("Order Completed", "n", within="365d") > 2 and contact.b',
        "recent": 'did("Cart Updated", within="7d", where=event.n > 0)',
    }
    parsed = {n: Segment(name=n, when=parse_expression(s, Scope(catalog=bare))) for n, s in segments.items()}
    return Catalog(
        attributes=bare.attributes,
        events=bare.events,
        topics=bare.topics,
        channels=bare.channels,
        lists=bare.lists,
        segments=parsed,
    )


CATALOG = _catalog()
SCOPE = Scope(
    catalog=CATALOG,
    trigger=PROPERTIES,
    event=PROPERTIES,
    run_values={"s": STRING, "n": NUMBER, "b": BOOLEAN, "d": DATE},
    sends=frozenset({"remind", "nudge"}),
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
    """So many contacts, the same for one seed. The event looked at is one of their handled ones, as in a pass."""
    chance = random.Random(seed)
    types = {name: attribute.type for name, attribute in CATALOG.attributes.items()}
    return [_situation(chance, number, types) for number in range(count)]


def _situation(chance: random.Random, number: int, types: Mapping[str, ValueType]) -> Situation:
    zone = chance.choice(ZONES)
    instant = NOON + chance.choice([0, 0, chance.randrange(-400 * DAY, 400 * DAY)])
    events = []
    for _ in range(chance.randrange(1, 9)):
        back = chance.choice(
            [0, 1, HOUR, 7 * DAY, 7 * DAY - 1, 30 * DAY, 365 * DAY, chance.randrange(60 * DAY)]
        )
        events.append((chance.choice(EVENTS), instant - back, _values(chance, PROPERTIES)))
    consents = {
        (topic, channel): chance.random() < 0.5
        for topic in ("offers",)
        for channel in ("email", "sms", "*")
        if chance.random() < 0.4
    }
    return Situation(
        instant=instant,
        zone=zone or "UTC",
        columns={
            "id": f"c{number}",
            "email": chance.choice([None, *STRINGS]),
            "phone": chance.choice([None, *STRINGS]),
            "timezone": zone,
            "locale": chance.choice([None, *STRINGS]),
        },
        attributes=_values(chance, types),
        tags=sorted(set(chance.sample(STRINGS, chance.randrange(4)))),
        trigger=_values(chance, PROPERTIES),
        event=chance.choice(events)[2],
        run=_values(chance, SCOPE.run_values),
        entered_at=instant - chance.choice([0, DAY, chance.randrange(30 * DAY)]),
        events=events,
        sent=frozenset(step for step in ("remind", "nudge") if chance.random() < 0.4),
        consents=consents,
    )


def store(connection: Connection, people: list[Situation]) -> None:
    """Write the contacts, each with one run. The event looked at is kept as the run's undeclared one, of its own name;
    a pending event and one of the future lie beside the handled ones and must not be seen."""
    ensure_zones(connection, ["UTC", *(zone for zone in ZONES if zone)])
    for number, person in enumerate(people):
        own = {"partition": 0, "contact": number}
        at = from_microseconds(person.instant)
        connection.execute(
            insert(tables.contact).values(
                partition=0,
                id=number,
                key=person.columns["id"],
                **{name: person.columns[name] for name in ("email", "phone", "timezone", "locale")},
                attributes=person.attributes,
                tags=list(person.tags),
                created_at=at,
            )
        )
        rows = [(*event, False) for event in person.events]
        rows.append(("Looked At", person.instant, person.event or {}, False))
        rows.append((EVENTS[0], person.instant, person.events[0][2], True))
        rows.append((EVENTS[0], person.instant + 1, person.events[0][2], False))
        connection.execute(
            insert(tables.event),
            [
                {
                    **own,
                    "id": place,
                    "name": name,
                    "at": from_microseconds(when),
                    "received_at": at,
                    "properties": properties,
                    "dedup_key": str(place),
                    "pending": pending,
                }
                for place, (name, when, properties, pending) in enumerate(rows)
            ],
        )
        assert person.entered_at is not None
        connection.execute(
            insert(tables.run).values(
                **own,
                **_run_columns(),
                id=1,
                arrived_at=at,
                entered_at=from_microseconds(person.entered_at),
                ended_at=at,
                trigger=person.trigger,
                data=person.run,
            )
        )
        for step in sorted(person.sent):
            connection.execute(insert(tables.message).values(**own, **_message_columns(step, at, "sent")))
        for step in sorted({"remind", "nudge"} - person.sent):
            connection.execute(insert(tables.message).values(**own, **_message_columns(step, at, "blocked")))
        for (topic, channel), given in person.consents.items():
            state = "given" if given else "withdrawn"
            connection.execute(
                insert(tables.consent).values(**own, topic=topic, channel=channel, state=state, since=at)
            )


def _run_columns() -> dict[str, Any]:
    return {
        "journey": "j",
        "version": 1,
        "per": "",
        "entry_key": "e",
        "status": "completed",
    }


def _message_columns(step: str, at: datetime, status: str) -> dict[str, Any]:
    return {
        "run": 1,
        "step": step,
        "visit": 1,
        "journey": "j",
        "version": 1,
        "channel": "email",
        "topic": "offers",
        "status": status,
        "let_go_at": at,
        "expires_at": at + timedelta(days=1),
        "attempts": 1,
        "sent_at": at if status == "sent" else None,
    }


def _row() -> tuple[Row, Any]:
    looked_at = tables.event.alias("looked_at")
    contact, run = tables.contact, tables.run
    joined = contact.join(
        run, and_(run.c.partition == contact.c.partition, run.c.contact == contact.c.id)
    ).join(
        looked_at,
        and_(
            looked_at.c.partition == contact.c.partition,
            looked_at.c.contact == contact.c.id,
            looked_at.c.name == "Looked At",
        ),
    )
    found = Row(
        partition=contact.c.partition,
        contact=contact.c.id,
        contact_table=contact,
        zone=func.coalesce(contact.c.timezone, literal("UTC")),
        instant=run.c.arrived_at,
        trigger=run.c.trigger,
        data=run.c.data,
        event=looked_at.c.properties,
        run=run.c.id,
        entered_at=run.c.entered_at,
    )
    return found, joined


ROW, _JOINED = _row()
"""The row that expressions are read for: one a contact."""


def reading(columns: list[ColumnElement[Any]]) -> Select[Any]:
    """The query that reads the columns for every contact, in order of their ids."""
    # With labels of their own, columns that are alike stay apart.
    named = [column.label(f"c{place}") for place, column in enumerate(columns)]
    return select(*named).select_from(_JOINED).order_by(tables.contact.c.id)


def read_all(connection: Connection, columns: list[ColumnElement[Any]]) -> list[tuple[Any, ...]]:
    """The columns, read for every contact, in order of their ids."""
    return [tuple(found) for found in connection.execute(reading(columns))]


# Expressions ----------------------------------------------------------------------------------------------------

PATTERNS = (
    *(
        "a",
        "^a",
        "b$",
        "^$",
        "^a$",
        "a|b",
        "[a-z]+",
        "^[^a-z]+$",
        "(ab)*$",
        "^(a|b){1,2}$",
        ".",
        "^.$",
        "^..$",
        "a.b",
    ),
    *(
        "[😀-😎]",
        "^[ა-ჰ]+$",
        "%_",
        "\\\\\\\\",
        "[\\\\]x]|é",
        "(a+)+$",
        "x{2,}",
        "[0-9]{4}-[0-9]{2}",
        "\\\\.",
        "[-a]",
        "[a\\\\-]",
    ),
)
DURATIONS = ("7d", "30d", "365d", "1h", "P1DT1H", "1s")


def _literal(kind: Kind) -> st.SearchStrategy[str]:
    if kind is Kind.STRING:
        return st.sampled_from(STRINGS).map(repr)
    if kind is Kind.NUMBER:
        return st.sampled_from(NUMBERS).map(number_text)
    if kind is Kind.BOOLEAN:
        return st.sampled_from(("True", "False"))
    return st.sampled_from(POOLS[kind]).map(lambda text: f"{kind.value}({text!r})")


_LETTERS = {Kind.STRING: "s", Kind.NUMBER: "n", Kind.BOOLEAN: "b", Kind.DATE: "d", Kind.DATETIME: "t"}


def _names(kind: Kind) -> st.SearchStrategy[str]:
    letter = _LETTERS[kind]
    names = [f"contact.{letter}", f"trigger.{letter}", f"event.{letter}"]
    if kind is not Kind.DATETIME:
        names.append(f"run.{letter}")
    names += {
        Kind.STRING: [
            *("contact.email", "contact.locale", "contact.id", "contact.timezone", "weekday"),
            *("trigger.place.city", 'event["Ünï.cödé [0] $"]', "contact.o.city"),
        ],
        Kind.NUMBER: ["contact.m"],
        Kind.DATE: ["today"],
        Kind.DATETIME: ["now", "run.entered_at"],
    }.get(kind, [])
    return st.sampled_from(names)


@cache
@st.composite
def _options(draw: st.DrawFn, depth: int) -> str:
    text = ""
    if draw(st.booleans()):
        text += f", within={draw(st.sampled_from(DURATIONS))!r}"
    if depth > 0 and draw(st.booleans()):
        text += f", where={draw(expressions(Kind.BOOLEAN, depth - 1))}"
    return text


@cache
@st.composite
def _called(draw: st.DrawFn, function: str, depth: int, argument: str = "") -> str:
    return f"{function}({draw(st.sampled_from(EVENTS))!r}{argument}{draw(_options(depth))})"


@cache
@st.composite
def expressions(draw: st.DrawFn, kind: Kind, depth: int = 3) -> str:
    """Sources of expressions of ``kind``, so many levels deep at most."""
    if depth > 0 and draw(st.integers(0, 2)):
        return draw(_compound(kind, depth - 1))
    return draw(_names(kind) if draw(st.integers(0, 2)) else _literal(kind))


def _joined(pattern: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda values: pattern.format(*values))


@cache
def _compound(kind: Kind, depth: int) -> st.SearchStrategy[str]:
    same, condition = expressions(kind, depth), expressions(Kind.BOOLEAN, depth)
    choices = [
        _joined("({} if {} else {})", same, condition, same),
        _joined("({} if {} else None)", same, condition),
    ]
    if kind is not Kind.BOOLEAN:
        letter = _LETTERS[kind]
        choices.append(_called("last", depth).map(lambda text: f"{text}.{letter}"))
    choices += {
        Kind.NUMBER: lambda: _numbers(depth),
        Kind.STRING: lambda: _strings(depth),
        Kind.BOOLEAN: lambda: _conditions(depth),
        Kind.DATE: lambda: _moved(Kind.DATE, ("7d", "1w", "365d"), depth),
        Kind.DATETIME: lambda: _moved(Kind.DATETIME, DURATIONS, depth),
    }[kind]()
    return st.one_of(*choices)


def _numbers(depth: int) -> list[st.SearchStrategy[str]]:
    number, day, moment = (expressions(kind, depth) for kind in (Kind.NUMBER, Kind.DATE, Kind.DATETIME))
    operator = st.sampled_from("+-*/")
    return [
        _joined("({} {} {})", number, operator, number),
        _joined("({} {} {})", number, operator, number),
        _joined("(-{})", number),
        _joined("({} - {})", day, day),
        _joined("({} - {})", moment, moment),
        _called("count", depth),
        _called("days_since", depth),
        _called("total", depth, ", 'n'"),
    ]


def _strings(depth: int) -> list[st.SearchStrategy[str]]:
    text = expressions(Kind.STRING, depth)
    return [_joined("({} + {})", text, text), _joined("{}.lower()", text)]


def _moved(kind: Kind, durations: tuple[str, ...], depth: int) -> list[st.SearchStrategy[str]]:
    duration = st.sampled_from(durations).map(repr)
    return [_joined("({} {} days({}))", expressions(kind, depth), st.sampled_from("+-"), duration)]


def _conditions(depth: int) -> list[st.SearchStrategy[str]]:
    condition, text = expressions(Kind.BOOLEAN, depth), expressions(Kind.STRING, depth)
    ordered = st.sampled_from(("==", "!=", "<", "<=", ">", ">="))
    membership = st.sampled_from(("in", "not in"))
    kinds = [Kind.NUMBER, Kind.STRING, Kind.DATE, Kind.DATETIME]
    comparisons = [
        _joined("({} {} {})", expressions(kind, depth), ordered, expressions(kind, depth)) for kind in kinds
    ]
    chained = [
        _joined("({} {} {} {} {})", *(expressions(kind, 0) if p % 2 == 0 else ordered for p in range(5)))
        for kind in kinds
    ]
    missing = [_joined("({} {} None)", _names(kind), st.sampled_from(("is", "is not"))) for kind in POOLS]
    words = st.sampled_from(
        (
            *(
                "contact.tags",
                "trigger.words",
                "event.items.sku",
                "EU",
                "FAR",
                "contact.o.lines",
                "trigger.place.lines",
            ),
            *(
                "last('Cart Updated').words",
                "last('Order Completed', within='30d').items.sku",
                "['a', 'b', '']",
            ),
        )
    )
    amounts = st.sampled_from(
        ("trigger.amounts", "event.items.price", "(1, 0.5, -1)", "last('Cart Updated').amounts")
    )
    literals = st.lists(_literal(Kind.STRING), min_size=1, max_size=3).map(
        lambda found: f"[{', '.join(found)}]"
    )
    return [
        _joined("({} and {})", condition, condition),
        _joined("({} or {})", condition, condition),
        _joined("(not {})", condition),
        *comparisons,
        *chained,
        *missing,
        _joined("({} {} {})", text, membership, st.one_of(words, literals)),
        _joined("({} {} {})", text, membership, text),
        _joined("({} {} {})", expressions(Kind.NUMBER, depth), membership, amounts),
        _joined("({} {} {})", condition, membership, st.sampled_from(("trigger.flags", "[True]"))),
        _joined("({} == {})", condition, condition),
        _joined("{}.startswith({})", text, text),
        _joined("{}.endswith({})", text, text),
        _joined('{}.matches("{}")', text, st.sampled_from(PATTERNS)),
        _called("did", depth),
        _joined("({} is None)", _called("days_since", 0)),
        st.sampled_from(("sent('remind')", "in_segment('vip')", "in_segment('recent')")),
        st.sampled_from(("consented('offers', 'email')", "consented('offers', 'sms')")),
    ]

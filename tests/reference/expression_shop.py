"""A shop's catalog, and the scopes in which its journeys' expressions are read."""

from __future__ import annotations

from dataclasses import replace

from runner.journey.catalog import (
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
from runner.journey.values import BOOLEAN, DATE, DATETIME, NUMBER, STRING, Kind, ValueType

PLAN = ValueType(Kind.STRING, one_of=("free", "pro"))
ITEMS = ValueType(
    Kind.LIST,
    items=ValueType(Kind.OBJECT, fields={"sku": STRING, "price": NUMBER, "parts": ValueType(Kind.LIST)}),
)
COMMENTS = ValueType(Kind.LIST, items=ValueType(Kind.OBJECT, fields={"text": STRING}))
ORDER = {"revenue": NUMBER, "order_id": STRING, "department": STRING, "items": ITEMS, "class": STRING}
ATTRIBUTES = {
    "lifetime_value": NUMBER,
    "plan": PLAN,
    "churned": BOOLEAN,
    "renewal_date": DATE,
    "signed_at": DATETIME,
    "country": STRING,
}
BARE = Catalog(
    attributes={name: Attribute(name=name, type=type) for name, type in ATTRIBUTES.items()},
    events={
        "Order Completed": EventType(name="Order Completed", properties=ORDER),
        "Cart Updated": EventType(name="Cart Updated", properties={"cart_id": STRING, "total": NUMBER}),
    },
    topics={"offers": Topic(name="offers", title="Offers", opt_in=OptIn.EXPLICIT)},
    channels={"email": ChannelSettings(name="email", uses="smtp")},
    lists={"EU": ("AT", "BE")},
    accounts={"industry": Attribute(name="industry", type=STRING)},
)
VIP = parse_expression('total("Order Completed", "revenue", within="365d") > 500', Scope(catalog=BARE))
STAGES = tuple(
    Stage(name=name, when=parse_expression(when, Scope(catalog=BARE)))
    for name, when in (("problem", 'did("Cart Updated")'), ("validation", 'did("Order Completed")'))
)
RULES = (ScoreRule(event="Cart Updated", add=1_000_000, fades=24),)
CATALOG = replace(
    BARE,
    segments={"vip": Segment(name="vip", when=VIP)},
    stages=STAGES,
    stage=stage_expression(STAGES),
    scores={
        name: Score(name=name, rules=RULES, value=score_expression(name, RULES)) for name in ("lead", "heat")
    },
)
IN_RUN = Scope(
    catalog=CATALOG,
    trigger=CATALOG.events["Cart Updated"].properties,
    run_values={"started": DATE, "comments": COMMENTS},
    sends=frozenset({"remind", "nudge"}),
)
IN_WHERE = Scope(catalog=CATALOG, event=ORDER)
ANYWHERE = Scope(catalog=CATALOG)

"""A shop's catalog, and the scopes in which its journeys' expressions are read."""

from __future__ import annotations

from runner.journey.catalog import Attribute, Catalog, ChannelSettings, EventType, OptIn, Segment, Topic
from runner.journey.expression import Scope, parse_expression
from runner.journey.values import BOOLEAN, DATE, DATETIME, NUMBER, STRING, Kind, ValueType

PLAN = ValueType(Kind.STRING, one_of=("free", "pro"))
ITEMS = ValueType(
    Kind.LIST,
    items=ValueType(Kind.OBJECT, fields={"sku": STRING, "price": NUMBER, "parts": ValueType(Kind.LIST)}),
)
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
)
VIP = parse_expression('total("Order Completed", "revenue", within="365d") > 500', Scope(catalog=BARE))
CATALOG = Catalog(
    attributes=BARE.attributes,
    events=BARE.events,
    topics=BARE.topics,
    channels=BARE.channels,
    lists=BARE.lists,
    segments={"vip": Segment(name="vip", when=VIP)},
)
IN_RUN = Scope(
    catalog=CATALOG,
    trigger=CATALOG.events["Cart Updated"].properties,
    run_values={"started": DATE},
    sends=frozenset({"remind", "nudge"}),
)
IN_WHERE = Scope(catalog=CATALOG, event=ORDER)
ANYWHERE = Scope(catalog=CATALOG)

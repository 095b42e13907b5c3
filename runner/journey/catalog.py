"""What exists: the attributes, events, topics, segments and channels that journeys may speak of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from runner.journey.values import STRING, Kind, ValueType

if TYPE_CHECKING:
    from runner.journey.expression import Expression

CONTACT_FIELDS: Mapping[str, ValueType] = {
    "id": STRING,
    "email": STRING,
    "phone": STRING,
    "timezone": STRING,
    "locale": STRING,
    "tags": ValueType(Kind.LIST, items=STRING),
}
"""What every contact has, declared or not. All but ``id`` and ``tags`` arrive as traits of an ``identify``."""

OWN_FIELDS = tuple(name for name in CONTACT_FIELDS if name not in ("id", "tags"))
"""Those of them that hold a single text and have a column of their own in the store."""

IDENTIFIED = "Contact Identified"
"""The reserved event that an ``identify`` is stored as; its properties are the traits."""
CONSENT_GRANTED = "Consent Granted"
CONSENT_WITHDRAWN = "Consent Withdrawn"
CONTACT_UPDATED = "Contact Updated"
"""The reserved internal event that follows an ``update`` step, so that exits and waits look again."""

EVERY_CHANNEL = "*"
"""The channel of a consent that names none: it holds for each channel that has no row of its own."""


class OptIn(StrEnum):
    EXPLICIT = "explicit"
    DOUBLE = "double"
    SOFT = "soft"
    NONE = "none"  # transactional: sent without consent


class OnUnknown(StrEnum):
    """What becomes of a message that may or may not have arrived, where the channel cannot be asked."""

    RESEND = "resend"  # sent again by the same key: it may arrive twice
    HOLD = "hold"  # stays as it is until an operator decides


@dataclass(frozen=True, kw_only=True)
class Attribute:
    name: str
    type: ValueType
    pii: bool = False
    unit: str | None = None


@dataclass(frozen=True, kw_only=True)
class EventType:
    name: str
    properties: Mapping[str, ValueType]


@dataclass(frozen=True, kw_only=True)
class Topic:
    name: str
    title: str
    opt_in: OptIn
    on_unknown: OnUnknown | None = None
    """None where the catalog does not say."""

    @property
    def transactional(self) -> bool:
        """Whether messages of this topic need no consent."""
        return self.opt_in is OptIn.NONE

    @property
    def resends_unknown(self) -> bool:
        """Whether a message that may or may not have arrived is sent again: a receipt had better come twice than
        never, an offer had not."""
        return self.transactional if self.on_unknown is None else self.on_unknown is OnUnknown.RESEND


@dataclass(frozen=True, kw_only=True)
class Segment:
    name: str
    when: Expression


@dataclass(frozen=True, kw_only=True)
class ChannelSettings:
    """A channel of the catalog: ``uses`` names the module of ``channels/`` that carries its messages."""

    name: str
    uses: str
    sender_name: str | None = None
    sender_address: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """The catalog of one project. ``timezone`` and ``locale`` stand in where a contact has none.

    ``unreadable`` names the attributes that are declared, but not so that their type is known; whoever reports that a
    journey reads one of them would report the same mistake again.
    """

    timezone: str = "UTC"
    locale: str = "en"
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    events: Mapping[str, EventType] = field(default_factory=dict)
    topics: Mapping[str, Topic] = field(default_factory=dict)
    segments: Mapping[str, Segment] = field(default_factory=dict)
    channels: Mapping[str, ChannelSettings] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unreadable: frozenset[str] = frozenset()

    def attribute_type(self, name: str) -> ValueType | None:
        """The type of ``contact.NAME``, or None where the catalog declares none."""
        declared = self.attributes.get(name)
        return declared.type if declared else CONTACT_FIELDS.get(name)

"""What journeys cost and are to bring, and how their links are tagged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from runner.journey.duration import Duration
from runner.journey.values import ValueType

if TYPE_CHECKING:
    from runner.journey.expression import Expression


class Period(StrEnum):
    """What a cost is per."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"
    ONCE = "once"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What is paid beside the price of messages, in the money of the catalog."""

    name: str
    amount: Decimal
    per: Period


class Metric(StrEnum):
    """What a goal of the business counts."""

    REVENUE = "revenue"  # the values of the journeys' goals
    CONVERSIONS = "conversions"  # how often they were reached
    PROFIT = "profit"  # revenue less what was paid


@dataclass(frozen=True, kw_only=True)
class BusinessGoal:
    """``target`` by the day ``by``; ``alert_below`` is the part of the way to it, 0 to 1, below which somebody is
    told. ``journeys`` are those that count; none are all."""

    name: str
    metric: Metric
    target: Decimal
    by: date
    journeys: tuple[str, ...] = ()
    alert_below: Decimal | None = None


class Reaction(StrEnum):
    """What a reader, or their mailbox, does with a message that another tool sent."""

    OPENED = "opened"
    CLICKED = "clicked"
    BOUNCED = "bounced"
    UNSUBSCRIBED = "unsubscribed"
    COMPLAINED = "complained"


@dataclass(frozen=True, kw_only=True)
class CampaignGoal:
    """What campaigns are measured by. ``within`` counts from the last message of the tool to the contact; ``trigger.*``
    of the expressions is the event of the sending."""

    event: str
    within: Duration
    where: Expression | None = None
    value: Expression | None = None


@dataclass(frozen=True, kw_only=True)
class Campaigns:
    """A tool that sends messages beside the journeys, and the events by which it tells of them. ``label`` is the
    property of all of them that says which campaign it was, and ``type`` what it holds: a text or a number."""

    tool: str
    sent: str
    label: str
    type: ValueType
    reactions: Mapping[Reaction, str] = field(default_factory=dict)
    goal: CampaignGoal | None = None


@dataclass(frozen=True, kw_only=True)
class LinkSettings:
    """``domain`` is that of tracked links. ``utm`` maps a name without its ``utm_`` to a text, in which ``{journey}``,
    ``{step}``, ``{channel}`` and ``{topic}`` stand for those of the message."""

    domain: str | None = None
    utm: Mapping[str, str] = field(default_factory=dict)


PLACEHOLDERS = ("journey", "step", "channel", "topic")

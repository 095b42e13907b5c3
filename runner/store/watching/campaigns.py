"""What the messages of other tools led to, by campaign and month, from the events by which these tell of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Text,
    and_,
    cast,
    func,
    literal,
    null,
    select,
)

from runner.journey.business import Campaigns
from runner.journey.duration import Duration
from runner.store.predicates import Row, millionths, predicate
from runner.store.tables import contact, event
from runner.store.types import ByCodePoint, constant, json_text, shifted
from runner.store.watching.sendings import (
    TOLD,
    Led,
    Period,
    counts_of,
    goal_counts,
    led_to,
    month_of,
    one,
    span_of,
    value_of,
)

_SENDING = ("partition", "contact", "id", "campaign", "month")


def campaign_span(connection: Connection, tool: Campaigns, period: Period) -> tuple[datetime, ...]:
    """When the first and the last message of the period were sent; none where there are none."""
    return span_of(connection, event.c.at, event.c.name == tool.sent, *period.holds(event.c.at))


def campaigns_led(
    connection: Connection, tool: Campaigns, period: Period, begins: Sequence[datetime], *, timezone: str
) -> list[Led]:
    """What the messages of ``tool`` led to. A reaction belongs to the last sending of its campaign to the contact
    before it, a goal to the last sending of the tool within the goal's time. ``timezone`` is the catalog's."""
    sent = event.alias("sent")
    found = [
        select(*_sending(sent, tool, begins), *counts_of({"sent": constant(1)})).where(
            sent.c.name == literal(tool.sent), *period.holds(sent.c.at)
        ),
        *_told(tool, period, begins),
        *_won(connection, tool, period, begins, timezone),
    ]
    return [
        Led(
            name=tool.tool,
            step=row.campaign,
            channel="",
            month=row.month,
            sent=int(row.sent),
            people=int(row.people),
            reached=int(row.reached),
            goals=int(row.goals),
            value=value_of(row),
            told={name: int(getattr(row, name)) for name in TOLD},
            states={},
        )
        for row in led_to(connection, found, by=("campaign", "month"), of_message=("id",))
    ]


def _sending(sent: FromClause, tool: Campaigns, begins: Sequence[datetime]) -> list[ColumnElement[Any]]:
    """Of which sending a count is."""
    return [
        sent.c.partition,
        sent.c.contact,
        sent.c.id,
        _label(sent, tool).label("campaign"),
        month_of(sent.c.at, begins).label("month"),
    ]


def _label(of: FromClause, tool: Campaigns) -> ColumnElement[str]:
    """The campaign in its stored form, as text; empty where it is missing."""
    told = cast(json_text(of.c.properties, constant(tool.label)), Text())
    return func.coalesce(told, literal("", Text()), type_=ByCodePoint())


def _last_before(of: FromClause, sent: FromClause) -> ColumnElement[int]:
    """1 for the last sending of those that stand beside an event."""
    return func.row_number().over(
        partition_by=(of.c.partition, of.c.contact, of.c.id), order_by=(sent.c.at.desc(), sent.c.id.desc())
    )


def _told(tool: Campaigns, period: Period, begins: Sequence[datetime]) -> list[Select[Any]]:
    """What was told of sendings; nothing of a tool that tells nothing."""
    if not tool.reactions:
        return []
    sent, reaction = event.alias("of"), event.alias("reaction")
    pairs = (
        select(
            *_sending(sent, tool, begins),
            sent.c.at,
            reaction.c.name.label("told"),
            _last_before(reaction, sent).label("nth"),
        )
        .select_from(
            reaction.join(
                sent,
                and_(
                    sent.c.partition == reaction.c.partition,
                    sent.c.contact == reaction.c.contact,
                    sent.c.name == literal(tool.sent),
                    sent.c.at <= reaction.c.at,
                    _label(sent, tool) == _label(reaction, tool),
                ),
            )
        )
        .where(reaction.c.name.in_(sorted(set(tool.reactions.values()))))
        .subquery("pairs")
    )
    flags = {each.value: one(pairs.c.told == literal(name)) for each, name in tool.reactions.items()}
    return [_of_last(pairs, flags, period)]


def _of_last(pairs: FromClause, given: Mapping[str, ColumnElement[Any]], period: Period) -> Select[Any]:
    """The counts ``given`` of the last sendings before something, where these are of the period."""
    return select(*(pairs.c[name] for name in _SENDING), *counts_of(given)).where(
        pairs.c.nth == constant(1), *period.holds(pairs.c.at)
    )


def _won(
    connection: Connection, tool: Campaigns, period: Period, begins: Sequence[datetime], timezone: str
) -> list[Select[Any]]:
    """The goals that sendings are credited with; nothing where campaigns have no goal."""
    goal = tool.goal
    if goal is None:
        return []
    dialect = connection.dialect.name
    sent, reached = event.alias("of"), event.alias("reached")
    row = Row(
        partition=reached.c.partition,
        contact=reached.c.contact,
        contact_table=contact,
        zone=func.coalesce(contact.c.timezone, literal(timezone, ByCodePoint())),
        instant=reached.c.at,
        trigger=sent.c.properties,
        event=reached.c.properties,
    )
    value: ColumnElement[Any] = (
        millionths(goal.value, row, dialect) if goal.value else cast(null(), BigInteger())
    )
    pairs = (
        select(
            *_sending(sent, tool, begins),
            sent.c.at,
            value.label("value"),
            _last_before(reached, sent).label("nth"),
        )
        .select_from(
            reached.join(sent, _within(sent, reached, tool.sent, goal.within)).join(
                contact,
                and_(contact.c.partition == reached.c.partition, contact.c.id == reached.c.contact),
            )
        )
        .where(
            reached.c.name == literal(goal.event),
            *([predicate(goal.where, row, dialect)] if goal.where else ()),
        )
        .subquery("pairs")
    )
    return [_of_last(pairs, goal_counts(pairs.c.value), period)]


def _within(sent: FromClause, reached: FromClause, name: str, within: Duration) -> ColumnElement[bool]:
    return and_(
        sent.c.partition == reached.c.partition,
        sent.c.contact == reached.c.contact,
        sent.c.name == literal(name),
        sent.c.at <= reached.c.at,
        sent.c.at >= shifted(reached.c.at, constant(-within.elapsed)),
    )

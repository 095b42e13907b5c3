"""What the messages of other tools led to, by campaign and month, from the events by which these tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Text, and_, cast, func, literal, null, select

from runner.journey.business import Campaigns, Reaction
from runner.journey.duration import Duration
from runner.store.predicates import Row, millionths, predicate
from runner.store.tables import contact, event
from runner.store.types import ByCodePoint, constant, json_text, shifted
from runner.store.watching.sendings import (
    TOLD,
    Led,
    Period,
    led_to,
    money,
    month_of,
    one,
    span_of,
    value_of,
)

_KEYS = ("partition", "contact", "id")


def campaign_span(connection: Connection, tool: Campaigns, period: Period) -> tuple[datetime, ...]:
    """When the first and the last message of the period were sent; none where there are none."""
    return span_of(connection, event.c.at, event.c.name == tool.sent, *period.holds(event.c.at))


def campaigns_led(
    connection: Connection, tool: Campaigns, period: Period, begins: Sequence[datetime], *, timezone: str
) -> list[Led]:
    """What the messages of ``tool`` led to. A reaction belongs to the last sending of its campaign to the contact
    before it, a goal to the last sending of the tool within the goal's time. ``timezone`` is the catalog's."""
    sent = event.alias("sent")
    told = _told(tool)
    won = _won(connection, tool, timezone)
    zero = constant(0)
    columns = [func.coalesce(told.c[name], zero) if name in told.c else zero for name in TOLD]
    goals = ("goals", "valued", "whole", "rest")
    found = (
        select(
            sent.c.partition,
            sent.c.contact,
            _label(sent, tool).label("campaign"),
            month_of(sent.c.at, begins).label("month"),
            constant(1).label("sent"),
            *(column.label(name) for name, column in zip(TOLD, columns, strict=True)),
            *((func.coalesce(won.c[name], zero) if won is not None else zero).label(name) for name in goals),
        )
        .select_from(_joined(sent, told, won))
        .where(sent.c.name == tool.sent, *period.holds(sent.c.at))
    )
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
        for row in led_to(connection, found, by=("campaign", "month"))
    ]


def _joined(sent: FromClause, told: FromClause, won: FromClause | None) -> FromClause:
    joined = sent.outerjoin(told, _same(sent, told))
    return joined if won is None else joined.outerjoin(won, _same(sent, won))


def _same(sent: FromClause, other: FromClause) -> ColumnElement[bool]:
    return and_(*(other.c[key] == sent.c[key] for key in _KEYS))


def _label(of: FromClause, tool: Campaigns) -> ColumnElement[str]:
    """The campaign in its stored form, as text; empty where it is missing."""
    told = cast(json_text(of.c.properties, constant(tool.label)), Text())
    return func.coalesce(told, literal("", Text()), type_=ByCodePoint())


def _last_before(of: FromClause, sent: FromClause) -> ColumnElement[int]:
    """1 for the last sending of those that stand beside an event."""
    return func.row_number().over(
        partition_by=(of.c.partition, of.c.contact, of.c.id), order_by=(sent.c.at.desc(), sent.c.id.desc())
    )


def _told(tool: Campaigns) -> FromClause:
    """What was told of each sending: 1 for each reaction that was."""
    sent, reaction = event.alias("of"), event.alias("reaction")
    pairs = (
        select(
            *(sent.c[key] for key in _KEYS),
            reaction.c.name,
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
    keys = [pairs.c[key] for key in _KEYS]
    flags = [
        func.max(one(pairs.c.name == tool.reactions[reaction])).label(reaction.value)
        for reaction in Reaction
        if reaction in tool.reactions
    ]
    return select(*keys, *flags).where(pairs.c.nth == constant(1)).group_by(*keys).subquery("told")


def _won(connection: Connection, tool: Campaigns, timezone: str) -> FromClause | None:
    """The goals that each sending is credited with; None where campaigns have no goal."""
    goal = tool.goal
    if goal is None:
        return None
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
    value: ColumnElement[Any] = millionths(goal.value, row, dialect) if goal.value else null()
    pairs = (
        select(
            *(sent.c[key] for key in _KEYS),
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
    keys = [pairs.c[key] for key in _KEYS]
    return (
        select(*keys, func.count().label("goals"), *money(pairs.c.value))
        .where(pairs.c.nth == constant(1))
        .group_by(*keys)
        .subquery("won")
    )


def _within(sent: FromClause, reached: FromClause, name: str, within: Duration) -> ColumnElement[bool]:
    return and_(
        sent.c.partition == reached.c.partition,
        sent.c.contact == reached.c.contact,
        sent.c.name == literal(name),
        sent.c.at <= reached.c.at,
        sent.c.at >= shifted(reached.c.at, constant(-within.elapsed)),
    )

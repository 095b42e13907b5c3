"""Consents that change: told before the new state is written, of those topics alone that a journey is triggered by.

To give what is given already changes nothing. A trigger that names no channel hears of the change of any; one that
names one, also of a change for every channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    cast,
    exists,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    union_all,
)

from runner.journey.catalog import EVERY_CHANNEL
from runner.journey.reserved import CONSENT_CHANGED
from runner.store.causes.announce import announcement
from runner.store.causes.attributes import json_text_of
from runner.store.passes.receive import consents_of_pass
from runner.store.statement import Statement
from runner.store.tables import consent
from runner.store.types import ByCodePoint, json_object

Sql = ColumnElement[Any]
Watch = tuple[str, str]
"""Topic, and channel or ``*``."""

CHANGING = ("partition", "contact", "run", "at", "topic", "channel", "state", "key")
"""The columns of rows that say which consent is about to become what; ``run`` is what causes it, or NULL."""


def consent_changes(
    dialect: str, rows: Any, watched: Sequence[Watch], *, one_each: bool = False
) -> Statement:
    """The statement that tells of those of ``rows`` (a subquery with the columns ``CHANGING``) that change
    something. ``one_each``: no contact is in several of them."""
    each = [_change(dialect, rows, topic, channel) for topic, channel in watched]
    if len(each) == 1:
        return announcement(dialect, each[0], one_each=one_each)
    return announcement(dialect, select(*union_all(*each).subquery().c))


def _change(dialect: str, rows: Any, topic: str, channel: str) -> Select[Any]:
    everywhere: Sql = literal_column(f"'{EVERY_CHANNEL}'")
    known = consent.alias()
    of_topic = and_(
        known.c.partition == rows.c.partition,
        known.c.contact == rows.c.contact,
        known.c.topic == rows.c.topic,
    )

    def state_of(channel: Sql) -> Sql:
        return select(known.c.state).where(of_topic, known.c.channel == channel).scalar_subquery()

    def some(*conditions: Sql) -> Sql:
        return exists(select(literal_column("1")).select_from(known).where(of_topic, *conditions))

    def differs(channel: Sql) -> Sql:
        return func.coalesce(state_of(channel), state_of(everywhere)).is_distinct_from(rows.c.state)

    if channel == EVERY_CHANNEL:
        of_all = rows.c.channel == everywhere
        changes = or_(
            and_(of_all, or_(some(known.c.state != rows.c.state), ~some(known.c.channel == everywhere))),
            and_(~of_all, differs(rows.c.channel)),
        )
    else:
        name = literal(channel, ByCodePoint())
        changes = and_(rows.c.channel.in_([everywhere, name]), differs(name))
    return select(
        rows.c.partition,
        rows.c.contact,
        rows.c.run,
        rows.c.at,
        literal(CONSENT_CHANGED, ByCodePoint()).label("name"),
        json_object(
            literal("topic", Text()),
            json_text_of(rows.c.topic, dialect),
            literal("channel", Text()),
            json_text_of(rows.c.channel, dialect),
            literal("of", Text()),
            json_text_of(literal(channel, Text()), dialect),
            literal("change", Text()),
            json_text_of(rows.c.state, dialect),
        ).label("properties"),
        (literal(f"consent:{topic}:{channel}:", Text()) + rows.c.key).label("key"),
    ).where(rows.c.topic == literal(topic, ByCodePoint()), changes)


@cache
def _received(dialect: str, watched: tuple[Watch, ...]) -> Statement:
    found = consents_of_pass().subquery("found")
    rows = select(
        found.c.partition,
        found.c.contact,
        cast(null(), BigInteger()).label("run"),
        found.c.at,
        found.c.topic,
        found.c.channel,
        found.c.state,
        cast(found.c.event, Text()).label("key"),
    ).subquery("changing")
    return consent_changes(dialect, rows, watched, one_each=True)


def tell_of_consents(connection: Connection, n: int, watched: Sequence[Watch]) -> None:
    """Tell what the consent events of pass ``n`` are about to change."""
    if watched:
        _received(connection.dialect.name, tuple(watched)).run(connection, n=n)

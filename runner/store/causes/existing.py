"""People for whom a trigger held already when its journey was applied, and who are to enter all the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Text,
    and_,
    cast,
    exists,
    func,
    literal,
    literal_column,
    null,
    select,
)

from runner.journey.catalog import EVERY_CHANNEL
from runner.journey.expression import Expression
from runner.journey.reserved import EXISTING
from runner.store.causes.announce import announcement
from runner.store.causes.attributes import as_member, attribute_json, json_text_of
from runner.store.passes.program import WAVE_CONTACT
from runner.store.passes.working import in_pass, wave
from runner.store.predicates import Row, predicate
from runner.store.statement import Statement
from runner.store.tables import consent, contact
from runner.store.types import ByCodePoint, Instant, json_object

Sql = ColumnElement[Any]


@dataclass(frozen=True, kw_only=True)
class Existing:
    """A trigger of ``journey`` that also those enter by for whom ``when`` holds, or whose ``consent`` (topic, and
    channel or ``*``) is what the property ``change`` says. ``key`` tells its definitions apart."""

    key: str
    journey: str = field(compare=False)
    event: str = field(compare=False)
    properties: tuple[tuple[str, str], ...] = field(compare=False)
    timezone: str = field(compare=False)
    when: Expression | None = field(compare=False, default=None)
    consent: tuple[str, str] | None = field(compare=False, default=None)

    @property
    def begun(self) -> str:
        """The name under which it is known that everybody was looked at."""
        return f"existing:{self.key}"


@cache
def _told(dialect: str, existing: Existing) -> Statement:
    row = Row(
        partition=wave.c.partition,
        contact=wave.c.contact,
        contact_table=contact,
        zone=func.coalesce(contact.c.timezone, literal(existing.timezone, ByCodePoint())),
        instant=wave.c.at,
    )
    texts = {**dict(existing.properties), EXISTING: existing.journey}
    parts: list[Sql] = []
    for name, text in texts.items():
        parts += [literal(name, Text()), json_text_of(literal(text, Text()), dialect)]
    if existing.when is not None:
        holds = predicate(existing.when, row, dialect)
        attribute = dict(existing.properties).get("attribute")
        if attribute is not None:
            parts += [literal("new", Text()), as_member(attribute_json(attribute, dialect), dialect)]
    else:
        holds = _consents(existing, wave.c.partition, wave.c.contact)
    return announcement(
        dialect,
        select(
            wave.c.partition,
            wave.c.contact,
            cast(null(), BigInteger()).label("run"),
            wave.c.at,
            literal(existing.event, ByCodePoint()).label("name"),
            json_object(*parts).label("properties"),
            literal(existing.begun, ByCodePoint()).label("key"),
        )
        .select_from(wave.join(contact, WAVE_CONTACT))
        .where(in_pass(wave), holds),
    )


def holds_already(dialect: str, existing: Existing, now: datetime) -> ColumnElement[bool]:
    """Whether the trigger holds at ``now`` for a row of the contacts."""
    if existing.when is None:
        return _consents(existing, contact.c.partition, contact.c.id)
    row = Row(
        partition=contact.c.partition,
        contact=contact.c.id,
        contact_table=contact,
        zone=func.coalesce(contact.c.timezone, literal(existing.timezone, ByCodePoint())),
        instant=literal(now, Instant()),
    )
    return predicate(existing.when, row, dialect)


def _consents(existing: Existing, partition: Sql, number: Sql) -> ColumnElement[bool]:
    """Whether the consent is in the state of the property ``change``: for one channel, or for any."""
    assert existing.consent is not None
    topic, channel = existing.consent
    state = literal(dict(existing.properties)["change"], ByCodePoint())
    of_topic = and_(
        consent.c.partition == partition,
        consent.c.contact == number,
        consent.c.topic == literal(topic, ByCodePoint()),
    )
    if channel == EVERY_CHANNEL:
        return exists(
            select(literal_column("1")).select_from(consent).where(of_topic, consent.c.state == state)
        )
    own, entire = (
        select(consent.c.state)
        .where(of_topic, consent.c.channel == literal(of, ByCodePoint()))
        .scalar_subquery()
        for of in (channel, EVERY_CHANNEL)
    )
    return func.coalesce(own, entire) == state


def enter_existing(connection: Connection, n: int, existing: Existing) -> None:
    """Tell the journey of those contacts of pass ``n`` for whom its trigger holds, as of their instants there."""
    _told(connection.dialect.name, existing).run(connection, n=n)

"""Consents that grow stale: an appointment for the instant at which one comes to the age that its topic sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    and_,
    case,
    func,
    literal,
    literal_column,
    null,
    select,
    type_coerce,
)

from runner.journey.catalog import CONSENT_GRANTED, CONSENT_WITHDRAWN, EVERY_CHANNEL
from runner.journey.reserved import CONSENT_CHANGED
from runner.store.causes.appointments import Kind, appoint
from runner.store.causes.attributes import json_text_of
from runner.store.passes.working import in_pass, wave
from runner.store.statement import Statement
from runner.store.tables import ConsentState, consent
from runner.store.types import ByCodePoint, Instant, constant, json_object, json_text, shifted

STALE = "stale"


@dataclass(frozen=True, kw_only=True)
class Stale:
    """``channel`` is ``*`` for any. ``after`` is in microseconds."""

    topic: str
    channel: str
    after: int

    @property
    def name(self) -> str:
        """What tells it apart among the appointments of a contact."""
        return f"{self.topic}:{self.channel}"

    @property
    def begun(self) -> str:
        """The name under which it is known that everybody was looked at."""
        return f"consent:{self.topic}:{self.channel}:{self.after}"


@cache
def _appointed(dialect: str, stale: Stale, *, of_events: bool) -> Statement:
    texts = {"topic": stale.topic, "channel": stale.channel, "of": stale.channel, "change": STALE}
    parts: list[ColumnElement[Any]] = []
    for name, text in texts.items():
        parts += [literal(name, Text()), json_text_of(literal(text, Text()), dialect)]
    return appoint(
        dialect,
        Kind.CONSENT,
        select(
            wave.c.partition,
            wave.c.contact,
            literal(stale.name, ByCodePoint()).label("name"),
            _due(stale).label("due_at"),
            json_object(*parts).label("properties"),
        )
        .select_from(wave)
        .where(in_pass(wave), *([_concerns(stale)] if of_events else [])),
    )


def _concerns(stale: Stale) -> ColumnElement[bool]:
    """Whether an event gives or withdraws the consent, or says that it has grown stale. At any other event it is left
    as it is: one that grows stale at this very instant may have its event still to come."""
    topic, of = (json_text(wave.c.properties, constant(name)) for name in ("topic", "of"))
    return and_(
        topic == literal(stale.topic, Text()),
        case(
            (wave.c.name == literal_column(f"'{CONSENT_CHANGED}'"), of == literal(stale.channel, Text())),
            else_=wave.c.name.in_(
                [literal_column(f"'{name}'") for name in (CONSENT_GRANTED, CONSENT_WITHDRAWN)]
            ),
        ),
    )


def _due(stale: Stale) -> ColumnElement[Any]:
    """When the consent next grows stale; NULL where none is given, or what is given is stale already."""
    of_topic = and_(
        consent.c.partition == wave.c.partition,
        consent.c.contact == wave.c.contact,
        consent.c.topic == literal(stale.topic, ByCodePoint()),
    )
    grows = shifted(consent.c.since, constant(stale.after))
    given = consent.c.state == constant(ConsentState.GIVEN.value)
    if stale.channel == EVERY_CHANNEL:
        first = select(func.min(grows)).where(of_topic, given, grows > wave.c.at)
        return first.scalar_subquery()
    # A word of its own comes before one for every channel.
    own = literal(stale.channel, ByCodePoint())
    found: Any = (
        select(case((and_(given, grows > wave.c.at), grows), else_=null()))
        .where(of_topic, consent.c.channel.in_([own, literal(EVERY_CHANNEL, ByCodePoint())]))
        .order_by(case((consent.c.channel == own, constant(0)), else_=constant(1)))
        .limit(1)
        .scalar_subquery()
    )
    return cast("ColumnElement[Any]", type_coerce(found, Instant()))


def watch_age(connection: Connection, n: int, stale: Sequence[Stale], *, of_events: bool = False) -> None:
    """Compute anew when the consents of the contacts of pass ``n`` grow stale: of all, or those of its events."""
    for each in stale:
        _appointed(connection.dialect.name, each, of_events=of_events).run(connection, n=n)

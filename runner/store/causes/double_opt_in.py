"""Consents that wait to be confirmed: of topics with a double opt-in, whose reader has to say yes a second time.

A ``Consent Granted`` to such a topic that is not ``confirmed`` says so itself from here on: its state is ``pending``.
Whoever has consented already need not do so again.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Connection,
    String,
    Text,
    case,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    update,
)

from runner.journey.catalog import CONSENT_GRANTED, EVERY_CHANNEL, OptIn, Topic
from runner.store.causes.attributes import json_text_of
from runner.store.passes.program import WAVE_CONTACT, WAVE_EVENT, ProgramSql
from runner.store.passes.working import in_pass, wave
from runner.store.predicates import predicate
from runner.store.statement import Statement
from runner.store.tables import ConsentState, consent, contact, event
from runner.store.types import constant, json_has, json_merged, json_object, json_text, json_true


def asks_twice(topic: Topic) -> bool:
    """Whether anybody's consent to the topic has to be confirmed."""
    return topic.opt_in is OptIn.DOUBLE or any(each.opt_in is OptIn.DOUBLE for each in topic.cases)


_MARKED = Statement(
    update(wave)
    .values(properties=event.c.properties)
    .where(in_pass(wave), wave.c.name == literal_column(f"'{CONSENT_GRANTED}'"), WAVE_EVENT)
)


def mark_pending(sql: ProgramSql, topic: Topic, connection: Connection, n: int) -> None:
    """Mark the consents to ``topic`` of pass ``n`` that are yet to be confirmed. ``sql`` is that of a version whose
    catalog has the topic."""

    def build() -> Statement:
        row = sql.row(wave, with_run=False)
        cases: list[tuple[Any, Any]] = [
            (predicate(each.when, row, sql.dialect), literal_column(str(int(each.opt_in is OptIn.DOUBLE))))
            for each in topic.cases
            if each.when is not None
        ]
        otherwise: Any = literal_column(str(int(topic.opt_in is OptIn.DOUBLE)))
        twice = (case(*cases, else_=otherwise) if cases else otherwise) == literal_column("1")
        channel = func.coalesce(
            json_text(wave.c.properties, constant("channel")), literal_column(f"'{EVERY_CHANNEL}'")
        )
        already = exists(
            select(literal_column("1"))
            .where(
                consent.c.partition == wave.c.partition,
                consent.c.contact == wave.c.contact,
                consent.c.topic == literal(topic.name, String()),
                or_(consent.c.channel == channel, consent.c.channel == literal_column(f"'{EVERY_CHANNEL}'")),
                consent.c.state == constant(ConsentState.GIVEN.value),
            )
            .correlate_except(consent)
        )
        found = (
            select(wave.c.partition, wave.c.contact, wave.c.event)
            .select_from(wave.join(contact, WAVE_CONTACT))
            .where(
                in_pass(wave),
                wave.c.name == literal_column(f"'{CONSENT_GRANTED}'"),
                json_text(wave.c.properties, constant("topic")) == literal(topic.name, String()),
                # What a step gives needs no second word, nor does what a reader has confirmed.
                ~json_has(wave.c.properties, constant("run")),
                ~json_true(wave.c.properties, constant("confirmed")),
                ~already,
                twice,
            )
            .subquery("unconfirmed")
        )
        word = json_text_of(literal(ConsentState.PENDING.value, Text()), sql.dialect)
        return Statement(
            update(event)
            .values(properties=json_merged(event.c.properties, json_object(literal_column("'state'"), word)))
            .where(
                event.c.partition == found.c.partition,
                event.c.contact == found.c.contact,
                event.c.id == found.c.event,
            )
        )

    if sql.once(("mark pending", topic.name), build).run(connection, n=n).rowcount:
        _MARKED.run(connection, n=n)

"""What is stored beside a contact: messages, runs, consents, suppressions, and its account with all who share it. Each
look-up is one correlated scalar subquery, served by a primary key or by an index that begins with the contact."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, exists, false, func, null, or_, select
from sqlalchemy.sql.util import ClauseAdapter

from runner.journey.catalog import EVERY_CHANNEL
from runner.journey.expression import tree
from runner.journey.values import MILLIONTHS
from runner.store import tables
from runner.store.predicates.read import read_json
from runner.store.predicates.row import Row
from runner.store.types import constant, microseconds_of

if TYPE_CHECKING:
    from runner.store.predicates.compile import Compiler

Sql = ColumnElement[Any]
_DAY = 86_400_000_000


def _of(row: Row, table: Any) -> list[Sql]:
    """The rows of ``table`` that belong to the contact."""
    return [table.c.partition == row.partition, table.c.contact == row.contact]


# Messages and runs ----------------------------------------------------------------------------------------------


def sent(compiler: Compiler, node: tree.Sent) -> Sql:
    row, message = compiler.row, compiler.row.alias(tables.message)
    if node.journey is not None:
        whose: Sql = message.c.journey == node.journey
    elif row.run is not None:
        whose = message.c.run == row.run
    else:
        return false()
    return exists(
        select(constant(1))
        .select_from(message)
        .where(
            *_of(row, message),
            whose,
            or_(*(message.c.step == name for name in (node.step, *node.former))),
            message.c.status.in_([constant(status.value) for status in tables.LET_GO]),
        )
        .correlate_except(message)
    )


def run_number(compiler: Compiler, node: tree.RunNumber) -> Sql:  # noqa: ARG001
    run = compiler.row.run
    return null() if run is None else compiler.number(run * constant(MILLIONTHS))


def in_journey(compiler: Compiler, node: tree.InJourney) -> Sql:
    run = compiler.row.alias(tables.run, "s")
    status = tables.RunStatus.COMPLETED if node.completed else tables.RunStatus.ACTIVE
    return exists(
        select(constant(1))
        .select_from(run)
        .where(
            *_of(compiler.row, run),
            run.c.journey == node.journey,
            run.c.status == constant(status.value),
        )
        .correlate_except(run)
    )


# Consent --------------------------------------------------------------------------------------------------------


def consented(compiler: Compiler, node: tree.Consented) -> Sql:
    states = []
    for channel in (node.channel, EVERY_CHANNEL):
        consent = compiler.row.alias(tables.consent)
        states.append(
            select(consent.c.state)
            .where(*_of(compiler.row, consent), consent.c.topic == node.topic, consent.c.channel == channel)
            .correlate_except(consent)
            .scalar_subquery()
        )
    given = func.coalesce(*states) == constant(tables.ConsentState.GIVEN.value)
    return compiler.holds(given)


def given_since(compiler: Compiler, node: tree.ConsentAge) -> Sql:
    """Microseconds of the instant at which the consent was given; NULL where none is."""
    consent, every = (compiler.row.alias(tables.consent, use) for use in ("", "own"))
    given = constant(tables.ConsentState.GIVEN.value)
    own = select(constant(1)).where(
        *_of(compiler.row, every), every.c.topic == node.topic, every.c.channel == node.channel
    )
    return (
        select(microseconds_of(func.max(consent.c.since)))
        .where(
            *_of(compiler.row, consent),
            consent.c.topic == node.topic,
            consent.c.state == given,
            or_(
                consent.c.channel == node.channel,
                (consent.c.channel == EVERY_CHANNEL) & ~exists(own.correlate_except(every)),
            ),
        )
        .correlate_except(consent)
        .scalar_subquery()
    )


def consent_age(compiler: Compiler, node: tree.ConsentAge) -> Sql:
    elapsed = compiler.instant() - given_since(compiler, node)
    days = elapsed.op("/", precedence=8, return_type=elapsed.type)(constant(_DAY))
    return compiler.number(days * constant(MILLIONTHS))


def any_consent(compiler: Compiler, node: tree.AnyConsent) -> Sql:
    consent, every = (compiler.row.alias(tables.consent, use) for use in ("", "own"))
    found = [*_of(compiler.row, consent), consent.c.state == constant(tables.ConsentState.GIVEN.value)]
    if node.channel is not None:
        own = (
            select(constant(1))
            .where(
                *_of(compiler.row, every),
                every.c.topic == consent.c.topic,
                every.c.channel == node.channel,
            )
            .correlate_except(every)
        )
        for_every = (consent.c.channel == EVERY_CHANNEL) & ~exists(own)
        found.append(or_(consent.c.channel == node.channel, for_every))
    return exists(select(constant(1)).select_from(consent).where(*found).correlate_except(consent))


def suppressed(compiler: Compiler, node: tree.Suppressed) -> Sql:
    row, suppression = compiler.row, compiler.row.alias(tables.suppression)
    return exists(
        select(constant(1))
        .select_from(suppression)
        .where(
            *_of(row, suppression),
            suppression.c.channel == node.channel,
            suppression.c.address == row.contact_table.c[node.address or "key"],
        )
        .correlate_except(suppression)
    )


# The account ----------------------------------------------------------------------------------------------------


def account_value(compiler: Compiler, node: tree.Name) -> Sql:
    """``account.ATTRIBUTE``."""
    row, account = compiler.row, compiler.row.alias(tables.account)
    found = read_json(account.c.attributes, node.path, node.type, compiler.dialect, node.inside)
    return (
        select(found)
        .where(account.c.partition == row.partition, account.c.key == row.contact_table.c.account)
        .correlate_except(account)
        .scalar_subquery()
    )


def people(compiler: Compiler, node: tree.People) -> Sql:
    """Served by ``ix_contact_account``."""
    mate = compiler.row.alias(tables.contact)
    condition = compiler.for_row(row_of(compiler.row, mate)).condition(node.condition)
    found = (
        select(func.count() * constant(MILLIONTHS))
        .select_from(mate)
        .where(*shares_account(compiler.row, mate), condition)
        .correlate_except(mate)
        .scalar_subquery()
    )
    return compiler.number(found)


def shares_account(row: Row, mate: Any) -> list[Sql]:
    """Whether ``mate``, an alias of contact, shares the contact's account; the contact itself does."""
    return [mate.c.partition == row.partition, mate.c.account == row.contact_table.c.account]


def row_of(row: Row, mate: Any) -> Row:
    """The row of somebody else, read at the same instant in the same run. Others' events of that very instant are in
    the order in which partitions were worked on: only the contact's own count."""
    return replace(
        row,
        contact=mate.c.id,
        partition=mate.c.partition,
        contact_table=mate,
        zone=ClauseAdapter(mate).traverse(row.zone),
        run=None,
        level=row.level + 1,
        own=row.contact if row.own is None else row.own,
        gathered=None,
    )

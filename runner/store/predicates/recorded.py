"""What is stored beside a contact: messages, runs, consents, suppressions, and its account with all who share it. Each
look-up is one correlated scalar subquery, served by a primary key or by an index that begins with the contact."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Boolean, ColumnElement, Table, false, func, null
from sqlalchemy.sql.selectable import NamedFromClause
from sqlalchemy.sql.util import ClauseAdapter

from runner.journey.catalog import EVERY_CHANNEL
from runner.journey.expression import tree
from runner.journey.values import MILLIONTHS
from runner.store import tables
from runner.store.composed import looked_up, named
from runner.store.predicates.read import read_json
from runner.store.predicates.row import Row
from runner.store.types import constant, microseconds_of

if TYPE_CHECKING:
    from runner.store.predicates.compile import Compiler

Sql = ColumnElement[Any]
_DAY = 86_400_000_000
_BOOLEAN = Boolean()
_GIVEN = tables.ConsentState.GIVEN.value


def _name(parts: list[Sql], name: str) -> str:
    """``name`` in a pattern over ``parts``: one more of them."""
    parts.append(named(name))
    return f"{{{len(parts) - 1}}}"


def _of(row: Row, table: NamedFromClause) -> tuple[str, list[Sql]]:
    """The rows of ``table`` that belong to the contact: a pattern to be gone on with, and its parts."""
    name = table.name
    return f"{name}.partition = {{0}} AND {name}.contact = {{1}}", [row.partition, row.contact]


def _exists(table: Table, row: NamedFromClause, where: str, parts: list[Sql]) -> Sql:
    return looked_up(_BOOLEAN, f"EXISTS (SELECT 1 FROM {table.name} AS {row.name} WHERE {where})", *parts)


# Messages and runs ----------------------------------------------------------------------------------------------


def sent(compiler: Compiler, node: tree.Sent) -> Sql:
    """Whether a message of the step was let go: of this run, or of any run of another journey."""
    row, message = compiler.row, compiler.row.alias(tables.message)
    where, parts = _of(row, message)
    if node.journey is not None:
        where += f" AND {message.name}.journey = {_name(parts, node.journey)}"
    elif row.run is not None:
        where += f" AND {message.name}.run = {{{len(parts)}}}"
        parts.append(row.run)
    else:
        return false()
    steps = ", ".join(_name(parts, name) for name in (node.step, *node.former))
    let_go = ", ".join(f"'{status.value}'" for status in tables.LET_GO)
    where += f" AND {message.name}.step IN ({steps}) AND {message.name}.status IN ({let_go})"
    return _exists(tables.message, message, where, parts)


def run_number(compiler: Compiler, node: tree.RunNumber) -> Sql:  # noqa: ARG001
    """Which run of the contact it is, in millionths; NULL where nobody is in one."""
    run = compiler.row.run
    return null() if run is None else compiler.number(run * constant(MILLIONTHS))


def in_journey(compiler: Compiler, node: tree.InJourney) -> Sql:
    """Whether a run of the journey is on, or came to its end."""
    run = compiler.row.alias(tables.run, "s")
    status = tables.RunStatus.COMPLETED if node.completed else tables.RunStatus.ACTIVE
    where, parts = _of(compiler.row, run)
    where += (
        f" AND {run.name}.journey = {_name(parts, node.journey)} AND {run.name}.status = '{status.value}'"
    )
    return _exists(tables.run, run, where, parts)


# Consent --------------------------------------------------------------------------------------------------------


def consented(compiler: Compiler, node: tree.Consented) -> Sql:
    """Whether consent is given for topic and channel."""
    consent = compiler.row.alias(tables.consent)
    name = consent.name
    where, parts = _of(compiler.row, consent)
    where += f" AND {name}.topic = {_name(parts, node.topic)} AND {name}.channel = "
    found = f"SELECT {name}.state FROM consent AS {name} WHERE {where}"
    states = ", ".join(f"({found}{_name(parts, channel)})" for channel in (node.channel, EVERY_CHANNEL))
    return compiler.holds(looked_up(_BOOLEAN, f"coalesce({states}) = '{_GIVEN}'", *parts))


def given_since(compiler: Compiler, node: tree.ConsentAge) -> Sql:
    """Microseconds of the instant at which the consent was given; NULL where none is."""
    consent = compiler.row.alias(tables.consent)
    name = consent.name
    where, parts = _of(compiler.row, consent)
    topic = _name(parts, node.topic)
    latest = microseconds_of(func.max(consent.c.since))
    of_channel = _of_channel(compiler.row, parts, name, node.channel, topic)
    where += f" AND {name}.topic = {topic} AND {name}.state = '{_GIVEN}' AND {of_channel}"
    place = len(parts)
    return looked_up(
        BigInteger(), f"(SELECT {{{place}}} FROM consent AS {name} WHERE {where})", *parts, latest
    )


def _of_channel(row: Row, parts: list[Sql], name: str, channel: str, topic: str) -> str:
    """Whether the consent ``name`` is that for a channel: its own, or the one for every channel where it has none."""
    of, every = _name(parts, channel), _name(parts, EVERY_CHANNEL)
    own = row.alias(tables.consent, "own").name
    return (
        f"({name}.channel = {of} OR ({name}.channel = {every} AND NOT EXISTS (SELECT 1 FROM consent AS {own} "
        f"WHERE {own}.partition = {{0}} AND {own}.contact = {{1}} AND {own}.topic = {topic} AND {own}.channel = {of})))"
    )


def consent_age(compiler: Compiler, node: tree.ConsentAge) -> Sql:
    """Whole days of 24 hours since the consent was given, in millionths; NULL where none is."""
    elapsed = compiler.instant() - given_since(compiler, node)
    days = elapsed.op("/", precedence=8, return_type=elapsed.type)(constant(_DAY))
    return compiler.number(days * constant(MILLIONTHS))


def any_consent(compiler: Compiler, node: tree.AnyConsent) -> Sql:
    """Whether consent to any topic is given, for the channel where it names one."""
    consent = compiler.row.alias(tables.consent)
    name = consent.name
    where, parts = _of(compiler.row, consent)
    where += f" AND {name}.state = '{_GIVEN}'"
    if node.channel is not None:
        where += f" AND {_of_channel(compiler.row, parts, name, node.channel, f'{name}.topic')}"
    return _exists(tables.consent, consent, where, parts)


def suppressed(compiler: Compiler, node: tree.Suppressed) -> Sql:
    """Whether nothing is sent to the contact's address for the channel."""
    row, suppression = compiler.row, compiler.row.alias(tables.suppression)
    name = suppression.name
    where, parts = _of(row, suppression)
    where += f" AND {name}.channel = {_name(parts, node.channel)} AND {name}.address = {{{len(parts)}}}"
    return _exists(
        tables.suppression, suppression, where, [*parts, row.contact_table.c[node.address or "key"]]
    )


# The account ----------------------------------------------------------------------------------------------------


def account_value(compiler: Compiler, node: tree.Name) -> Sql:
    """``account.ATTRIBUTE``."""
    row, account = compiler.row, compiler.row.alias(tables.account)
    found = read_json(account.c.attributes, node.path, node.type, compiler.dialect, node.inside)
    name = account.name
    query = f"(SELECT {{0}} FROM account AS {name} WHERE {name}.partition = {{1}} AND {name}.key = {{2}})"
    return looked_up(found.type, query, found, row.partition, row.contact_table.c.account)


def people(compiler: Compiler, node: tree.People) -> Sql:
    """Served by ``ix_contact_account``."""
    row, mate = compiler.row, compiler.row.alias(tables.contact)
    condition = compiler.for_row(row_of(row, mate)).condition(node.condition)
    name = mate.name
    query = (
        f"(SELECT count(*) * {MILLIONTHS} FROM contact AS {name} "
        f"WHERE {name}.partition = {{0}} AND {name}.account = {{1}} AND {{2}})"
    )
    counted = looked_up(BigInteger(), query, row.partition, row.contact_table.c.account, condition)
    return compiler.number(counted)


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

"""Moving contacts, with all that belongs to them, to where those lie who share their account.

Somebody is moved in one transaction, or not at all. It holds both partitions, so that no tick works on them, and the
partitions of the keys, so that nobody who has found the contact is about to write something of it. Nothing is waited
for while a partition is held. Who has a message that is being handed over stays until it has been.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    FromClause,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError

from runner.problem import JourneysError
from runner.store.database import Database, Deployment
from runner.store.insert import insert_new, upsert
from runner.store.listed import listed, rows_text
from runner.store.partition import partition_of
from runner.store.passes.working import steady_plans
from runner.store.people.places import hold_alone
from runner.store.statement import Statement
from runner.store.tables import MessageStatus, begun, contact, firing, message, metadata, placement, shard
from runner.store.types import constant
from runner.store.work.partitions import at_rest

MOST = 1_000
"""How many are moved in one transaction."""
_WAIT_MILLISECONDS = 500
"""How long to wait for somebody who is about to write something: those who come behind wait as well."""
_LOCK_NOT_AVAILABLE = "55P03"

OWNED = tuple(
    table for table in metadata.sorted_tables if "partition" in table.columns and "contact" in table.columns
)
"""The tables whose rows go with a contact: those that name it."""


@dataclass(frozen=True, kw_only=True)
class _Move:
    """A contact, the partition in which it lies, that of its key, and the one in which it is to lie."""

    partition: int
    contact: int
    key: str
    home: int
    placed_in: int


def move_misplaced(database: Database, partitions: Sequence[int], now: datetime) -> int:
    """Move up to ``MOST`` contacts out of ``partitions`` to where they belong. Answers how many; the others are looked
    at again: somebody else holds one of the partitions, or something is due in one of them that concerns all its
    contacts, or one of their messages is being handed over."""
    deployment = database.deployment
    if not deployment.moves_contacts:
        return 0
    try:
        with database.begin() as connection:
            steady_plans(connection)
            found = _misplaced(connection, deployment, partitions)
            if not found:
                return 0
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_WAIT_MILLISECONDS}")
            homes = {one.home for one in found}
            hold_alone(connection, deployment, homes)
            held = _hold(connection, {one.partition for one in found} | {one.placed_in for one in found})
            # Looked at once more: what was read before the locks may have changed.
            ours = [
                one
                for one in _misplaced(connection, deployment, partitions)
                if one.home in homes and {one.partition, one.placed_in} <= held
            ]
            ours = _in_step(connection, ours, now)
            ours = _free_of_messages(connection, ours)
            _move(connection, ours)
            return len(ours)
    except JourneysError as error:
        cause = error.__cause__
        if isinstance(cause, DBAPIError) and getattr(cause.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            return 0
        raise


_MISPLACED = (
    select(contact.c.partition, contact.c.id, contact.c.key, contact.c.belongs_in)
    .where(contact.c.belongs_in.is_not(None), contact.c.partition == bindparam("partition"))
    .order_by(contact.c.id)
    .limit(MOST)
)


def _misplaced(connection: Connection, deployment: Deployment, partitions: Sequence[int]) -> list[_Move]:
    """Up to ``MOST`` contacts that are not where they belong (ix_contact_misplaced)."""
    found: list[_Move] = []
    for partition in partitions:
        if len(found) >= MOST:
            break
        found += [
            _Move(
                partition=row.partition,
                contact=row.id,
                key=row.key,
                home=partition_of(row.key, deployment.partitions),
                placed_in=row.belongs_in,
            )
            for row in connection.execute(_MISPLACED, {"partition": partition})
        ]
    return found[:MOST]


def _hold(connection: Connection, partitions: Iterable[int]) -> frozenset[int]:
    """Those of ``partitions`` that nobody else holds; they are ours until the transaction ends."""
    free = (
        select(shard.c.partition)
        .where(shard.c.partition.in_(sorted(partitions)))
        .order_by(shard.c.partition)
        .with_for_update(skip_locked=True)
    )
    return frozenset(connection.execute(free).scalars())


def _in_step(connection: Connection, moves: Sequence[_Move], now: datetime) -> list[_Move]:
    """Those between partitions that have come equally far with what concerns all contacts of a partition: a schedule
    that has fired in one and not in the other would else fire twice for a contact, or never."""
    if not moves:
        return []
    partitions = sorted({each for one in moves for each in (one.partition, one.placed_in)})
    resting = at_rest(connection, partitions, now)
    looked_at: dict[int, set[str]] = {partition: set() for partition in partitions}
    for partition, name in connection.execute(
        select(begun.c.partition, begun.c.name).where(begun.c.partition.in_(partitions))
    ):
        looked_at[partition].add(name)
    return [
        one
        for one in moves
        if {one.partition, one.placed_in} <= resting and looked_at[one.partition] == looked_at[one.placed_in]
    ]


def _these(dialect: str) -> FromClause:
    return listed(dialect, "partition", "contact", "placed_in")


def _text(moves: Sequence[_Move]) -> str:
    return rows_text(
        ("partition", "contact", "placed_in"), [(one.partition, one.contact, one.placed_in) for one in moves]
    )


def _messages_of(dialect: str) -> tuple[Statement, Statement]:
    these = _these(dialect)
    theirs = these.join(
        message, and_(message.c.partition == these.c.partition, message.c.contact == these.c.contact)
    )
    # A row that somebody is changing is not waited for: such a contact stays.
    lock = select(message.c.contact).select_from(theirs).with_for_update(of=message, skip_locked=True)
    status = message.c.status
    on_its_way = status.in_([constant(each.value) for each in (MessageStatus.CLAIMED, MessageStatus.SENDING)])
    count = (
        select(
            message.c.contact,
            func.count(),
            func.sum(case((on_its_way, literal_column("1")), else_=literal_column("0"))),
        )
        .select_from(theirs)
        .group_by(message.c.contact)
    )
    return Statement(lock), Statement(count)


_MESSAGES = {dialect: _messages_of(dialect) for dialect in ("sqlite", "postgresql")}


def _free_of_messages(connection: Connection, moves: Sequence[_Move]) -> list[_Move]:
    """Those of whom no message is being handed over; from here on none is taken for that."""
    if not moves:
        return []
    lock, count = _MESSAGES[connection.dialect.name]
    locked: dict[int, int] = {}
    for (number,) in lock.run(connection, listed=_text(moves)):
        locked[number] = locked.get(number, 0) + 1
    stays = {
        number
        for number, rows, on_its_way in count.run(connection, listed=_text(moves))
        if on_its_way or rows != locked.get(number, 0)
    }
    return [one for one in moves if one.contact not in stays]


def _moving(dialect: str) -> tuple[Statement, ...]:
    these = _these(dialect)
    each = [
        update(table)
        .values(partition=these.c.placed_in)
        .where(table.c.partition == these.c.partition, table.c.contact == these.c.contact)
        for table in OWNED
    ]
    whole = (
        update(contact)
        .values(
            partition=these.c.placed_in,
            made_in=func.coalesce(contact.c.made_in, contact.c.partition),
            belongs_in=null(),
        )
        .where(contact.c.partition == these.c.partition, contact.c.id == these.c.contact)
    )
    return tuple(map(Statement, (*each, whole)))


_MOVING = {dialect: _moving(dialect) for dialect in ("sqlite", "postgresql")}


def _move(connection: Connection, moves: Sequence[_Move]) -> None:
    if not moves:
        return
    for statement in _MOVING[connection.dialect.name]:
        statement.run(connection, listed=_text(moves))
    _write_down(connection, moves)
    _take_along_zones(connection, {(one.partition, one.placed_in) for one in moves})


_its_key = (placement.c.partition == bindparam("home"), placement.c.key == bindparam("its_key"))


def _write_down(connection: Connection, moves: Sequence[_Move]) -> None:
    """Where they are found from now on."""
    away = [one for one in moves if one.placed_in != one.home]
    back = [{"home": one.home, "its_key": one.key} for one in moves if one.placed_in == one.home]
    if back:
        connection.execute(delete(placement).where(*_its_key), back)
    if away:
        rows: list[Mapping[str, Any]] = [
            {"partition": one.home, "key": one.key, "placed_in": one.placed_in} for one in away
        ]
        written = upsert(connection, placement)
        changed = written.on_conflict_do_update(
            index_elements=["partition", "key"], set_={"placed_in": written.excluded.placed_in}
        )
        connection.execute(changed, rows)


def _take_along_zones(connection: Connection, pairs: Iterable[tuple[int, int]]) -> None:
    """Schedules that go by each contact's own clock know the zones in which somebody of a partition lives."""
    for partition, placed_in in sorted(pairs):
        columns = [each for each in firing.columns if each.name != "partition"]
        known = select(literal_column(str(placed_in)), *columns).where(
            firing.c.partition == partition, firing.c.zone != ""
        )
        connection.execute(
            insert_new(connection, firing).from_select(["partition", *(each.name for each in columns)], known)
        )

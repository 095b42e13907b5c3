"""What is done for all contacts of a pass at once, and fails, is done for all but those on whom it fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import BigInteger, Connection, Integer, bindparam, insert, select
from sqlalchemy.exc import DBAPIError

from runner.store.passes.told import telling, unstored
from runner.store.passes.working import PASS, in_pass, wave
from runner.store.people.contacts import Identity
from runner.store.statement import Statement

FIRST = -1_000_000
"""Passes of this kind are numbered from here down, away from those that handle events."""
MOST = 20
"""Contacts on whom something may fail before it is itself taken to be at fault, if they are the greater part."""

_CONTACTS = Statement(
    select(wave.c.partition, wave.c.contact).where(in_pass(wave)).order_by(wave.c.partition, wave.c.contact)
)
_PART = Statement(
    insert(wave).from_select(
        ["n", "partition", "contact", "at"],
        select(bindparam("part", type_=Integer()), wave.c.partition, wave.c.contact, wave.c.at).where(
            wave.c.n == PASS,
            wave.c.contact >= bindparam("first", type_=BigInteger()),
            wave.c.contact <= bindparam("last", type_=BigInteger()),
        ),
    )
)


def do_narrowly(
    connection: Connection, n: int, do: Callable[[int], None], *, proven: bool
) -> tuple[Identity, ...]:
    """``do`` for the contacts of pass ``n``, which are of one partition, and answer on whom it fails: they are taken by
    halves, until the failing ones are alone. ``do`` is given the number of a pass with those for whom to do it.

    Raises what it failed with where that is not about single contacts: where it fails on most of many, or, unless it is
    ``proven`` by now that it can be done for anybody, on all there are.
    """
    rows: Sequence[Identity] = [(row.partition, row.contact) for row in _CONTACTS.run(connection, n=n)]
    groups, failed, done, part = [rows] if rows else [], list[Identity](), 0, FIRST
    last: DBAPIError | None = None
    while groups:
        group, part, told = groups.pop(), part - 1, unstored(connection)
        try:
            with connection.begin_nested():
                _PART.run(connection, n=n, part=part, first=group[0][1], last=group[-1][1])
                do(part)
            done += len(group)
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            if unstored(connection) > told:
                telling(connection).take_back(unstored(connection) - told)
            if len(group) > 1:
                groups += [group[len(group) // 2 :], group[: len(group) // 2]]
                continue
            failed.append(group[0])
            last = error
            if len(failed) > max(MOST, done):
                raise
    if last is not None and not (done or proven):
        raise last
    return tuple(failed)

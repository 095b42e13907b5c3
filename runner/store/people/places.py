"""In which partition a contact lies: in that of its account's key if it has an account, else in that of its own key.

Whoever looks for a contact knows its key alone. So contacts that do not lie in the partition of their key have a row
in ``placement``, in that partition. A contact is moved (``moves.py``) while nobody who has found it by its key is about
to write something of it: those who do hold its key's partition still, by a lock that they share with each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from zlib import crc32

from sqlalchemy import ColumnElement, Connection, SmallInteger, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from runner.store.database import Deployment
from runner.store.tables import contact, placement

STILL = """
SELECT pg_advisory_xact_lock_shared(%(deployment)s, home)
FROM unnest(%(homes)s::integer[]) AS homes(home)"""
"""Keeps contacts with keys of these partitions where they are until the transaction ends. What reads where they lie
is a statement behind it: one that began before may not see what was moved meanwhile."""
_ALONE = """
SELECT pg_advisory_xact_lock(%(deployment)s, home)
FROM unnest(%(homes)s::integer[]) AS homes(home)"""


def still(deployment: Deployment, homes: Iterable[int]) -> dict[str, Any]:
    """The parameters of ``STILL``. Everybody locks in the same order."""
    return {"deployment": crc32(deployment.key.encode()) & 0x7FFFFFFF, "homes": sorted(set(homes))}


def hold_still(connection: Connection, deployment: Deployment, homes: Iterable[int]) -> None:
    """Wait for those who move contacts with keys of these partitions, and keep others from it until the transaction
    ends. SQLite has one writer at a time."""
    if connection.dialect.name == "postgresql" and deployment.partitions > 1:
        connection.exec_driver_sql(STILL, still(deployment, homes))


def hold_alone(connection: Connection, deployment: Deployment, homes: Iterable[int]) -> None:
    """The same for whoever moves them: wait for everybody who has found one of them."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_ALONE, still(deployment, homes))


def lies_in(home: ColumnElement[int], key: ColumnElement[str]) -> ColumnElement[int]:
    """The partition in which the contact ``key`` lies; ``home`` is that of its key."""
    placed = (
        select(placement.c.placed_in)
        .where(placement.c.partition == home, placement.c.key == key)
        .correlate_except(placement)
        .scalar_subquery()
    )
    return func.coalesce(placed, home)


class belongs_in(ColumnElement[int]):
    """The partition in which a contact with this account belongs; NULL where it lies there."""

    inherit_cache = False
    type = SmallInteger()

    def __init__(self, account: ColumnElement[str]) -> None:
        self.account_or_own: ColumnElement[str] = func.coalesce(account, contact.c.key)


_COUNT = "(SELECT partitions FROM deployment)"


@compiles(belongs_in)
def _on_sqlite(element: belongs_in, compiler: SQLCompiler, **kw: Any) -> str:
    key, lies = compiler.process(element.account_or_own, **kw), compiler.process(contact.c.partition, **kw)
    return f"nullif(journeys_partition({key}, {_COUNT}), {lies})"


@compiles(belongs_in, "postgresql")
def _on_postgresql(element: belongs_in, compiler: SQLCompiler, **kw: Any) -> str:
    digest = f"encode(sha256(convert_to({compiler.process(element.account_or_own, **kw)}, 'UTF8')), 'hex')"
    # Sixteen digits are a number without sign, which no integer of PostgreSQL holds: taken in two halves.
    high, low = (f"('x' || substr({digest}, {first}, 8))::bit(32)::bigint" for first in (1, 9))
    modulus = f"{_COUNT}::bigint"
    number = f"mod(mod({high}, {modulus}) * mod(4294967296, {modulus}) + mod({low}, {modulus}), {modulus})"
    return f"nullif({number}::smallint, {compiler.process(contact.c.partition, **kw)})"

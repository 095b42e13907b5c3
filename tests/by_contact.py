"""The rows of a table with the keys of the contacts whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, and_, select

from runner.store.tables import contact


def rows_with_key(connection: Connection, table: Table) -> Sequence[Row[Any]]:
    """All rows of ``table``, each with its contact's ``key``."""
    its = and_(contact.c.partition == table.c.partition, contact.c.id == table.c.contact)
    return connection.execute(select(contact.c.key, table).join(contact, its)).all()

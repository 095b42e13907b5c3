"""Contacts that have come to another account in a pass: what they do next is to be seen by their new colleagues."""

from __future__ import annotations

from sqlalchemy import Connection, delete, exists, literal_column

from runner.store.passes.program import WAVE_CONTACT
from runner.store.passes.working import in_pass, wave
from runner.store.statement import Statement
from runner.store.tables import contact

_LEAVE = Statement(
    delete(wave).where(
        in_pass(wave),
        exists(literal_column("1"))
        .select_from(contact)
        .where(WAVE_CONTACT, contact.c.belongs_in.is_not(None))
        .correlate(wave),
    )
)


def leave_misplaced(connection: Connection, n: int) -> int:
    """Let the contacts of pass ``n`` that are to be moved rest there: their next instant comes when they have been.
    Returns how many there are."""
    return _LEAVE.run(connection, n=n).rowcount

"""Those who share an account, where journeys look at colleagues: whoever has the earliest instant of them goes first.

Contacts are handled side by side, each at its own next instant, however far apart these are. What somebody sees of a
colleague would hang on how far the batch has brought that one. So all who share an account stand in the same batch,
their timers included, and those for whom a colleague has something earlier to do stay where they are for a pass.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    bindparam,
    insert,
    literal_column,
    null,
    select,
    tuple_,
    update,
)

from runner.store.held import held
from runner.store.passes.program import WAVE_CONTACT
from runner.store.passes.timeline import ACTIVE
from runner.store.passes.working import PASS, in_pass, wave
from runner.store.presence import is_there
from runner.store.statement import Statement
from runner.store.tables import contact, event, run
from runner.store.types import Instant

_BATCH = literal_column("0", Integer())
"""The number of the pass that holds who is of the batch."""
_mate = contact.alias("mate")
_shares_account = (_mate.c.partition == contact.c.partition) & (_mate.c.account == contact.c.account)


def _into_batch(
    partition: ColumnElement[int], number: ColumnElement[int], found: Select[tuple[()]]
) -> Statement:
    here = wave.alias("here")
    in_batch = is_there(here, here.c.n == _BATCH, here.c.partition == partition, here.c.contact == number)
    rows = found.add_columns(_BATCH, partition, number).where(~in_batch).distinct()
    return Statement(insert(wave).from_select(["n", "partition", "contact"], rows))


_due = (
    select(run.c.partition, run.c.contact)
    .where(
        held(run.c.partition),
        ACTIVE,
        run.c.next_at.is_not(None),
        run.c.next_at <= bindparam("now", type_=Instant()),
    )
    .order_by(run.c.next_at)
    .limit(bindparam("limit", type_=Integer()))
    .subquery("due")
)
_WITH_TIMERS = _into_batch(_due.c.partition, _due.c.contact, select().select_from(_due))
_COLLEAGUES = _into_batch(
    _mate.c.partition,
    _mate.c.id,
    select()
    .select_from(wave.join(contact, WAVE_CONTACT).join(_mate, _shares_account))
    .where(wave.c.n == _BATCH, held(wave.c.partition)),
)


def bring_colleagues(connection: Connection, now: datetime, size: int) -> int:
    """Put into pass 0 up to ``size`` contacts with a timer that is due, and all who share an account with somebody
    there. Served by ix_run_due and ix_contact_account. Returns how many there are with a timer."""
    found = _WITH_TIMERS.run(connection, now=now, limit=size).rowcount
    _COLLEAGUES.run(connection)
    return found


_mine, _theirs = wave.alias("mine"), wave.alias("theirs")
_LATER = (
    _mine.join(contact, (contact.c.partition == _mine.c.partition) & (contact.c.id == _mine.c.contact))
    .join(_mate, _shares_account)
    .join(
        _theirs,
        (_theirs.c.n == _mine.c.n)
        & (_theirs.c.partition == _mate.c.partition)
        & (_theirs.c.contact == _mate.c.id)
        & (_theirs.c.at < _mine.c.at),
    )
)
_OF_PASS = (_mine.c.n == PASS) & held(_mine.c.partition)
# What the pass has told is stored as handled.
_NOT_YET_PAST = Statement(
    update(event)
    .values(pending=literal_column("true"))
    .where(
        tuple_(event.c.partition, event.c.contact, event.c.id).in_(
            select(_mine.c.partition, _mine.c.contact, _mine.c.event)
            .select_from(_LATER)
            .where(_OF_PASS, _mine.c.past.is_not(None))
        )
    )
)
_STAY = Statement(
    update(wave)
    .values(at=null(), event=null(), name=null(), nth=null(), past=null())
    .where(
        in_pass(wave),
        tuple_(wave.c.partition, wave.c.contact).in_(
            select(_mine.c.partition, _mine.c.contact).select_from(_LATER).where(_OF_PASS)
        ),
    )
)


def hold_back(connection: Connection, n: int) -> None:
    """Let those of pass ``n`` stay where they are for whom a colleague has something earlier to do."""
    _NOT_YET_PAST.run(connection, n=n)
    _STAY.run(connection, n=n)

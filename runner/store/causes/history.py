"""Contacts whose history was imported: what that changes starts nothing.

An import writes history beside the timeline. So before the next event of such a contact is handled, its segments are
read once in silence; an appointment sees to it that this is soon.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import (
    Connection,
    Integer,
    and_,
    bindparam,
    delete,
    exists,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from runner.store.causes.appointments import ANY, Kind
from runner.store.causes.segments import begin_segment
from runner.store.causes.stale import watch_age
from runner.store.causes.watched import Watched
from runner.store.insert import upsert
from runner.store.passes.working import PASS, in_pass, wave
from runner.store.statement import Statement
from runner.store.tables import appointing, appointment, begun, event, firing

FIRST = -2_000_000
"""Passes of this kind are numbered from here up, away from those that handle events."""

_its_mark = and_(
    appointment.c.partition == wave.c.partition,
    appointment.c.contact == wave.c.contact,
    appointment.c.kind == literal_column(f"'{Kind.SEGMENT.value}'"),
    appointment.c.name == literal_column(f"'{ANY}'"),
)
_MARKED = Statement(
    insert(wave).from_select(
        ["n", "partition", "contact", "at"],
        select(PASS + literal_column(str(FIRST), Integer()), wave.c.partition, wave.c.contact, wave.c.at)
        .select_from(wave.join(appointment, _its_mark))
        .where(in_pass(wave), wave.c.event.is_not(None)),
    )
)
_READ = Statement(
    delete(appointment).where(
        in_pass(wave),
        _its_mark,
    )
)
_READ_ON_SQLITE = Statement(
    delete(appointment).where(
        literal_column("appointment.rowid").in_(
            select(literal_column("appointment.rowid"))
            .select_from(wave.join(appointment, _its_mark))
            .where(in_pass(wave))
        )
    )
)


_SILENCED = (
    update(event)
    .values(silent=True)
    .where(
        event.c.partition == bindparam("its_partition"),
        event.c.contact == bindparam("its_contact"),
        event.c.dedup_key == bindparam("its_key"),
        event.c.pending,
    )
)


def begin_after_history(connection: Connection, n: int, watched: Watched) -> None:
    """Read segments, and the age of consents, in silence for those contacts of pass ``n`` whose history was imported
    since they were read last. The events of the pass have not been handled yet."""
    if not _MARKED.run(connection, n=n).rowcount:
        return
    for kept in watched.segments:
        begin_segment(connection, FIRST + n, kept, newcomers=True)
    watch_age(connection, FIRST + n, watched.stale)
    remove = _READ if connection.dialect.name == "postgresql" else _READ_ON_SQLITE
    remove.run(connection, n=n)


def history_came(
    connection: Connection,
    identities: Iterable[tuple[int, int]],
    waiting: Sequence[tuple[int, int, str]],
    at: datetime,
) -> None:
    """History of these contacts (partition and id) has been stored beside the timeline, at ``at``. What of it takes its
    turn there (partition, contact and key) will tell nobody what it changes."""
    if waiting:
        names = ("its_partition", "its_contact", "its_key")
        connection.execute(_SILENCED, [dict(zip(names, one, strict=True)) for one in waiting])
    if _is_watched(connection):
        rows = [
            {
                "partition": partition,
                "contact": number,
                "kind": Kind.SEGMENT.value,
                "name": ANY,
                "due_at": at,
                "properties": {},
            }
            for partition, number in sorted(set(identities))
        ]
        if rows:
            marked = upsert(connection, appointment)
            over = and_(appointment.c.due_at.is_(None), appointment.c.told_at.is_(None))
            connection.execute(
                marked.on_conflict_do_update(
                    index_elements=["partition", "contact", "kind", "name"],
                    set_={"due_at": marked.excluded.due_at},
                    where=over,
                ),
                rows,
            )


def _is_watched(connection: Connection) -> bool:
    """Whether anything hangs on the state of contacts: on segments and consents, dates, or zones."""
    asked = (
        select(begun.c.name),
        select(appointing.c.name),
        select(firing.c.zone).where(firing.c.next_at.is_(None)),
    )
    return bool(connection.execute(select(or_(*map(exists, asked)))).scalar())

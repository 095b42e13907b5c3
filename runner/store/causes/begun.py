"""Looking at all contacts of a partition once: who is in a segment that is kept from now on, and who enters a journey
because its trigger holds already.

It is done in a tick, under the partition's lock, before any event of the partition is handled. So a change that an
event brings is told as a change, however soon after an ``apply`` it comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from sqlalchemy import (
    Connection,
    Integer,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
)

from runner.store.causes.existing import enter_existing
from runner.store.causes.segments import begin_segment
from runner.store.causes.stale import watch_age
from runner.store.causes.watched import Watched
from runner.store.insert import insert_new
from runner.store.passes.narrowed import do_narrowly
from runner.store.passes.working import PASS, wave
from runner.store.people.contacts import Identity
from runner.store.statement import Statement
from runner.store.tables import begun, contact, event, shard
from runner.store.types import Instant

_now = bindparam("now", type_=Instant())


def partitions_to_begin(connection: Connection, watched: Watched) -> tuple[int, ...]:
    """The partitions in which something of what is watched has not been looked at yet."""
    names = watched.begun
    if not names:
        return ()
    there = (
        select(func.count())
        .select_from(begun)
        .where(begun.c.partition == shard.c.partition, begun.c.name.in_(names))
        .scalar_subquery()
    )
    query = select(shard.c.partition).where(there < len(names)).order_by(shard.c.partition)
    return tuple(connection.execute(query).scalars())


def give_up_watching(connection: Connection, watched: Watched) -> None:
    """Forget what is watched no longer, when journeys are applied. What is kept again later is looked at anew: in
    between nobody has written down who came and went. Who entered since a trigger held already has entered for good."""
    connection.execute(
        delete(begun).where(begun.c.name.not_like("existing:%"), begun.c.name.not_in(watched.begun))
    )


def _everybody() -> Statement:
    """All contacts of the partitions that lack something: as of their first event that waits, else of the first of all
    where nothing is late, else of now."""
    waiting = event.alias("waiting")
    own = (
        select(func.min(waiting.c.at))
        .where(
            waiting.c.partition == contact.c.partition,
            waiting.c.contact == contact.c.id,
            waiting.c.pending,
            waiting.c.at <= _now,
        )
        .scalar_subquery()
    )
    return Statement(
        insert(wave).from_select(
            ["n", "partition", "contact", "at"],
            select(
                PASS,
                contact.c.partition,
                contact.c.id,
                func.coalesce(own, bindparam("beginning", type_=Instant()), type_=Instant()),
            ).where(contact.c.partition == bindparam("partition", type_=Integer())),
        )
    )


_EVERYBODY = _everybody()


def begin_watching(
    connection: Connection,
    partitions: Sequence[int],
    watched: Watched,
    now: datetime,
    *,
    exact: bool,
    narrowly: bool = False,
) -> tuple[Identity, ...]:
    """Look once at all contacts of ``partitions``, which are held, for what is watched and was not looked at there.

    ``exact``: in virtual time everybody is looked at as of the first event that is to come. ``narrowly``: those on whom
    it fails are passed over, and answered: until an event at which they are looked at again nothing holds for them.
    """
    passed_over: list[Identity] = []
    done = {
        (partition, name)
        for partition, name in connection.execute(
            select(begun.c.partition, begun.c.name).where(
                begun.c.partition.in_(partitions), begun.c.name.in_(watched.begun)
            )
        )
    }
    for place, partition in enumerate(partitions):
        lacking = Watched(
            segments=tuple(each for each in watched.segments if (partition, each.begun) not in done),
            existing=tuple(each for each in watched.existing if (partition, each.begun) not in done),
            stale=tuple(each for each in watched.stale if (partition, each.begun) not in done),
        )
        if not lacking.begun:
            continue
        n, look = FIRST - place, partial(_look, connection, lacking)
        beginning = _first_to_come(connection, now) if exact else now
        _EVERYBODY.run(connection, n=n, partition=partition, now=now, beginning=beginning)
        if narrowly:
            proven = _looked_at_elsewhere(connection, partition, lacking.begun)
            passed_over += do_narrowly(connection, n, look, proven=proven)
        else:
            look(n)
        rows = [{"partition": partition, "name": name, "since": now} for name in lacking.begun]
        connection.execute(insert_new(connection, begun), rows)
    return tuple(passed_over)


def _look(connection: Connection, watched: Watched, n: int) -> None:
    """Look at the contacts of pass ``n`` for all that is watched."""
    for kept in watched.segments:
        begin_segment(connection, n, kept, newcomers=watched.enters_existing(kept))
    for each in watched.existing:
        enter_existing(connection, n, each)
    watch_age(connection, n, watched.stale)


def _looked_at_elsewhere(connection: Connection, partition: int, names: Sequence[str]) -> bool:
    """Whether somebody in another partition has been looked at for one of ``names``."""
    other = select(contact.c.id).where(contact.c.partition == begun.c.partition)
    query = exists().where(begun.c.name.in_(names), begun.c.partition != partition, exists(other))
    return bool(connection.execute(select(query)).scalar())


FIRST = -1_000
"""Passes of this kind are numbered from here down, away from those that handle events."""


def _first_to_come(connection: Connection, now: datetime) -> datetime:
    found = connection.execute(
        select(func.min(event.c.at)).where(event.c.pending, event.c.at <= now)
    ).scalar()
    return found or now

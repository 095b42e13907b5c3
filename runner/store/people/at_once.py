"""What history does to its contacts when it is stored: traits, consents and feedback, which no tick handles."""

from __future__ import annotations

from collections.abc import Sequence, Set
from datetime import datetime

from sqlalchemy import Connection, and_, exists, or_, select

from runner.journey.catalog import CONSENT_GRANTED, CONSENT_WITHDRAWN, EVERY_CHANNEL, IDENTIFIED
from runner.store.causes.feedback import FEEDBACK, heed_history
from runner.store.listed import listed, rows_text
from runner.store.people.arrival import Arrival
from runner.store.people.contacts import ConsentChange, Identity, apply_consents, apply_traits
from runner.store.statement import Statement
from runner.store.tables import ConsentState, RunStatus, event, run, shard
from runner.store.types import constant

_CONSENT_STATES = {CONSENT_GRANTED: ConsentState.GIVEN, CONSENT_WITHDRAWN: ConsentState.WITHDRAWN}

Of = tuple[Identity, Arrival]
"""An arrival, and whose it is."""


def changes_contact(arrival: Arrival) -> bool:
    """Whether ``arrival``, as history, does something to its contact."""
    return arrival.name == IDENTIFIED or arrival.name in _CONSENT_STATES or arrival.name in FEEDBACK


def look_before(connection: Connection, arrivals: Sequence[Of]) -> tuple[set[Identity], list[Of]]:
    """Hold the partitions of those whom ``arrivals`` change, and look at them before the arrivals are stored.

    Answers whose traits take their turn, since they stand in a journey or have events to be handled; and which arrivals
    are new, each once."""
    _keep_ticks_out(connection, {partition for (partition, _), _ in arrivals})
    identified = {identity for identity, arrival in arrivals if arrival.name == IDENTIFIED}
    return _in_motion(connection, identified), _not_there_yet(connection, arrivals)


def _keep_ticks_out(connection: Connection, partitions: set[int]) -> None:
    """Keep everybody else out of the partitions whose contacts are changed here."""
    connection.execute(
        select(shard.c.partition)
        .where(shard.c.partition.in_(sorted(partitions)))
        .order_by(shard.c.partition)
        .with_for_update()
    ).all()


def _asking_motion(dialect: str) -> Statement:
    one = listed(dialect, "partition", "contact")
    stands = select(run.c.id).where(
        run.c.partition == one.c.partition,
        run.c.contact == one.c.contact,
        run.c.status == constant(RunStatus.ACTIVE.value),
    )
    to_handle = select(event.c.id).where(
        event.c.partition == one.c.partition, event.c.contact == one.c.contact, event.c.pending
    )
    return Statement(select(one.c.partition, one.c.contact).where(or_(exists(stands), exists(to_handle))))


def _asking_presence(dialect: str) -> Statement:
    one = listed(dialect, "partition", "contact", "dedup_key")
    its_key = [event.c[name] == one.c[name] for name in ("partition", "contact", "dedup_key")]
    return Statement(
        select(event.c.partition, event.c.contact, event.c.dedup_key).select_from(
            one.join(event, and_(*its_key))
        )
    )


_IN_MOTION = {dialect: _asking_motion(dialect) for dialect in ("sqlite", "postgresql")}
_PRESENT = {dialect: _asking_presence(dialect) for dialect in ("sqlite", "postgresql")}


def _in_motion(connection: Connection, asked: set[Identity]) -> set[Identity]:
    """Those of the contacts with an active run (``uq_run_active``) or an event to handle
    (``ix_event_timeline``)."""
    text = rows_text(("partition", "contact"), sorted(asked))
    rows = _IN_MOTION[connection.dialect.name].run(connection, listed=text)
    return {(partition, number) for partition, number in rows}


def _not_there_yet(connection: Connection, arrivals: Sequence[Of]) -> list[Of]:
    """The arrivals that are not stored yet, each once (``uq_event_partition_contact_dedup_key``)."""
    keys = {(*identity, arrival.dedup_key): (identity, arrival) for identity, arrival in reversed(arrivals)}
    text = rows_text(("partition", "contact", "dedup_key"), keys)
    for row in _PRESENT[connection.dialect.name].run(connection, listed=text):
        del keys[tuple(row)]
    return list(reversed(keys.values()))


def apply_at_once(
    connection: Connection,
    fresh: Sequence[Of],
    in_motion: Set[Identity],
    received_at: datetime | None,
) -> None:
    """Do at once what new history does to contacts, in order of time, then of arrival."""
    ordered = sorted(fresh, key=lambda item: min(item[1].at, received_at or item[1].at))
    apply_traits(
        connection,
        [
            (identity, arrival.properties)
            for identity, arrival in ordered
            if arrival.name == IDENTIFIED and identity not in in_motion
        ],
    )
    # By now the addresses are there.
    feedback = [(*identity, arrival.dedup_key) for identity, arrival in ordered if arrival.name in FEEDBACK]
    withdrawn = heed_history(connection, feedback)
    apply_consents(
        connection,
        [
            ConsentChange(
                contact=identity,
                topic=arrival.properties["topic"],
                channel=arrival.properties.get("channel") or EVERY_CHANNEL,
                state=_CONSENT_STATES[arrival.name],
                at=min(arrival.at, received_at or arrival.at),
                source=arrival.properties.get("source"),
                wording=arrival.properties.get("wording"),
            )
            for identity, arrival in ordered
            if arrival.name in _CONSENT_STATES and arrival.properties.get("topic")
        ]
        + withdrawn,
    )

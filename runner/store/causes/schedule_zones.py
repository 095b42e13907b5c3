"""The zones in which a schedule fires that goes by each contact's own clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection, Text, bindparam, func, literal_column, select

from runner.store.held import held
from runner.store.insert import insert_new
from runner.store.local_time.wall_clock import Firing
from runner.store.passes.program import WAVE_CONTACT
from runner.store.passes.working import in_pass, wave
from runner.store.statement import Statement
from runner.store.tables import contact, firing
from runner.store.types import ByCodePoint, Instant, from_microseconds, microseconds_of


def plan_in_zone(
    connection: Connection, partition: int, cause: str, zone: str, since: datetime, upcoming: Firing | None
) -> None:
    """Write down when a schedule fires next in a zone that it does not know in this partition yet; None is never."""
    connection.execute(
        insert_new(connection, firing),
        {
            "partition": partition,
            "cause": cause,
            "zone": zone,
            "since": since,
            "next_at": upcoming.at if upcoming else None,
            "nominal": upcoming.nominal if upcoming else None,
            "reached": 0,
        },
    )


def zones_of_partition(connection: Connection, partition: int) -> tuple[str | None, ...]:
    """The zones in which the contacts of a partition live, from one to the next in ix_contact_timezone; None where
    somebody has none."""
    found: list[str | None] = []
    lives = select(contact.c.timezone).where(contact.c.partition == partition)
    if connection.execute(lives.where(contact.c.timezone.is_(None)).limit(1)).first() is not None:
        found.append(None)
    zone = ""
    while True:
        following = lives.where(contact.c.timezone > zone).order_by(contact.c.timezone).limit(1)
        name = connection.execute(following).scalar()
        if name is None:
            return tuple(found)
        found.append(name)
        zone = name


def _zones_of_pass(names: Iterable[str]) -> Statement:
    zone = func.coalesce(contact.c.timezone, bindparam("timezone", type_=ByCodePoint()))
    return Statement(
        select(wave.c.partition, zone, microseconds_of(func.min(wave.c.at, type_=Instant())))
        .select_from(wave.join(contact, WAVE_CONTACT))
        .where(in_pass(wave), wave.c.name.in_([literal_column(f"'{name}'") for name in names]))
        .group_by(wave.c.partition, zone)
    )


_ZONES_OF_PASS: dict[frozenset[str], Statement] = {}


def zones_of_pass(
    connection: Connection, n: int, names: frozenset[str], timezone: str
) -> tuple[tuple[int, str, datetime], ...]:
    """Partition, zone and earliest instant of the contacts that have one of these events in pass ``n``."""
    statement = _ZONES_OF_PASS.setdefault(names, _zones_of_pass(sorted(names)))
    rows = statement.run(connection, n=n, timezone=timezone)
    return tuple((partition, zone, from_microseconds(at)) for partition, zone, at in rows)


_KNOWN_ZONES = Statement(
    select(firing.c.partition, firing.c.zone, microseconds_of(firing.c.since)).where(
        held(firing.c.partition), firing.c.cause == bindparam("cause", type_=Text())
    )
)


def zones_of_schedule(connection: Connection, cause: str) -> Mapping[tuple[int, str], datetime]:
    """Since when a schedule fires, by partition and zone, in the partitions that are held."""
    rows = _KNOWN_ZONES.run(connection, cause=cause)
    return {(partition, zone): from_microseconds(since) for partition, zone, since in rows}

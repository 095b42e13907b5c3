"""What time, segments and broadcasts remember, so that each of them causes what it causes once."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    SmallInteger,
    Table,
    UniqueConstraint,
    text,
)

from runner.store.tables.base import metadata
from runner.store.types import ByCodePoint, Instant, Json

membership = Table(
    "membership",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("segment", ByCodePoint, primary_key=True),
    Column("since", Instant, nullable=False),
    Column("inside", Boolean, nullable=False, comment="false for one who has left"),
    comment="Who is in a segment that a journey is triggered by.",
)

begun = Table(
    "begun",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("name", ByCodePoint, primary_key=True, comment="segment:KEY, existing:JOURNEY:KEY"),
    Column("since", Instant, nullable=False),
    comment="What has been looked at once for all contacts of a partition.",
)

appointment = Table(
    "appointment",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", ByCodePoint, primary_key=True),
    Column("name", ByCodePoint, primary_key=True, comment="of the journey, the segment, the topic"),
    Column(
        "due_at", Instant, comment="when it becomes an event; NULL where it has, or where nothing is to come"
    ),
    Column("told_at", Instant, comment="the due_at of the event that waits to be handled"),
    Column("properties", Json, nullable=False, comment="of the event that it becomes"),
    comment="When time alone next concerns a contact, outside of any run.",
)
# In the order in which appointments become events: what is due first, contact by contact.
Index(
    "ix_appointment_due",
    appointment.c.partition,
    appointment.c.due_at,
    appointment.c.contact,
    appointment.c.kind,
    appointment.c.name,
    postgresql_where=text("due_at IS NOT NULL"),
    sqlite_where=text("due_at IS NOT NULL"),
)

appointing = Table(
    "appointing",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("kind", ByCodePoint, primary_key=True),
    Column("name", ByCodePoint, primary_key=True),
    Column("since", Instant, nullable=False, comment="appointments are those that come after this instant"),
    Column(
        "reached",
        BigInteger,
        comment="the last contact that has been looked at; NULL once that was everybody",
    ),
    comment="What appointments there are, and for whom in a partition they are still to be made.",
)

firing = Table(
    "firing",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("cause", ByCodePoint, primary_key=True, comment="the journey, and when it is to fire"),
    Column("zone", ByCodePoint, primary_key=True, comment="empty where the schedule has a zone of its own"),
    Column("since", Instant, nullable=False, comment="it fires for what comes after this instant"),
    Column(
        "next_at", Instant, comment="when it fires next, or is to be looked at; NULL where it never is again"
    ),
    Column(
        "nominal",
        ByCodePoint,
        comment="the local time that it then fires for; NULL where it is to be looked at",
    ),
    Column("reached", BigInteger, nullable=False, comment="the last contact for whom it has fired then"),
    comment="How far the schedule of a journey has come in a partition.",
)
Index("ix_firing_next", firing.c.partition, firing.c.next_at)

broadcast = Table(
    "broadcast",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("name", ByCodePoint, nullable=False),
    Column("at", Instant, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("properties", Json, nullable=False),
    Column("undeclared", Json),
    Column("dedup_key", ByCodePoint, nullable=False),
    Column("open", Boolean, nullable=False, comment="whether a partition has yet to hear it"),
    UniqueConstraint("dedup_key"),
    comment="Events that belong to nobody, and that whoever waits for them hears.",
)
Index("ix_broadcast_open", broadcast.c.at, postgresql_where=text("open"), sqlite_where=text("open = 1"))

broadcast_heard = Table(
    "broadcast_heard",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("broadcast", BigInteger, primary_key=True, autoincrement=False),
    comment="Broadcasts that have reached the contacts of a partition.",
)

broadcast_hearing = Table(
    "broadcast_hearing",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("broadcast", BigInteger, primary_key=True, autoincrement=False),
    Column(
        "last",
        BigInteger,
        nullable=False,
        comment="the last contact that was there when the partition began to hear it",
    ),
    Column("reached", BigInteger, nullable=False, comment="the last contact that was looked at"),
    Column(
        "portion",
        BigInteger,
        nullable=False,
        comment="while they are looked at, the last contact of those that are next",
    ),
    comment="Broadcasts that a partition is hearing, and how far they have come there.",
)

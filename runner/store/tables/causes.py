"""What time, segments and broadcasts remember, so that each of them causes what it causes once."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    SmallInteger,
    Table,
    UniqueConstraint,
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
    comment="Who is in a segment that a journey is triggered by.",
)

appointment = Table(
    "appointment",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", ByCodePoint, primary_key=True),
    Column("name", ByCodePoint, primary_key=True, comment="of the journey, the segment, the topic"),
    Column("due_at", Instant, nullable=False),
    comment="When time alone next concerns a contact, outside of any run.",
)
Index("ix_appointment_due", appointment.c.partition, appointment.c.due_at)

firing = Table(
    "firing",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("journey", ByCodePoint, primary_key=True),
    Column("zone", ByCodePoint, primary_key=True, comment="empty where the schedule has a zone of its own"),
    Column("fired_until", Instant, nullable=False, comment="firings up to this instant have been handled"),
    comment="How far the schedule of a journey has come in a partition.",
)

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
    UniqueConstraint("dedup_key"),
    comment="Events that belong to nobody, and that whoever waits for them hears.",
)

broadcast_heard = Table(
    "broadcast_heard",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("broadcast", BigInteger, primary_key=True, autoincrement=False),
    comment="Broadcasts that have reached the contacts of a partition.",
)

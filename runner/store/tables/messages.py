"""The outbox, which is the send ledger, and what messages led to."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    SmallInteger,
    Table,
    UniqueConstraint,
    text,
)

from runner.store.tables.base import metadata, one_of
from runner.store.tables.status import MessageKind, MessageStatus
from runner.store.types import ByCodePoint, Instant, Json

message = Table(
    "message",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("run", BigInteger, primary_key=True, autoincrement=False),
    Column("step", ByCodePoint, primary_key=True),
    Column("visit", SmallInteger, primary_key=True, autoincrement=False),
    Column("journey", ByCodePoint, nullable=False),
    Column("version", Integer, nullable=False),
    Column("channel", ByCodePoint, nullable=False),
    Column("topic", ByCodePoint, nullable=False),
    Column("status", ByCodePoint, nullable=False),
    Column("reason", ByCodePoint),
    Column("let_go_at", Instant, nullable=False, comment="when policy decided, either way"),
    Column("expires_at", Instant, nullable=False, comment="blocked as expired where not handed over before"),
    Column("attempts", SmallInteger, nullable=False),
    Column("available_at", Instant, comment="while ready: not to be handed over before"),
    Column("lease_until", Instant, comment="while claimed or sending"),
    Column("sent_at", Instant),
    Column("provider_id", ByCodePoint),
    Column("kind", ByCodePoint, nullable=False, server_default=MessageKind.MESSAGE.value),
    Column("template", ByCodePoint, comment="where it is not the step's only one"),
    Column("payload", Json, comment="of what is no message to the contact: what is handed over"),
    one_of("status", MessageStatus),
    one_of("kind", MessageKind),
    CheckConstraint("(status = 'ready') = (available_at IS NOT NULL)", name="available_when_ready"),
    CheckConstraint(
        "(status IN ('claimed', 'sending')) = (lease_until IS NOT NULL)", name="leased_when_held"
    ),
    CheckConstraint("(status = 'sent') = (sent_at IS NOT NULL)", name="sent_at_when_sent"),
    comment="The outbox and the send ledger: one row a (run, step, visit), written before anything is sent.",
)
Index(
    "ix_message_ready",
    message.c.available_at,
    postgresql_where=text("status = 'ready'"),
    sqlite_where=text("status = 'ready'"),
)
Index(
    "ix_message_held",
    message.c.lease_until,
    postgresql_where=text("lease_until IS NOT NULL"),
    sqlite_where=text("lease_until IS NOT NULL"),
)
Index(
    "ix_message_unknown",
    message.c.let_go_at,
    postgresql_where=text("status = 'unknown'"),
    sqlite_where=text("status = 'unknown'"),
)

Index("ix_message_let_go", message.c.partition, message.c.contact, message.c.let_go_at)

address_use = Table(
    "address_use",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("address", ByCodePoint, primary_key=True, comment="its SHA-256, with channel and deployment"),
    Column("journey", ByCodePoint, primary_key=True),
    Column("nth", SmallInteger, primary_key=True, autoincrement=False),
    Column("message", ByCodePoint, nullable=False, comment="the message that has the place"),
    UniqueConstraint("partition", "address", "journey", "message"),
    comment="Messages of sends with `per_address`, in the partition of their address.",
)

conversion = Table(
    "conversion",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("run", BigInteger, primary_key=True, autoincrement=False),
    Column("event", BigInteger, primary_key=True, autoincrement=False),
    Column("journey", ByCodePoint, nullable=False),
    Column("step", ByCodePoint, nullable=False, comment="the last message before it"),
    Column("at", Instant, nullable=False),
    Column("value", BigInteger, comment="millionths"),
    comment="A goal reached within its window.",
)

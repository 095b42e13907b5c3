"""The small tables that belong to no contact."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    UniqueConstraint,
    text,
)

from runner.store.tables.base import metadata, one_of
from runner.store.tables.status import JourneyState
from runner.store.types import ByCodePoint, Instant, Json

deployment = Table(
    "deployment",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("key", ByCodePoint, nullable=False, comment="random; part of every idempotency key"),
    Column("partitions", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column(
        "oldest_software",
        ByCodePoint,
        nullable=False,
        server_default="0001",
        comment="the newest schema revision that software must know to run here",
    ),
    CheckConstraint("id = 1", name="one_row"),
    comment="One row: what was fixed when the database was made.",
)

shard = Table(
    "shard",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    comment="One row a partition, to lock.",
)

journey_version = Table(
    "journey_version",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("journey", ByCodePoint, nullable=False),
    Column("hash", ByCodePoint, nullable=False),
    Column("files", Json, nullable=False, comment="path -> text: all that the version was compiled from"),
    Column("applied_at", Instant, nullable=False),
    Column("author", ByCodePoint),
    Column("git_commit", ByCodePoint),
    UniqueConstraint("journey", "hash"),
)

journey = Table(
    "journey",
    metadata,
    Column("name", ByCodePoint, primary_key=True),
    Column("version", Integer, ForeignKey("journey_version.id"), nullable=False),
    Column(
        "since",
        Instant,
        nullable=False,
        comment="its first apply; what is received from then on enters it",
    ),
    Column("state", ByCodePoint, nullable=False),
    Column(
        "resumed_at",
        Instant,
        comment="the end of its last pause; what was received before enters it no more",
    ),
    Column("renames", Json, comment="by a former id of a step, the one that followed it; NULL: not known"),
    one_of("state", JourneyState),
    comment="The version of each journey that contacts enter.",
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("who", ByCodePoint, nullable=False),
    Column("what", ByCodePoint, nullable=False),
    Column("detail", Json),
)

zone_offset = Table(
    "zone_offset",
    metadata,
    Column("zone", ByCodePoint, primary_key=True),
    Column("begins", BigInteger, primary_key=True, autoincrement=False, comment="µs since 1970, UTC"),
    Column("offset", BigInteger, nullable=False, comment="µs: local = UTC + offset"),
    Column("earliest", BigInteger, nullable=False, comment="`begins` on the wall clock of before, local µs"),
    comment="From `begins` until the next row's, the zone's local time is UTC plus `offset`.",
)

zone_local = Table(
    "zone_local",
    metadata,
    Column("zone", ByCodePoint, primary_key=True),
    Column("begins", BigInteger, primary_key=True, autoincrement=False, comment="local µs since 1970"),
    Column("offset", BigInteger, comment="µs: UTC = local - offset; NULL in a gap"),
    Column("instant", BigInteger, comment="in a gap: the next valid instant, µs since 1970, UTC"),
    comment="From local time `begins` until the next row's: how it is read as an instant (the first of two).",
)

pool_value = Table(
    "pool_value",
    metadata,
    Column("pool", ByCodePoint, primary_key=True),
    Column("value", ByCodePoint, primary_key=True),
    Column("position", BigInteger, nullable=False, comment="values are drawn in this order"),
    Column("partition", SmallInteger, comment="of the contact that it was drawn for; NULL while it is free"),
    Column("contact", BigInteger),
    Column("run", BigInteger),
    Column("step", ByCodePoint),
    Column("taken_at", Instant),
    Column(
        "settled",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="its message has left: it never comes back",
    ),
    comment="Coupon codes and the like: each is given to one run.",
)
Index(
    "ix_pool_value_free",
    pool_value.c.pool,
    pool_value.c.position,
    postgresql_where=text("partition IS NULL"),
    sqlite_where=text("partition IS NULL"),
)
Index(
    "ix_pool_value_taken",
    pool_value.c.partition,
    pool_value.c.contact,
    pool_value.c.run,
    postgresql_where=text("partition IS NOT NULL"),
    sqlite_where=text("partition IS NOT NULL"),
)
Index(
    "ix_pool_value_unsettled",
    pool_value.c.pool,
    postgresql_where=text("partition IS NOT NULL AND NOT settled"),
    sqlite_where=text("partition IS NOT NULL AND NOT settled"),
)

rate_use = Table(
    "rate_use",
    metadata,
    Column("journey", ByCodePoint, primary_key=True),
    Column("step", ByCodePoint, primary_key=True),
    Column("at", Instant, primary_key=True),
    Column("used", Integer, nullable=False),
    comment="How many messages a send with a `rate` has let go at an instant.",
)

experiment = Table(
    "experiment",
    metadata,
    Column("journey", ByCodePoint, primary_key=True),
    Column("step", ByCodePoint, primary_key=True),
    Column("cell", ByCodePoint, primary_key=True, comment="the values of `by`; empty where there are none"),
    Column("arm", ByCodePoint, primary_key=True),
    Column("begins", Integer, nullable=False, comment="its parts of ten thousand: from here"),
    Column("ends", Integer, nullable=False, comment="up to here, this one not included"),
    Column("contacts", BigInteger, nullable=False, comment="that were given the arm"),
    Column("reached", BigInteger, nullable=False, comment="of them, those who reached the goal"),
    Column("unsubscribed", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    comment="How the arms of an experiment do, and the shares that newcomers are given them by.",
)

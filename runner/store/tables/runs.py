"""Where contacts stand in journeys, and how they came there."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
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
from runner.store.tables.status import RunStatus
from runner.store.types import ByCodePoint, Instant, Json

run = Table(
    "run",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("journey", ByCodePoint, nullable=False),
    Column("version", Integer, nullable=False),
    Column("per", ByCodePoint, nullable=False, comment="the value of entry.per; empty where there is none"),
    Column("entry_key", ByCodePoint, nullable=False, comment="what started it: one entry a cause"),
    Column("status", ByCodePoint, nullable=False),
    Column("reason", ByCodePoint, comment="why it ended"),
    Column("step", ByCodePoint, comment="where it stands"),
    Column("node", SmallInteger, comment="the step's place in its program"),
    Column("arrived_at", Instant, nullable=False, comment="since when it stands there"),
    Column("due_at", Instant, comment="when its wait ends by itself"),
    Column("review_at", Instant, comment="when time alone may turn one of its exit conditions"),
    Column("next_at", Instant, comment="the earlier of due_at and review_at: its place on the timeline"),
    Column("entered_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("trigger", Json, nullable=False, comment="properties of the event that started it"),
    Column("data", Json, nullable=False, comment="run.NAME"),
    Column(
        "held_out",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="measured, and sent nothing",
    ),
    Column("deferred", ByCodePoint, comment="why policy lets it stand at its send"),
    Column(
        "visit", SmallInteger, nullable=False, server_default=text("1"), comment="beyond 1 after a snooze"
    ),
    Column("cause", BigInteger, comment="the event that started it; NULL in older runs"),
    Column(
        "leaves_by",
        ByCodePoint,
        comment="the outcome by which it leaves its step once its journey, which was paused, lets it",
    ),
    Column(
        "carried",
        SmallInteger,
        nullable=False,
        server_default=text("0"),
        comment="how often it was carried over into another version",
    ),
    UniqueConstraint("partition", "contact", "journey", "entry_key"),
    one_of("status", RunStatus),
    CheckConstraint("(status = 'active') = (ended_at IS NULL)", name="ended_when_not_active"),
    CheckConstraint("(status = 'active') = (step IS NOT NULL)", name="stands_when_active"),
    CheckConstraint("status = 'active' OR next_at IS NULL", name="no_timer_when_ended"),
)
Index(
    "uq_run_active",
    run.c.partition,
    run.c.contact,
    run.c.journey,
    run.c.per,
    unique=True,
    postgresql_where=text("status = 'active'"),
    sqlite_where=text("status = 'active'"),
)
Index(
    "ix_run_due",
    run.c.partition,
    run.c.next_at,
    postgresql_where=text("status = 'active' AND next_at IS NOT NULL"),
    sqlite_where=text("status = 'active' AND next_at IS NOT NULL"),
)
Index(
    "ix_run_set_aside",
    run.c.ended_at,
    postgresql_where=text("status = 'set_aside'"),
    sqlite_where=text("status = 'set_aside'"),
)
Index(
    "ix_run_version",
    run.c.version,
    postgresql_where=text("status = 'active'"),
    sqlite_where=text("status = 'active'"),
)
step_log = Table(
    "step_log",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("run", BigInteger, primary_key=True, autoincrement=False),
    Column(
        "node",
        SmallInteger,
        primary_key=True,
        autoincrement=False,
        comment="place of the step in its program",
    ),
    Column("visit", SmallInteger, primary_key=True, autoincrement=False),
    Column("step", ByCodePoint, nullable=False),
    Column("outcome", ByCodePoint, nullable=False, comment="how the run left the step"),
    Column("at", Instant, nullable=False),
)

deferral = Table(
    "deferral",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("run", BigInteger, primary_key=True, autoincrement=False),
    Column("node", SmallInteger, primary_key=True, autoincrement=False),
    Column("nth", SmallInteger, primary_key=True, autoincrement=False),
    Column("step", ByCodePoint, nullable=False),
    Column("at", Instant, nullable=False),
    Column("reason", ByCodePoint, nullable=False, comment="why the message had to wait"),
    Column("until", Instant, nullable=False, comment="when it was to be looked at again"),
    comment="Each time that policy let a run stand at its send.",
)

assignment = Table(
    "assignment",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("journey", ByCodePoint, primary_key=True),
    Column("step", ByCodePoint, primary_key=True),
    Column("arm", ByCodePoint, nullable=False),
    Column("at", Instant, comment="since when"),
    Column("cell", ByCodePoint, comment="of an experiment: the values that its arms are measured by"),
    comment="The arm of a split that a contact has been given; outlives versions.",
)

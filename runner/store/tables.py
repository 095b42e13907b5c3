"""The tables. Contact-owned ones begin their key with ``partition``, then ``contact``: a contact's rows lie together,
every hot statement starts from a batch of contacts, and the tables can be distributed over nodes.

Ids of contact-owned rows count within their contact and are given out under the lock of its partition, except for
events, which anybody may store at any time. Statuses are enums; CHECK constraints and partial indexes come from them.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Sequence,
    SmallInteger,
    Table,
    UniqueConstraint,
    text,
)

from runner.store.types import ByCodePoint, Instant, Json


class RunStatus(StrEnum):
    ACTIVE = "active"  # stands on a step
    COMPLETED = "completed"  # came to the end of the journey
    EXITED = "exited"  # left by an exit, with a reason
    SET_ASIDE = "set_aside"  # the engine gave up on it, with a reason; an operator looks


class MessageStatus(StrEnum):
    READY = "ready"  # let go by policy; to be handed over at available_at
    CLAIMED = "claimed"  # a worker holds it until lease_until; nothing has been handed over
    SENDING = "sending"  # being handed over right now
    SENT = "sent"  # taken over by the other side
    UNKNOWN = "unknown"  # may or may not have been taken over; an operator decides
    FAILED = "failed"  # refused for good, or could not be rendered, with a reason
    BLOCKED = "blocked"  # policy did not let it go, with a reason
    CANCELLED = "cancelled"  # its run ended before it was handed over


MESSAGE_TRANSITIONS: dict[MessageStatus, frozenset[MessageStatus]] = {
    # From ready or claimed to unknown: one that may have arrived before, and whose run has ended.
    MessageStatus.READY: frozenset(
        {MessageStatus.CLAIMED, MessageStatus.CANCELLED, MessageStatus.BLOCKED, MessageStatus.UNKNOWN}
    ),
    MessageStatus.CLAIMED: frozenset(
        {
            MessageStatus.SENDING,
            MessageStatus.READY,
            MessageStatus.FAILED,
            MessageStatus.CANCELLED,
            MessageStatus.BLOCKED,
            MessageStatus.UNKNOWN,
        }
    ),
    MessageStatus.SENDING: frozenset(
        {MessageStatus.SENT, MessageStatus.READY, MessageStatus.FAILED, MessageStatus.UNKNOWN}
    ),
    MessageStatus.UNKNOWN: frozenset({MessageStatus.READY, MessageStatus.SENT, MessageStatus.FAILED}),
    MessageStatus.SENT: frozenset(),
    MessageStatus.FAILED: frozenset(),
    MessageStatus.BLOCKED: frozenset(),
    MessageStatus.CANCELLED: frozenset(),
}
"""Which status may follow which. The reports and the documentation's diagram are made from this table."""


class ConsentState(StrEnum):
    PENDING = "pending"
    GIVEN = "given"
    WITHDRAWN = "withdrawn"


class JourneyState(StrEnum):
    LIVE = "live"
    PAUSED = "paused"


LET_GO = (
    MessageStatus.READY,
    MessageStatus.CLAIMED,
    MessageStatus.SENDING,
    MessageStatus.SENT,
    MessageStatus.UNKNOWN,
    MessageStatus.FAILED,
    MessageStatus.CANCELLED,
)
"""The statuses of a message that policy let go: ``sent()`` is true of these, and goals count from them."""


def _one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    return CheckConstraint(
        f"{column} IN ({', '.join(repr(v.value) for v in values)})", name=f"{column}_is_known"
    )


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Small and shared -----------------------------------------------------------------------------------------------

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
    _one_of("state", JourneyState),
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

# Contact-owned --------------------------------------------------------------------------------------------------

contact = Table(
    "contact",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("key", ByCodePoint, nullable=False),
    Column("email", ByCodePoint),
    Column("phone", ByCodePoint),
    Column("timezone", ByCodePoint),
    Column("locale", ByCodePoint),
    Column("attributes", Json, nullable=False),
    Column("tags", Json, nullable=False, comment="a sorted array of strings, each once"),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("partition", "key"),
)
contact_id_sequence = Sequence("contact_id_seq", metadata=metadata)

consent = Table(
    "consent",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("topic", ByCodePoint, primary_key=True),
    Column("channel", ByCodePoint, primary_key=True, comment="* is every channel without a row of its own"),
    Column("state", ByCodePoint, nullable=False),
    Column("since", Instant, nullable=False),
    _one_of("state", ConsentState),
)

consent_log = Table(
    "consent_log",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("topic", ByCodePoint, nullable=False),
    Column("channel", ByCodePoint, nullable=False),
    Column("state", ByCodePoint, nullable=False),
    Column("at", Instant, nullable=False),
    Column("source", ByCodePoint, comment="who or what recorded it"),
    Column("wording", ByCodePoint, comment="what the person read"),
    _one_of("state", ConsentState),
    comment="The proof. Never updated.",
)

event = Table(
    "event",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False, comment="rises in order of arrival"),
    Column("name", ByCodePoint, nullable=False),
    Column("at", Instant, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("properties", Json, nullable=False, comment="declared properties, in their stored form"),
    Column("undeclared", Json, comment="what else arrived, as it arrived"),
    Column("dedup_key", ByCodePoint, nullable=False),
    Column("pending", Boolean, nullable=False, comment="whether the engine has yet to handle it"),
    UniqueConstraint("partition", "contact", "dedup_key"),
)
event_id_sequence = Sequence("event_id_seq", metadata=metadata)
Index(
    "ix_event_timeline",
    event.c.partition,
    event.c.contact,
    event.c.at,
    event.c.id,
    postgresql_where=text("pending"),
    sqlite_where=text("pending = 1"),
)
Index(
    "ix_event_pending",
    event.c.partition,
    event.c.at,
    postgresql_where=text("pending"),
    sqlite_where=text("pending = 1"),
)
Index("ix_event_history", event.c.partition, event.c.contact, event.c.name, event.c.at)

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
    UniqueConstraint("partition", "contact", "journey", "entry_key"),
    _one_of("status", RunStatus),
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

assignment = Table(
    "assignment",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("journey", ByCodePoint, primary_key=True),
    Column("step", ByCodePoint, primary_key=True),
    Column("arm", ByCodePoint, nullable=False),
    comment="The arm of a split that a contact has been given; outlives versions.",
)

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
    _one_of("status", MessageStatus),
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

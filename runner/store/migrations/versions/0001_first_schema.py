"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runner.store.functions import POSTGRESQL_DDL
from runner.store.types import ByCodePoint, Instant, Json

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
requires_software = None


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for sequence in ("contact_id_seq", "event_id_seq"):
            op.execute(sa.schema.CreateSequence(sa.Sequence(sequence)))
        for statement in POSTGRESQL_DDL:
            op.get_bind().exec_driver_sql(statement)
    op.create_table(
        "assignment",
        sa.Column("partition", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("contact", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("journey", ByCodePoint(), nullable=False),
        sa.Column("step", ByCodePoint(), nullable=False),
        sa.Column("arm", ByCodePoint(), nullable=False),
        sa.PrimaryKeyConstraint("partition", "contact", "journey", "step", name=op.f("pk_assignment")),
        comment="The arm of a split that a contact has been given; outlives versions.",
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("who", ByCodePoint(), nullable=False),
        sa.Column("what", ByCodePoint(), nullable=False),
        sa.Column("detail", Json(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_table(
        "consent",
        sa.Column("partition", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("contact", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("topic", ByCodePoint(), nullable=False),
        sa.Column(
            "channel", ByCodePoint(), nullable=False, comment="* is every channel without a row of its own"
        ),
        sa.Column("state", ByCodePoint(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.CheckConstraint(
            "state IN ('pending', 'given', 'withdrawn')", name=op.f("ck_consent_state_is_known")
        ),
        sa.PrimaryKeyConstraint("partition", "contact", "topic", "channel", name=op.f("pk_consent")),
    )
    op.create_table(
        "consent_log",
        sa.Column("partition", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("contact", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("topic", ByCodePoint(), nullable=False),
        sa.Column("channel", ByCodePoint(), nullable=False),
        sa.Column("state", ByCodePoint(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("source", ByCodePoint(), nullable=True, comment="who or what recorded it"),
        sa.Column("wording", ByCodePoint(), nullable=True, comment="what the person read"),
        sa.CheckConstraint(
            "state IN ('pending', 'given', 'withdrawn')", name=op.f("ck_consent_log_state_is_known")
        ),
        sa.PrimaryKeyConstraint("partition", "contact", "id", name=op.f("pk_consent_log")),
        comment="The proof. Never updated.",
    )
    op.create_table(
        "contact",
        sa.Column("partition", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", ByCodePoint(), nullable=False),
        sa.Column("email", ByCodePoint(), nullable=True),
        sa.Column("phone", ByCodePoint(), nullable=True),
        sa.Column("timezone", ByCodePoint(), nullable=True),
        sa.Column("locale", ByCodePoint(), nullable=True),
        sa.Column("attributes", Json(), nullable=False),
        sa.Column("tags", Json(), nullable=False, comment="a sorted array of strings, each once"),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("partition", "id", name=op.f("pk_contact")),
        sa.UniqueConstraint("partition", "key", name=op.f("uq_contact_partition_key")),
    )
    op.create_table(
        "conversion",
        sa.Column("partition", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("contact", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("journey", ByCodePoint(), nullable=False),
        sa.Column("step", ByCodePoint(), nullable=False, comment="the last message before it"),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=True, comment="millionths"),
        sa.PrimaryKeyConstraint("partition", "contact", "run", "event", name=op.f("pk_conversion")),
        comment="A goal reached within its window.",
    )
    op.create_table(
        "deployment",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", ByCodePoint(), nullable=False, comment="random; part of every idempotency key"),
        sa.Column("partitions", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_deployment_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment")),
        comment="One row: what was fixed when the database was made.",
    )
    op.create_table(
        "event",
        sa.Column("partition", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("contact", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "id", sa.BigInteger(), autoincrement=False, nullable=False, comment="rises in order of arrival"
        ),
        sa.Column("name", ByCodePoint(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("properties", Json(), nullable=False, comment="declared properties, in their stored form"),
        sa.Column("undeclared", Json(), nullable=True, comment="what else arrived, as it arrived"),
        sa.Column("dedup_key", ByCodePoint(), nullable=False),
        sa.Column("pending", sa.Boolean(), nullable=False, comment="whether the engine has yet to handle it"),
        sa.PrimaryKeyConstraint("partition", "contact", "id", name=op.f("pk_event")),
        sa.UniqueConstraint(
            "partition", "contact", "dedup_key", name=op.f("uq_event_partition_contact_dedup_key")
        ),
    )
    op.create_index("ix_event_history", "event", ["partition", "contact", "name", "at"], unique=False)
    op.create_index(
        "ix_event_pending",
        "event",
        ["partition", "at"],
        unique=False,
        postgresql_where=sa.text("pending"),
        sqlite_where=sa.text("pending = 1"),
    )
    op.create_index(
        "ix_event_timeline",
        "event",
        ["partition", "contact", "at", "id"],
        unique=False,
        postgresql_where=sa.text("pending"),
        sqlite_where=sa.text("pending = 1"),
    )
    op.create_table(
        "journey_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("journey", ByCodePoint(), nullable=False),
        sa.Column("hash", ByCodePoint(), nullable=False),
        sa.Column(
            "files", Json(), nullable=False, comment="path -> text: all that the version was compiled from"
        ),
        sa.Column("applied_at", Instant(), nullable=False),
        sa.Column("author", ByCodePoint(), nullable=True),
        sa.Column("git_commit", ByCodePoint(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journey_version")),
        sa.UniqueConstraint("journey", "hash", name=op.f("uq_journey_version_journey_hash")),
    )
    op.create_table(
        "message",
        sa.Column("partition", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("contact", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("step", ByCodePoint(), nullable=False),
        sa.Column("visit", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("journey", ByCodePoint(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("channel", ByCodePoint(), nullable=False),
        sa.Column("topic", ByCodePoint(), nullable=False),
        sa.Column("status", ByCodePoint(), nullable=False),
        sa.Column("reason", ByCodePoint(), nullable=True),
        sa.Column("let_go_at", Instant(), nullable=False, comment="when policy decided, either way"),
        sa.Column(
            "expires_at", Instant(), nullable=False, comment="blocked as expired where not handed over before"
        ),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column(
            "available_at", Instant(), nullable=True, comment="while ready: not to be handed over before"
        ),
        sa.Column("lease_until", Instant(), nullable=True, comment="while claimed or sending"),
        sa.Column("sent_at", Instant(), nullable=True),
        sa.Column("provider_id", ByCodePoint(), nullable=True),
        sa.CheckConstraint(
            "(status = 'ready') = (available_at IS NOT NULL)", name=op.f("ck_message_available_when_ready")
        ),
        sa.CheckConstraint(
            "(status = 'sent') = (sent_at IS NOT NULL)", name=op.f("ck_message_sent_at_when_sent")
        ),
        sa.CheckConstraint(
            "(status IN ('claimed', 'sending')) = (lease_until IS NOT NULL)",
            name=op.f("ck_message_leased_when_held"),
        ),
        sa.CheckConstraint(
            "status IN ('ready', 'claimed', 'sending', 'sent', 'unknown', 'failed', 'blocked', 'cancelled')",
            name=op.f("ck_message_status_is_known"),
        ),
        sa.PrimaryKeyConstraint("partition", "contact", "run", "step", "visit", name=op.f("pk_message")),
        comment="The outbox and the send ledger: one row a (run, step, visit), written before anything is sent.",
    )
    op.create_index(
        "ix_message_held",
        "message",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("lease_until IS NOT NULL"),
        sqlite_where=sa.text("lease_until IS NOT NULL"),
    )
    op.create_index("ix_message_let_go", "message", ["partition", "contact", "let_go_at"], unique=False)
    op.create_index(
        "ix_message_ready",
        "message",
        ["available_at"],
        unique=False,
        postgresql_where=sa.text("status = 'ready'"),
        sqlite_where=sa.text("status = 'ready'"),
    )
    op.create_table(
        "run",
        sa.Column("partition", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("contact", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("journey", ByCodePoint(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "per", ByCodePoint(), nullable=False, comment="the value of entry.per; empty where there is none"
        ),
        sa.Column("entry_key", ByCodePoint(), nullable=False, comment="what started it: one entry a cause"),
        sa.Column("status", ByCodePoint(), nullable=False),
        sa.Column("reason", ByCodePoint(), nullable=True, comment="why it ended"),
        sa.Column("step", ByCodePoint(), nullable=True, comment="where it stands"),
        sa.Column("node", sa.SmallInteger(), nullable=True, comment="the step's place in its program"),
        sa.Column("arrived_at", Instant(), nullable=False, comment="since when it stands there"),
        sa.Column("due_at", Instant(), nullable=True, comment="when its wait ends by itself"),
        sa.Column(
            "review_at",
            Instant(),
            nullable=True,
            comment="when time alone may turn one of its exit conditions",
        ),
        sa.Column(
            "next_at",
            Instant(),
            nullable=True,
            comment="the earlier of due_at and review_at: its place on the timeline",
        ),
        sa.Column("entered_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("trigger", Json(), nullable=False, comment="properties of the event that started it"),
        sa.Column("data", Json(), nullable=False, comment="run.NAME"),
        sa.CheckConstraint(
            "(status = 'active') = (ended_at IS NULL)", name=op.f("ck_run_ended_when_not_active")
        ),
        sa.CheckConstraint(
            "(status = 'active') = (step IS NOT NULL)", name=op.f("ck_run_stands_when_active")
        ),
        sa.CheckConstraint("status = 'active' OR next_at IS NULL", name=op.f("ck_run_no_timer_when_ended")),
        sa.CheckConstraint(
            "status IN ('active', 'completed', 'exited', 'set_aside')", name=op.f("ck_run_status_is_known")
        ),
        sa.PrimaryKeyConstraint("partition", "contact", "id", name=op.f("pk_run")),
        sa.UniqueConstraint(
            "partition",
            "contact",
            "journey",
            "entry_key",
            name=op.f("uq_run_partition_contact_journey_entry_key"),
        ),
    )
    op.create_index(
        "ix_run_due",
        "run",
        ["partition", "next_at"],
        unique=False,
        postgresql_where=sa.text("status = 'active' AND next_at IS NOT NULL"),
        sqlite_where=sa.text("status = 'active' AND next_at IS NOT NULL"),
    )
    op.create_index(
        "uq_run_active",
        "run",
        ["partition", "contact", "journey", "per"],
        unique=True,
        postgresql_where=sa.text("status = 'active'"),
        sqlite_where=sa.text("status = 'active'"),
    )
    op.create_table(
        "shard",
        sa.Column("partition", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("partition", name=op.f("pk_shard")),
        comment="One row a partition, to lock.",
    )
    op.create_table(
        "step_log",
        sa.Column("partition", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("contact", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "node",
            sa.SmallInteger(),
            autoincrement=False,
            nullable=False,
            comment="place of the step in its program",
        ),
        sa.Column("visit", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("step", ByCodePoint(), nullable=False),
        sa.Column("outcome", ByCodePoint(), nullable=False, comment="how the run left the step"),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("partition", "contact", "run", "node", "visit", name=op.f("pk_step_log")),
    )
    op.create_table(
        "zone_local",
        sa.Column("zone", ByCodePoint(), nullable=False),
        sa.Column(
            "begins", sa.BigInteger(), autoincrement=False, nullable=False, comment="local µs since 1970"
        ),
        sa.Column(
            "offset", sa.BigInteger(), nullable=True, comment="µs: UTC = local - offset; NULL in a gap"
        ),
        sa.Column(
            "instant",
            sa.BigInteger(),
            nullable=True,
            comment="in a gap: the next valid instant, µs since 1970, UTC",
        ),
        sa.PrimaryKeyConstraint("zone", "begins", name=op.f("pk_zone_local")),
        comment="From local time `begins` until the next row's: how it is read as an instant (the first of two).",
    )
    op.create_table(
        "zone_offset",
        sa.Column("zone", ByCodePoint(), nullable=False),
        sa.Column(
            "begins", sa.BigInteger(), autoincrement=False, nullable=False, comment="µs since 1970, UTC"
        ),
        sa.Column("offset", sa.BigInteger(), nullable=False, comment="µs: local = UTC + offset"),
        sa.Column(
            "earliest",
            sa.BigInteger(),
            nullable=False,
            comment="`begins` on the wall clock of before, local µs",
        ),
        sa.PrimaryKeyConstraint("zone", "begins", name=op.f("pk_zone_offset")),
        comment="From `begins` until the next row's, the zone's local time is UTC plus `offset`.",
    )
    op.create_table(
        "journey",
        sa.Column("name", ByCodePoint(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "since",
            Instant(),
            nullable=False,
            comment="its first apply; what is received from then on enters it",
        ),
        sa.Column("state", ByCodePoint(), nullable=False),
        sa.CheckConstraint("state IN ('live', 'paused')", name=op.f("ck_journey_state_is_known")),
        sa.ForeignKeyConstraint(["version"], ["journey_version.id"], name=op.f("fk_journey_version")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_journey")),
        comment="The version of each journey that contacts enter.",
    )

"""What the whole language remembers: accounts, suppressions, memberships, appointments, firings, broadcasts, pools; and
messages that are withheld, or are no messages to the contact."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runner.store.types import ByCodePoint, Instant, Json

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
requires_software = None

STATUS = "ck_message_status_is_known"
KINDS = "kind IN ('message', 'call', 'task', 'audience')"
STATUSES = "status IN ('ready', 'claimed', 'sending', 'sent', 'unknown', 'failed', 'blocked', 'cancelled', 'withheld')"


def upgrade() -> None:
    _make_tables()
    op.add_column("assignment", sa.Column("at", Instant(), comment="since when"))
    op.add_column(
        "assignment",
        sa.Column(
            "cell", ByCodePoint(), comment="of an experiment: the values that its arms are measured by"
        ),
    )
    op.add_column("contact", sa.Column("account", ByCodePoint(), comment="the key of its account"))
    op.add_column(
        "run",
        sa.Column(
            "held_out",
            sa.Boolean(),
            nullable=False,
            server_default=sa.text("false"),
            comment="measured, and sent nothing",
        ),
    )
    op.add_column(
        "event", sa.Column("caused_by", sa.BigInteger(), comment="the run that an internal event comes from")
    )
    op.add_column(
        "event",
        sa.Column("nth", sa.SmallInteger(), comment="of an internal event: which one it is of its instant"),
    )
    op.add_column(
        "event",
        sa.Column(
            "silent",
            sa.Boolean(),
            comment="true of history that takes its turn: what it changes starts nothing",
        ),
    )
    op.add_column("run", sa.Column("deferred", ByCodePoint(), comment="why policy lets it stand at its send"))
    op.add_column(
        "run",
        sa.Column(
            "visit",
            sa.SmallInteger(),
            nullable=False,
            server_default=sa.text("1"),
            comment="beyond 1 after a snooze",
        ),
    )
    op.add_column(
        "run", sa.Column("cause", sa.BigInteger(), comment="the event that started it; NULL in older runs")
    )
    if op.get_context().dialect.name == "postgresql":
        _change_messages()
    else:
        _copy_messages()


def _change_messages() -> None:
    op.add_column("message", sa.Column("kind", ByCodePoint(), nullable=False, server_default="message"))
    op.add_column(
        "message", sa.Column("template", ByCodePoint(), comment="where it is not the step's only one")
    )
    op.add_column(
        "message",
        sa.Column("payload", Json(), comment="of what is no message to the contact: what is handed over"),
    )
    op.drop_constraint(op.f(STATUS), "message")
    # Every row that is there fits, since fewer were allowed: no need to read them all under a lock.
    op.execute(f"ALTER TABLE message ADD CONSTRAINT {STATUS} CHECK ({STATUSES}) NOT VALID")
    op.execute(f"ALTER TABLE message ADD CONSTRAINT ck_message_kind_is_known CHECK ({KINDS}) NOT VALID")
    op.execute(f"ALTER TABLE message VALIDATE CONSTRAINT {STATUS}")
    op.execute("ALTER TABLE message VALIDATE CONSTRAINT ck_message_kind_is_known")


def _copy_messages() -> None:
    """SQLite changes a constraint by a new table."""
    before = (
        "partition, contact, run, step, visit, journey, version, channel, topic, status, reason, let_go_at, "
        "expires_at, attempts, available_at, lease_until, sent_at, provider_id"
    )
    op.create_table(
        "message_now",
        sa.Column("partition", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("contact", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("run", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("step", ByCodePoint(), primary_key=True),
        sa.Column("visit", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("journey", ByCodePoint(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("channel", ByCodePoint(), nullable=False),
        sa.Column("topic", ByCodePoint(), nullable=False),
        sa.Column("status", ByCodePoint(), nullable=False),
        sa.Column("reason", ByCodePoint()),
        sa.Column("let_go_at", Instant(), nullable=False, comment="when policy decided, either way"),
        sa.Column(
            "expires_at", Instant(), nullable=False, comment="blocked as expired where not handed over before"
        ),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("available_at", Instant(), comment="while ready: not to be handed over before"),
        sa.Column("lease_until", Instant(), comment="while claimed or sending"),
        sa.Column("sent_at", Instant()),
        sa.Column("provider_id", ByCodePoint()),
        sa.Column("kind", ByCodePoint(), nullable=False, server_default="message"),
        sa.Column("template", ByCodePoint(), comment="where it is not the step's only one"),
        sa.Column("payload", Json(), comment="of what is no message to the contact: what is handed over"),
        sa.CheckConstraint(
            "(status = 'ready') = (available_at IS NOT NULL)", name=op.f("ck_message_available_when_ready")
        ),
        sa.CheckConstraint(
            "kind IN ('message', 'call', 'task', 'audience')", name=op.f("ck_message_kind_is_known")
        ),
        sa.CheckConstraint(
            "(status IN ('claimed', 'sending')) = (lease_until IS NOT NULL)",
            name=op.f("ck_message_leased_when_held"),
        ),
        sa.CheckConstraint(
            "(status = 'sent') = (sent_at IS NOT NULL)", name=op.f("ck_message_sent_at_when_sent")
        ),
        sa.CheckConstraint(
            STATUSES,
            name=op.f("ck_message_status_is_known"),
        ),
        sa.PrimaryKeyConstraint("partition", "contact", "run", "step", "visit", name=op.f("pk_message")),
        comment="The outbox and the send ledger: one row a (run, step, visit), written before anything is sent.",
    )
    op.execute(f"INSERT INTO message_now ({before}) SELECT {before} FROM message")
    op.drop_table("message")
    op.rename_table("message_now", "message")
    for name, columns, where in (
        ("ix_message_ready", ["available_at"], "status = 'ready'"),
        ("ix_message_held", ["lease_until"], "lease_until IS NOT NULL"),
        ("ix_message_unknown", ["let_go_at"], "status = 'unknown'"),
        ("ix_message_let_go", ["partition", "contact", "let_go_at"], None),
    ):
        condition = sa.text(where) if where else None
        op.create_index(name, "message", columns, sqlite_where=condition)


def _make_tables() -> None:
    op.create_table(
        "experiment",
        sa.Column("journey", ByCodePoint(), primary_key=True),
        sa.Column("step", ByCodePoint(), primary_key=True),
        sa.Column(
            "cell", ByCodePoint(), primary_key=True, comment="the values of `by`; empty where there are none"
        ),
        sa.Column("arm", ByCodePoint(), primary_key=True),
        sa.Column("begins", sa.Integer(), nullable=False, comment="its parts of ten thousand: from here"),
        sa.Column("ends", sa.Integer(), nullable=False, comment="up to here, this one not included"),
        sa.Column("contacts", sa.BigInteger(), nullable=False, comment="that were given the arm"),
        sa.Column("reached", sa.BigInteger(), nullable=False, comment="of them, those who reached the goal"),
        sa.Column("unsubscribed", sa.BigInteger(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("journey", "step", "cell", "arm", name=op.f("pk_experiment")),
        comment="How the arms of an experiment do, and the shares that newcomers are given them by.",
    )
    op.create_table(
        "account",
        sa.Column("partition", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("key", ByCodePoint(), primary_key=True),
        sa.Column("attributes", Json(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("partition", "key", name=op.f("pk_account")),
        comment="What contacts belong to: a company, a household. It lies in the partition of its contacts.",
    )
    op.create_table(
        "suppression",
        sa.Column("partition", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("contact", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("channel", ByCodePoint(), primary_key=True),
        sa.Column(
            "address",
            ByCodePoint(),
            primary_key=True,
            comment="another address of the contact is not suppressed",
        ),
        sa.Column("reason", ByCodePoint(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("partition", "contact", "channel", "address", name=op.f("pk_suppression")),
        comment="Addresses to which nothing is sent, whatever was consented to.",
    )
    op.create_table(
        "membership",
        sa.Column("partition", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("contact", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("segment", ByCodePoint(), primary_key=True),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("inside", sa.Boolean(), nullable=False, comment="false for one who has left"),
        sa.PrimaryKeyConstraint("partition", "contact", "segment", name=op.f("pk_membership")),
        comment="Who is in a segment that a journey is triggered by.",
    )
    op.create_table(
        "begun",
        sa.Column("partition", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("name", ByCodePoint(), primary_key=True, comment="segment:KEY, existing:JOURNEY:KEY"),
        sa.Column("since", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("partition", "name", name=op.f("pk_begun")),
        comment="What has been looked at once for all contacts of a partition.",
    )
    op.create_table(
        "appointment",
        sa.Column("partition", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("contact", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("kind", ByCodePoint(), primary_key=True),
        sa.Column("name", ByCodePoint(), primary_key=True, comment="of the journey, the segment, the topic"),
        sa.Column(
            "due_at",
            Instant(),
            comment="when it becomes an event; NULL where it has, or where nothing is to come",
        ),
        sa.Column("told_at", Instant(), comment="the due_at of the event that waits to be handled"),
        sa.Column("properties", Json(), nullable=False, comment="of the event that it becomes"),
        sa.PrimaryKeyConstraint("partition", "contact", "kind", "name", name=op.f("pk_appointment")),
        comment="When time alone next concerns a contact, outside of any run.",
    )
    op.create_table(
        "appointing",
        sa.Column("partition", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("kind", ByCodePoint(), primary_key=True),
        sa.Column("name", ByCodePoint(), primary_key=True),
        sa.Column(
            "since", Instant(), nullable=False, comment="appointments are those that come after this instant"
        ),
        sa.Column(
            "reached",
            sa.BigInteger(),
            comment="the last contact that has been looked at; NULL once that was everybody",
        ),
        sa.PrimaryKeyConstraint("partition", "kind", "name", name=op.f("pk_appointing")),
        comment="What appointments there are, and for whom in a partition they are still to be made.",
    )
    op.create_table(
        "firing",
        sa.Column("partition", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("cause", ByCodePoint(), primary_key=True, comment="the journey, and when it is to fire"),
        sa.Column(
            "zone", ByCodePoint(), primary_key=True, comment="empty where the schedule has a zone of its own"
        ),
        sa.Column("since", Instant(), nullable=False, comment="it fires for what comes after this instant"),
        sa.Column(
            "next_at",
            Instant(),
            comment="when it fires next, or is to be looked at; NULL where it never is again",
        ),
        sa.Column(
            "nominal",
            ByCodePoint(),
            comment="the local time that it then fires for; NULL where it is to be looked at",
        ),
        sa.Column(
            "reached",
            sa.BigInteger(),
            nullable=False,
            comment="the last contact for whom it has fired then",
        ),
        sa.PrimaryKeyConstraint("partition", "cause", "zone", name=op.f("pk_firing")),
        comment="How far the schedule of a journey has come in a partition.",
    )
    op.create_index("ix_firing_next", "firing", ["partition", "next_at"])
    op.create_table(
        "broadcast",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("name", ByCodePoint(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("properties", Json(), nullable=False),
        sa.Column("undeclared", Json()),
        sa.Column("dedup_key", ByCodePoint(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False, comment="whether a partition has yet to hear it"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_broadcast")),
        sa.UniqueConstraint("dedup_key", name=op.f("uq_broadcast_dedup_key")),
        comment="Events that belong to nobody, and that whoever waits for them hears.",
    )
    op.create_index(
        "ix_broadcast_open",
        "broadcast",
        ["at"],
        postgresql_where=sa.text("open"),
        sqlite_where=sa.text("open = 1"),
    )
    op.create_table(
        "broadcast_heard",
        sa.Column("partition", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("broadcast", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.PrimaryKeyConstraint("partition", "broadcast", name=op.f("pk_broadcast_heard")),
        comment="Broadcasts that have reached the contacts of a partition.",
    )
    op.create_table(
        "pool_value",
        sa.Column("pool", ByCodePoint(), primary_key=True),
        sa.Column("value", ByCodePoint(), primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="values are drawn in this order"),
        sa.Column(
            "partition",
            sa.SmallInteger(),
            comment="of the contact that it was drawn for; NULL while it is free",
        ),
        sa.Column("contact", sa.BigInteger()),
        sa.Column("run", sa.BigInteger()),
        sa.Column("step", ByCodePoint()),
        sa.Column("taken_at", Instant()),
        sa.Column(
            "settled",
            sa.Boolean(),
            nullable=False,
            server_default=sa.text("false"),
            comment="its message has left: it never comes back",
        ),
        sa.PrimaryKeyConstraint("pool", "value", name=op.f("pk_pool_value")),
        comment="Coupon codes and the like: each is given to one run.",
    )
    op.create_table(
        "deferral",
        sa.Column("partition", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("contact", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("run", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("node", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("nth", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("step", ByCodePoint(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("reason", ByCodePoint(), nullable=False, comment="why the message had to wait"),
        sa.Column("until", Instant(), nullable=False, comment="when it was to be looked at again"),
        sa.PrimaryKeyConstraint("partition", "contact", "run", "node", "nth", name=op.f("pk_deferral")),
        comment="Each time that policy let a run stand at its send.",
    )
    op.create_table(
        "rate_use",
        sa.Column("journey", ByCodePoint(), primary_key=True),
        sa.Column("step", ByCodePoint(), primary_key=True),
        sa.Column("at", Instant(), primary_key=True),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("journey", "step", "at", name=op.f("pk_rate_use")),
        comment="How many messages a send with a `rate` has let go at an instant.",
    )
    due = sa.text("due_at IS NOT NULL")
    op.create_index(
        "ix_appointment_due",
        "appointment",
        ["partition", "due_at", "contact", "kind", "name"],
        postgresql_where=due,
        sqlite_where=due,
    )
    free = sa.text("partition IS NULL")
    op.create_index(
        "ix_pool_value_free", "pool_value", ["pool", "position"], postgresql_where=free, sqlite_where=free
    )
    taken = sa.text("partition IS NOT NULL")
    op.create_index(
        "ix_pool_value_taken",
        "pool_value",
        ["partition", "contact", "run"],
        postgresql_where=taken,
        sqlite_where=taken,
    )
    unsettled = sa.text("partition IS NOT NULL AND NOT settled")
    op.create_index(
        "ix_pool_value_unsettled",
        "pool_value",
        ["pool"],
        postgresql_where=unsettled,
        sqlite_where=unsettled,
    )

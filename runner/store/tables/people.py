"""Who the contacts are, what they agreed to, and what they did."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Sequence,
    SmallInteger,
    Table,
    UniqueConstraint,
    func,
    text,
)

from runner.store.tables.base import metadata, one_of
from runner.store.tables.status import ConsentState, SuppressionReason
from runner.store.types import ByCodePoint, Instant, Json

account = Table(
    "account",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("key", ByCodePoint, primary_key=True),
    Column("attributes", Json, nullable=False),
    Column("created_at", Instant, nullable=False),
    comment="What contacts belong to: a company, a household. It lies in the partition of its contacts.",
)

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
    Column("account", ByCodePoint, comment="the key of its account"),
    Column(
        "belongs_in",
        SmallInteger,
        comment="the partition of its account, to which it is to be moved; NULL where it lies there",
    ),
    Column(
        "made_in",
        SmallInteger,
        comment="the partition in which it was made, which its messages are known by; NULL where it lies there",
    ),
    UniqueConstraint("partition", "key"),
)
Index(
    "ix_contact_account",
    contact.c.partition,
    contact.c.account,
    postgresql_where=text("account IS NOT NULL"),
    sqlite_where=text("account IS NOT NULL"),
)
Index("ix_contact_timezone", contact.c.partition, contact.c.timezone, contact.c.id)
Index(
    "ix_contact_misplaced",
    contact.c.partition,
    postgresql_where=text("belongs_in IS NOT NULL"),
    sqlite_where=text("belongs_in IS NOT NULL"),
)
contact_id_sequence = Sequence("contact_id_seq", metadata=metadata)

placement = Table(
    "placement",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False, comment="that of the key"),
    Column("key", ByCodePoint, primary_key=True),
    Column("placed_in", SmallInteger, nullable=False, comment="the partition in which the contact lies"),
    comment="Contacts that do not lie in the partition of their own key, but in that of their account.",
)

consent = Table(
    "consent",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("topic", ByCodePoint, primary_key=True),
    Column("channel", ByCodePoint, primary_key=True, comment="* is every channel without a row of its own"),
    Column("state", ByCodePoint, nullable=False),
    Column("since", Instant, nullable=False),
    one_of("state", ConsentState),
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
    one_of("state", ConsentState),
    comment="The proof. Never updated.",
)

suppression = Table(
    "suppression",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("channel", ByCodePoint, primary_key=True),
    Column(
        "address", ByCodePoint, primary_key=True, comment="another address of the contact is not suppressed"
    ),
    Column("reason", ByCodePoint, nullable=False),
    Column("since", Instant, nullable=False),
    Column("noted", Boolean, comment="true once the address is suppressed for everybody; NULL before"),
    comment="Addresses to which nothing is sent, whatever was consented to.",
)
Index(
    "ix_suppression_to_note",
    suppression.c.partition,
    suppression.c.contact,
    postgresql_where=text("noted IS NULL"),
    sqlite_where=text("noted IS NULL"),
)
Index(
    "ix_suppression_spelled",
    func.lower(suppression.c.address),
    postgresql_where=text("noted IS NULL"),
    sqlite_where=text("noted IS NULL"),
)

suppressed_address = Table(
    "suppressed_address",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("address", ByCodePoint, primary_key=True, comment="its SHA-256, with channel and deployment"),
    Column("reason", ByCodePoint, nullable=False),
    Column("since", Instant, nullable=False),
    one_of("reason", SuppressionReason),
    comment="Addresses to which nothing is sent, whoever has them, in the partition of the address.",
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
    Column("caused_by", BigInteger, comment="the run that an internal event comes from"),
    Column("nth", SmallInteger, comment="of an internal event: which one it is of its instant"),
    Column("silent", Boolean, comment="true of history that takes its turn: what it changes starts nothing"),
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

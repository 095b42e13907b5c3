"""How many messages of a journey have gone to an address is counted, whoever has it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runner.store.types import ByCodePoint

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None
requires_software = None


def upgrade() -> None:
    op.create_table(
        "address_use",
        sa.Column("partition", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "address", ByCodePoint(), nullable=False, comment="its SHA-256, with channel and deployment"
        ),
        sa.Column("journey", ByCodePoint(), nullable=False),
        sa.Column("nth", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("message", ByCodePoint(), nullable=False, comment="the message that has the place"),
        sa.PrimaryKeyConstraint("partition", "address", "journey", "nth", name=op.f("pk_address_use")),
        sa.UniqueConstraint(
            "partition",
            "address",
            "journey",
            "message",
            name=op.f("uq_address_use_partition_address_journey_message"),
        ),
        comment="Messages of sends with `per_address`, in the partition of their address.",
    )

"""What suppresses an address holds for everybody who has it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runner.store.types import ByCodePoint, Instant

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None
requires_software = None


def upgrade() -> None:
    op.create_table(
        "suppressed_address",
        sa.Column("partition", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "address", ByCodePoint(), nullable=False, comment="its SHA-256, with channel and deployment"
        ),
        sa.Column("reason", ByCodePoint(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.CheckConstraint(
            "reason IN ('bounced', 'complained', 'unsubscribed')",
            name=op.f("ck_suppressed_address_reason_is_known"),
        ),
        sa.PrimaryKeyConstraint("partition", "address", name=op.f("pk_suppressed_address")),
        comment="Addresses to which nothing is sent, whoever has them, in the partition of the address.",
    )
    op.add_column(
        "suppression",
        sa.Column(
            "noted", sa.Boolean(), comment="true once the address is suppressed for everybody; NULL before"
        ),
    )

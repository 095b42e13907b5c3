"""How far a broadcast has come in a partition, until all who were there have been told.

Older software does not look at it: it tells a whole partition at once, and whoever was told before is not told again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None
requires_software = None


def upgrade() -> None:
    op.create_table(
        "broadcast_hearing",
        sa.Column("partition", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("broadcast", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column(
            "last",
            sa.BigInteger(),
            nullable=False,
            comment="the last contact that was there when the partition began to hear it",
        ),
        sa.Column("reached", sa.BigInteger(), nullable=False, comment="the last contact that was looked at"),
        sa.Column(
            "portion",
            sa.BigInteger(),
            nullable=False,
            comment="while they are looked at, the last contact of those that are next",
        ),
        sa.PrimaryKeyConstraint("partition", "broadcast", name=op.f("pk_broadcast_hearing")),
        comment="Broadcasts that a partition is hearing, and how far they have come there.",
    )

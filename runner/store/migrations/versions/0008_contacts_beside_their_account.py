"""Where contacts lie that share an account, and how they are found there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runner.store.types import ByCodePoint

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
requires_software = None


def upgrade() -> None:
    op.add_column(
        "contact",
        sa.Column(
            "belongs_in",
            sa.SmallInteger(),
            comment="the partition of its account, to which it is to be moved; NULL where it lies there",
        ),
    )
    op.add_column(
        "contact",
        sa.Column(
            "made_in",
            sa.SmallInteger(),
            comment="the partition in which it was made, which its messages are known by; NULL where it lies there",
        ),
    )
    op.create_table(
        "placement",
        sa.Column(
            "partition", sa.SmallInteger(), autoincrement=False, nullable=False, comment="that of the key"
        ),
        sa.Column("key", ByCodePoint(), nullable=False),
        sa.Column(
            "placed_in", sa.SmallInteger(), nullable=False, comment="the partition in which the contact lies"
        ),
        sa.PrimaryKeyConstraint("partition", "key", name=op.f("pk_placement")),
        comment="Contacts that do not lie in the partition of their own key, but in that of their account.",
    )

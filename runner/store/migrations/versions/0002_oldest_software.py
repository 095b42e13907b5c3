"""A database says which software may use it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runner.store.types import ByCodePoint

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
requires_software = None


def upgrade() -> None:
    op.add_column(
        "deployment",
        sa.Column(
            "oldest_software",
            ByCodePoint(),
            nullable=False,
            server_default="0001",
            comment="the newest schema revision that software must know to run here",
        ),
    )

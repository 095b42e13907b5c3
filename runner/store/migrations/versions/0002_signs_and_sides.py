"""Indexes of what needs somebody's attention, and the oldest software that may run on this schema."""

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
    op.create_index(
        "ix_message_unknown",
        "message",
        ["let_go_at"],
        unique=False,
        postgresql_where=sa.text("status = 'unknown'"),
        sqlite_where=sa.text("status = 'unknown'"),
    )
    op.create_index(
        "ix_run_set_aside",
        "run",
        ["ended_at"],
        unique=False,
        postgresql_where=sa.text("status = 'set_aside'"),
        sqlite_where=sa.text("status = 'set_aside'"),
    )

"""Indexes of what needs somebody's attention."""

from __future__ import annotations

from runner.store.migrations.online import create_index

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
requires_software = None


def upgrade() -> None:
    create_index("ix_message_unknown", "message", ["let_go_at"], where="status = 'unknown'")
    create_index("ix_run_set_aside", "run", ["ended_at"], where="status = 'set_aside'")

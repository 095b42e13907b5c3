"""An index by which active runs of a version are found."""

from __future__ import annotations

from runner.store.migrations.online import create_index

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
requires_software = None


def upgrade() -> None:
    create_index("ix_run_version", "run", ["version"], where="status = 'active'")

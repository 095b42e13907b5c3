"""Suppressions that are not noted for everybody yet are found at once."""

from __future__ import annotations

from runner.store.migrations.online import create_index

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None
requires_software = None


def upgrade() -> None:
    create_index("ix_suppression_to_note", "suppression", ["partition", "contact"], where="noted IS NULL")

"""An index of the contacts that are to be moved."""

from __future__ import annotations

from runner.store.migrations.online import create_index

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
requires_software = None


def upgrade() -> None:
    create_index("ix_contact_misplaced", "contact", ["partition"], where="belongs_in IS NOT NULL")

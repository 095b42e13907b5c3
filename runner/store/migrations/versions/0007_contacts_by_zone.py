"""An index by which those are found for whom a schedule in their own time zone fires."""

from __future__ import annotations

from runner.store.migrations.online import create_index

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
requires_software = None


def upgrade() -> None:
    create_index("ix_contact_timezone", "contact", ["partition", "timezone", "id"])

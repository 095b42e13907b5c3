"""An index by which colleagues are found."""

from __future__ import annotations

from runner.store.migrations.online import create_index

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
requires_software = None


def upgrade() -> None:
    create_index("ix_contact_account", "contact", ["partition", "account"], where="account IS NOT NULL")

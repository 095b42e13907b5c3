"""Of very many suppressions that are not noted for everybody yet, those of an address are found at once."""

from __future__ import annotations

from sqlalchemy import text

from runner.store.migrations.online import create_index

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None
requires_software = None


def upgrade() -> None:
    create_index("ix_suppression_spelled", "suppression", [text("lower(address)")], where="noted IS NULL")

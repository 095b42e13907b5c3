"""PostgreSQL believes that a contact has several events, as it is told in new databases: see store/statistics.py."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None
requires_software = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE event ALTER COLUMN contact SET (n_distinct = -0.001)")

"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runner.store.database import functions

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for sequence in ("contact_id_seq", "event_id_seq"):
            op.execute(sa.schema.CreateSequence(sa.Sequence(sequence)))
        for statement in functions.POSTGRESQL_DDL:
            op.get_bind().exec_driver_sql(statement)

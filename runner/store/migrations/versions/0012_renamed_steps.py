"""What steps were called in earlier versions is kept, whatever becomes of the entry that said so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runner.store.types import Json

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None
requires_software = None


def upgrade() -> None:
    op.add_column(
        "journey",
        sa.Column(
            "renames", Json(), comment="by a former id of a step, the one that followed it; NULL: not known"
        ),
    )

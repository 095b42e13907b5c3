"""From here on contacts lie beside those who share their account. Software that looks for them by their own key alone
would not find them, and make them a second time."""

from __future__ import annotations

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
requires_software = "0009"


def upgrade() -> None:
    pass

"""Journeys are paused and stopped, and changed under the people who are in them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runner.store.types import ByCodePoint, Instant

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
requires_software = None

STATE = "ck_journey_state_is_known"
STATES = "state IN ('live', 'paused', 'stopped')"


def upgrade() -> None:
    op.add_column(
        "run",
        sa.Column(
            "leaves_by",
            ByCodePoint(),
            comment="the outcome by which it leaves its step once its journey, which was paused, lets it",
        ),
    )
    op.add_column(
        "run",
        sa.Column(
            "carried",
            sa.SmallInteger(),
            nullable=False,
            server_default=sa.text("0"),
            comment="how often it was carried over into another version",
        ),
    )
    if op.get_context().dialect.name == "postgresql":
        _change_journeys()
    else:
        _copy_journeys()


def _resumed_at() -> sa.Column[object]:
    return sa.Column(
        "resumed_at",
        Instant(),
        comment="the end of its last pause; what was received before enters it no more",
    )


def _change_journeys() -> None:
    op.add_column("journey", _resumed_at())
    op.drop_constraint(op.f(STATE), "journey")
    op.create_check_constraint(op.f(STATE), "journey", STATES)


def _copy_journeys() -> None:
    """SQLite changes a constraint by a new table."""
    op.create_table(
        "journey_now",
        sa.Column("name", ByCodePoint(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "since",
            Instant(),
            nullable=False,
            comment="its first apply; what is received from then on enters it",
        ),
        sa.Column("state", ByCodePoint(), nullable=False),
        _resumed_at(),
        sa.CheckConstraint(STATES, name=op.f(STATE)),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_journey")),
        sa.ForeignKeyConstraint(["version"], ["journey_version.id"], name=op.f("fk_journey_version")),
        comment="The version of each journey that contacts enter.",
    )
    op.execute(
        "INSERT INTO journey_now (name, version, since, state) SELECT name, version, since, state FROM journey"
    )
    op.drop_table("journey")
    op.rename_table("journey_now", "journey")

"""What all tables share: their metadata, and how a status is kept to its enum."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import CheckConstraint, MetaData


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """Keeps a column to the values of an enum."""
    return CheckConstraint(
        f"{column} IN ({', '.join(repr(v.value) for v in values)})", name=f"{column}_is_known"
    )


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

"""Run by Alembic for each command: revisions run on the connection that it was given, each in a transaction of its
own, which also writes down which software may go on."""

from __future__ import annotations

from typing import Any, cast

from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo
from sqlalchemy import update

from runner.store.tables import deployment, metadata


def write_down(*, ctx: MigrationContext, step: MigrationInfo, heads: Any, run_args: Any) -> None:  # noqa: ARG001
    """After a contraction only software that knows what it requires may use the database."""
    script = context.script.get_revision(str(step.up_revision_id))
    required = getattr(script.module, "requires_software", None)
    if required is not None:
        assert ctx.connection is not None
        ctx.connection.execute(update(deployment).values(oldest_software=required))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=True,
    # Alembic calls it by these names, and declares it by place.
    on_version_apply=cast(Any, write_down),
)
with context.begin_transaction():
    context.run_migrations()

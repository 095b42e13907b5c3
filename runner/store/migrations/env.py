"""Run by Alembic for each command: revisions run on the connection that ``configuration`` was given."""

from __future__ import annotations

from alembic import context

from runner.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()

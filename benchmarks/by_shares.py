"""How SQL by hand goes through a large store: in shares of the partitions, a batch a transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import text

from runner.store.database import Database
from runner.store.passes.working import steady_plans


def in_shares(
    database: Database, table: str, create: str, find: str, statements: Sequence[str], batch: int
) -> int:
    """Runs ``find`` and then ``statements``, as long as it finds any; answers how many rows it found. It fills the
    temporary ``table``, which ``create`` makes, with up to ``batch`` rows of the partitions of ``{among}``."""
    done = 0
    for among in _shares(database, batch):
        finding = find.replace("{among}", among)
        while found := _batch(database, table, create, finding, statements):
            done += found
    return done


def _batch(database: Database, table: str, create: str, find: str, statements: Sequence[str]) -> int:
    """One transaction; answers how many rows ``find`` found."""
    with database.begin() as connection:
        steady_plans(connection)
        connection.exec_driver_sql(create)
        if database.dialect == "sqlite":
            connection.exec_driver_sql(f"DELETE FROM {table}")
        found = connection.exec_driver_sql(find).rowcount
        if found:
            if database.dialect == "postgresql":
                connection.exec_driver_sql(f"ANALYZE {table}")
            for statement in statements:
                connection.exec_driver_sql(statement)
        return found


def _shares(database: Database, batch: int) -> Iterator[str]:
    """The partitions in shares of about a batch, each a condition in SQL: whoever goes through a large table in batches
    does not want to step over what the batches before have left in its indexes."""
    partitions = database.deployment.partitions
    with database.read() as connection:
        contacts = connection.execute(text("SELECT count(*) FROM contact")).scalar_one()
    share = max(1, batch * partitions // contacts)
    for first in range(0, partitions, share):
        yield f"partition BETWEEN {first} AND {first + share - 1}"

"""Runs on which the database itself fails, so that the engine sets them aside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import text

from runner.engine.poison import tick_past_poison
from tests.shop import START, Shop


def tick_all(shop: Shop, now: datetime = START) -> None:
    """Handle all that is due, past whom nothing can be done with."""
    while tick_past_poison(shop.database, shop.versions, now).more:
        pass


@contextmanager
def failing_runs(shop: Shop, *keys: str) -> Iterator[None]:
    """While it lasts no run of these contacts can come to its end: the database refuses it."""
    with failing(shop, "UPDATE ON run", "NEW.status = 'completed'", *keys):
        yield


@contextmanager
def failing(shop: Shop, what: str, which: str, *keys: str) -> Iterator[None]:
    """While it lasts the database refuses ``what`` of these contacts where ``which`` holds of the new row."""
    table = what.split()[-1]
    with shop.database.begin() as connection:
        found = connection.execute(text("SELECT partition, id, key FROM contact")).all()
        of = " OR ".join(
            f"(NEW.partition = {partition} AND NEW.contact = {number})"
            for partition, number, key in found
            if key in keys
        )
        when = f"{which} AND ({of})"
        if shop.database.dialect == "sqlite":
            connection.exec_driver_sql(
                f"CREATE TRIGGER poison BEFORE {what} WHEN {when} BEGIN SELECT RAISE(ABORT, 'poison'); END"
            )
        else:
            connection.exec_driver_sql(
                "CREATE OR REPLACE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN IF {when} THEN RAISE EXCEPTION 'poison'; END IF; RETURN NEW; END $$"
            )
            connection.exec_driver_sql(
                f"CREATE TRIGGER poison BEFORE {what} FOR EACH ROW EXECUTE FUNCTION poison()"
            )
    yield
    with shop.database.begin() as connection:
        on = "" if shop.database.dialect == "sqlite" else f" ON {table}"
        connection.exec_driver_sql(f"DROP TRIGGER poison{on}")

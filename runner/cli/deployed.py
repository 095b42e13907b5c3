"""What the commands share that show and settle single rows of a deployment's database."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.store.database import Database


@contextmanager
def found_database(project: Path) -> Iterator[Database]:
    """The project's database, which must be there."""
    from runner.problem import JourneysError
    from runner.settings import load_settings
    from runner.store.database import Database

    database = Database.find(load_settings(project, os.environ).database_url)
    if database is None:
        raise JourneysError("there is no database yet, and so nothing in it")
    try:
        yield database
    finally:
        database.close()


def want_journey(database: Database, name: str | None) -> None:
    """Raise JourneysError where ``name`` is none of the journeys that were ever applied."""
    from runner.journey.shown import printable
    from runner.journey.words import did_you_mean, listed
    from runner.problem import JourneysError
    from runner.store.journeys.in_force import in_force

    with database.read() as connection:
        known = [journey for journey, *_ in in_force(connection)]
    if name is None or name in known:
        return
    there_are = f"There are: {listed(known, 'and')}." if known else "Nothing was applied yet."
    raise JourneysError(f"There is no journey {printable(name)!r}. {did_you_mean(name, known) or there_are}")


def table(lines: Sequence[Sequence[str]]) -> str:
    """The cells in columns, each as wide as its widest."""
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def left_out(more: int, shown: int) -> str:
    """The last line of a table that shows ``shown`` rows and leaves out ``more``; empty where it leaves out none."""
    return f"\n{more:,} more: `--limit {shown + more}` shows all." if more else ""

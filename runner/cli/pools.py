"""``journeys pools``: the values that steps draw."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from runner.cli.options import format_option, project_option


@click.group("pools")
def command() -> None:
    """Import the values that steps draw, and show how many are left."""


@command.command("show")
@project_option
@format_option
def show(project: Path, output_format: str) -> int:
    """Show how many values each pool has left.

    What was drawn for a message that was blocked or cancelled counts as free again.

    Exit codes: 0 in order, 1 an error that you can mend, 2 wrong usage, 3 a bug of ours.
    """
    import json

    from runner.cli.deployed import found_database
    from runner.store.sending.pools import pool_status

    with found_database(project) as database, database.begin() as connection:
        pools = pool_status(connection)
    if output_format == "json":
        click.echo(json.dumps([{"pool": one.name, "free": one.free, "drawn": one.drawn} for one in pools]))
        return 0
    for one in pools:
        click.echo(f"{one.name}: {one.free:,} free, {one.drawn:,} drawn")
    if not pools:
        click.echo("No pool has values. `journeys pools import` reads them.")
    return 0


@command.command("import")
@click.argument("pool", required=False)
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@project_option
@format_option
def import_command(pool: str | None, file: Path | None, project: Path, output_format: str) -> int:
    """Import the values of POOL from FILE, or those of all pools from the files that the catalog names.

    A file has a value a line; of a CSV file the first column counts. Values are drawn in the order of the file. One
    that the pool has, drawn or not, changes nothing, so a file that has grown can be imported again.

    Exit codes: 0 everything went in, 1 an error that you can mend, 2 wrong usage, 3 a bug of ours.
    """
    import json
    import os

    from runner.cli.importing import load_catalog
    from runner.journey.project import FOLDER
    from runner.journey.words import known
    from runner.problem import JourneysError
    from runner.settings import load_settings
    from runner.store.database import Database
    from runner.store.sending.pools import import_values

    declared = load_catalog(project).pools
    if pool is not None and pool not in declared:
        raise JourneysError(f"There is no pool {pool!r}. {known('pool', declared, pool)}")
    if not declared:
        raise JourneysError("The catalog declares no pools.")
    paths = {name: project / FOLDER / path for name, path in declared.items() if pool in (None, name)}
    if pool is not None and file is not None:
        paths = {pool: file}
    missing = [path for path in paths.values() if not path.is_file()]
    if missing:
        raise JourneysError(f"There is no file {missing[0]}.")
    database = Database.open(load_settings(project, os.environ).database_url)
    new = {}
    try:
        for name, path in paths.items():
            with database.begin() as connection:
                new[name] = import_values(connection, name, _values(path))
    finally:
        database.close()
    if output_format == "json":
        click.echo(json.dumps(new))
    else:
        for name, count in new.items():
            click.echo(f"{name}: {count:,} new values")
    return 0


def _values(path: Path) -> Iterator[str]:
    """The first cell of each line; empty lines are left out. Raises JourneysError for a file that is not UTF-8."""
    import csv

    from runner.problem import JourneysError

    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            for row in csv.reader(lines):
                if row and row[0].strip():
                    yield row[0].strip()
    except UnicodeDecodeError as error:
        raise JourneysError(f"{path} is not UTF-8.") from error

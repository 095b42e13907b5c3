"""``journeys events``: import events."""

from __future__ import annotations

from pathlib import Path

import click

from runner.cli.options import format_option, project_option


@click.group("events")
def command() -> None:
    """Import events."""


@command.command("import")
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@project_option
@format_option
@click.option("--live", is_flag=True, help="Let journeys react; without it, the events are history.")
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=5_000,
    show_default=True,
    metavar="N",
    help="Store N lines in one transaction.",
)
def import_command(files: tuple[Path, ...], project: Path, output_format: str, live: bool, batch: int) -> int:
    """Import events from Segment-spec NDJSON (track and identify calls) or CSV; a name that ends with .gz
    is gzip.

    A CSV file has the columns userId (or id, key), event, timestamp and perhaps messageId; every other
    column is a property. A file that is imported again changes nothing: an event is known by its
    messageId, or by its whole line.

    Exit codes: 0 everything went in, 1 a line was rejected (the rest went in) or an error that you can
    mend, 2 wrong usage, 3 a bug of ours. Rejected lines are kept in .journeys/rejected/ of the project,
    to be mended and imported again.
    """
    from runner.cli.importing import import_files, load_catalog

    return import_files(
        project, load_catalog(project), files, pending=live, batch=batch, output_format=output_format
    )

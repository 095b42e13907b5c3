"""``journeys status``: the journeys in force, people on each step, messages by state."""

from __future__ import annotations

import os
from pathlib import Path

import click

from runner.cli.examples import examples
from runner.cli.options import format_option, project_option, want_deployment


@click.command("status", epilog=examples("status"))
@project_option
@format_option
@click.option("--database", "url", metavar="URL", help="Another database than the one of the settings.")
def command(project: Path, output_format: str, url: str | None) -> int:
    """Show the journeys, the people on each step, and the messages by state."""
    import json

    from runner.clock import utc_now
    from runner.insight.status import NOTHING, read_status, status_json, status_text
    from runner.settings import load_settings
    from runner.store.database import Database

    if url is None:
        want_deployment(project)
    # Whoever looks makes nothing.
    url = load_settings(project, os.environ).database_url if url is None else url
    database = Database.find(url)
    status = NOTHING
    if database is None:
        name = Database.as_found(url).name
        click.echo(f"There is no database at {name}: `journeys apply` makes it.", err=True)
    else:
        try:
            status = read_status(database)
        finally:
            database.close()
    if output_format == "json":
        click.echo(json.dumps(status_json(status), indent=2, ensure_ascii=False))
    else:
        click.echo(status_text(status, utc_now()))
    return 0

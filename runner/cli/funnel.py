"""``journeys funnel``: people on each step of the sales funnel, and the revenue to expect of them."""

from __future__ import annotations

import os
from pathlib import Path

import click

from runner.cli.options import format_option, project_option, want_deployment


@click.command("funnel")
@project_option
@format_option
@click.option("--database", "url", metavar="URL", help="Another database than the one of the settings.")
def command(project: Path, output_format: str, url: str | None) -> int:
    """Show how many people stand on each step of the catalog's funnel, and what revenue that forecasts.

    Everybody stands on the last step that holds of them now. Exit codes: 0 shown, 1 the files have errors, 4 there is
    no funnel, or no database yet.
    """
    import json

    from runner.clock import utc_now
    from runner.insight.funnel import funnel_json, funnel_text, read_funnel
    from runner.journey.project import load_project, read_files
    from runner.problem import ProblemsFound, Severity
    from runner.settings import load_settings
    from runner.store.database import Database

    want_deployment(project)
    files = read_files(project)
    loaded = load_project(files)
    errors = tuple(problem for problem in loaded.problems if problem.severity is Severity.ERROR)
    if errors:
        raise ProblemsFound(errors, files)
    if not loaded.catalog.funnel:
        click.echo("The catalog has no `funnel`.", err=True)
        return 4
    # Whoever looks makes nothing.
    database = Database.find(load_settings(project, os.environ).database_url if url is None else url)
    if database is None:
        click.echo("There is no database yet: `journeys apply` makes it.", err=True)
        return 4
    try:
        rows = read_funnel(database, loaded.catalog, utc_now())
    finally:
        database.close()
    click.echo(
        json.dumps(funnel_json(rows), indent=2, ensure_ascii=False)
        if output_format == "json"
        else funnel_text(rows)
    )
    return 0

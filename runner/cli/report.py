"""``journeys report``: what messages led to, those who were treated against those who were held out."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import click

from runner.cli.examples import examples
from runner.cli.options import project_option, want_deployment

FIRST_YEAR, LAST_YEAR = 1900, 9000


class _Day(click.DateTime):
    """A day, as ISO 8601 writes it."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            day: datetime = super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is no day; write it like 2026-03-01.", param, ctx)
        return day


DAY = _Day(["%Y-%m-%d"])


@click.command("report", epilog=examples("report"))
@project_option
@click.option(
    "--since", type=DAY, metavar="DAY", help="What was sent, and who entered, on this day or later."
)
@click.option(
    "--until", type=DAY, metavar="DAY", help="What was sent, and who entered, up to the end of this day."
)
@click.option("--journey", metavar="NAME", help="This journey alone, and what other tools sent.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
    help="How to print the result.",
)
@click.option("--database", "url", metavar="URL", help="Another database than the one of the settings.")
def command(
    project: Path,
    since: datetime | None,
    until: datetime | None,
    journey: str | None,
    output_format: str,
    url: str | None,
) -> int:
    """Show what messages led to, by journey, message and month: opened, clicked, goals and their value; how those who
    were treated did against those who were held out; and the campaigns of other tools, as the catalog declares them.

    Days are those of the catalog's time zone. Exit codes: 0 shown, 1 the files have errors, or there is no such
    journey, 4 there is no database yet.
    """
    import json

    from runner.insight.results import read_results
    from runner.insight.results_shown import results_csv, results_json, results_text
    from runner.journey.project import load_project, read_files
    from runner.problem import ProblemsFound, Severity
    from runner.settings import load_settings
    from runner.store.database import Database

    if since and until and until < since:
        raise click.UsageError("--until is before --since.")
    for option, day in (("--since", since), ("--until", until)):
        if day and not FIRST_YEAR <= day.year <= LAST_YEAR:
            raise click.UsageError(
                f"{option} is no day from {FIRST_YEAR} to {LAST_YEAR}; leave it out for no limit."
            )
    want_deployment(project)
    files = read_files(project)
    loaded = load_project(files)
    errors = tuple(problem for problem in loaded.problems if problem.severity is Severity.ERROR)
    if errors:
        raise ProblemsFound(errors, files)
    # Whoever looks makes nothing.
    database = Database.find(load_settings(project, os.environ).database_url if url is None else url)
    if database is None:
        click.echo("There is no database yet: `journeys apply` makes it.", err=True)
        return 4
    try:
        results = read_results(
            database,
            loaded,
            since=since.date() if since else None,
            until=until.date() if until else None,
            journey=journey,
        )
    finally:
        database.close()
    if output_format == "json":
        click.echo(json.dumps(results_json(results), indent=2, ensure_ascii=False))
    elif output_format == "csv":
        click.echo(results_csv(results), nl=False)
    else:
        click.echo(results_text(results))
    return 0

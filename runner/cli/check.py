"""``journeys check``: every mistake in the files of a project, each at its place."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from runner.cli.examples import examples
from runner.cli.options import format_option, no_journeys, project_option

NOTHING_TO_CHECK = 4


@click.command("check", epilog=examples("check"))
@project_option
@format_option
@click.option("--strict", is_flag=True, help="Warnings count as findings too.")
@click.option(
    "--prove",
    is_flag=True,
    help="Ask Z3 about every condition: finds more, takes longer. Needs the extra `prove`.",
)
def command(project: Path, output_format: str, strict: bool, prove: bool) -> int:
    """Find every mistake in the files of a project.

    Exit codes: 0 clean, 1 findings, 2 wrong usage, 3 a bug of ours, 4 nothing to check.
    """
    from runner.journey.project import FOLDER
    from runner.review.check import check_folder
    from runner.review.proof.solver import solver
    from runner.review.reporters import counted, json_report, summary, text_report

    if not (project / FOLDER).is_dir():
        if output_format == "json":
            click.echo(json_report((), 0))
        click.echo(f"Nothing to check: {no_journeys(project)}", err=True)
        return NOTHING_TO_CHECK
    checked = check_folder(project, solver() if prove else None)
    if output_format == "json":
        click.echo(json_report(checked.problems, checked.journeys))
    elif checked.problems:
        click.echo(text_report(checked.problems, checked.sources, colour=sys.stdout.isatty()))
        click.echo("\n" + summary(checked.problems))
    if checked.errors or (strict and checked.problems):
        return 1
    if checked.journeys == 0:
        click.echo(f"Nothing to check: {no_journeys(project)}", err=True)
        return NOTHING_TO_CHECK
    if output_format == "text" and not checked.problems:
        click.echo(f"No problems in {counted(checked.journeys, 'journey')}.")
    return 0

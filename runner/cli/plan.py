"""``journeys plan``: what applying the working tree would do."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from runner.cli.options import format_option, project_option

NOTHING_TO_DO, ERRORS, CHANGES, NOTHING_TO_PLAN = 0, 1, 2, 4


@click.command("plan")
@project_option
@format_option
def command(project: Path, output_format: str) -> int:
    """Say what `journeys apply` would do, to which people, and what it would refuse. Nothing is changed.

    For each journey: whether it is new, changed, unchanged, retired or removed; how many people stand at each step of
    each version, and whether they finish that version (and by when at the latest), come over into the new one, or
    leave; how many are overdue through it, and until when they are released; how many match its trigger already.

    Exit codes: 0 nothing to apply, 1 errors: `apply` would refuse, 2 changes to apply (or wrong usage, which says so),
    3 a bug of ours, 4 no journeys.
    """
    from runner.clock import utc_now
    from runner.journey.project import FOLDER, load_project, read_files
    from runner.problem import ProblemsFound
    from runner.review.check import check_folder
    from runner.review.plan import plan
    from runner.review.plan_report import plan_json, plan_text
    from runner.settings import load_settings
    from runner.store.database import Database

    if not (project / FOLDER).is_dir():
        click.echo(f"Nothing to plan: there is no folder {FOLDER}/ in {project.resolve()}.", err=True)
        return NOTHING_TO_PLAN
    checked = check_folder(project)
    if checked.errors:
        raise ProblemsFound(checked.problems, checked.sources)
    settings = load_settings(project, os.environ)
    database = Database.find(settings.database_url)
    try:
        found = plan(
            database,
            load_project(read_files(project)),
            now=utc_now(),
            released_per_minute=settings.limits.released_per_minute,
        )
    finally:
        if database is not None:
            database.close()
    if output_format == "json":
        click.echo(plan_json(found))
    else:
        click.echo(plan_text(found, checked.sources, colour=sys.stdout.isatty()))
    return ERRORS if found.problems else CHANGES if found.changes else NOTHING_TO_DO

"""``journeys plan``: what applying the working tree would do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from runner.cli.examples import examples
from runner.cli.options import format_option, no_journeys, project_option

if TYPE_CHECKING:
    from runner.review.check import Checked
    from runner.review.planned import Plan
    from runner.store.database import Found

NOTHING_TO_DO, ERRORS, NOTHING_TO_PLAN, CHANGES = 0, 1, 4, 5


@click.command("plan", epilog=examples("plan"))
@project_option
@format_option
@click.option("--database", "url", metavar="URL", help="Another database than the one of the settings.")
def command(project: Path, output_format: str, url: str | None) -> int:
    """Say what `journeys apply` would do, to which people, and what it would refuse. Nothing is changed.

    For each journey: whether it is new, changed, unchanged, retired or removed; how many people stand at each step of
    each version, and whether they finish that version (and by when at the latest), come over into the new one, or
    leave; how many are overdue through it, and until when they are released; how many match its trigger already.

    Exit codes: 0 nothing to apply, 1 errors: `apply` would refuse, 2 wrong usage, 3 a bug of ours, 4 no journeys,
    5 changes to apply.
    """
    from runner.journey.project import FOLDER
    from runner.problem import ProblemsFound, Severity
    from runner.review.check import check_folder
    from runner.review.plan_report import compared_with_nothing, plan_json, plan_text
    from runner.review.planned import Plan

    if not (project / FOLDER).is_dir():
        if output_format == "json":
            click.echo(plan_json(Plan(journeys=(), problems=()), database=None, found=False))
        click.echo(f"Nothing to plan: {no_journeys(project)}", err=True)
        return NOTHING_TO_PLAN
    checked = check_folder(project)
    try:
        found, database, there = _planned(project, url, checked)
    except ProblemsFound as wrong:
        errors = tuple(each for each in wrong.problems if each.severity is Severity.ERROR)
        warnings = tuple(each for each in wrong.problems if each.severity is not Severity.ERROR)
        found, database, there = Plan(journeys=(), problems=errors, warnings=warnings), None, False
    if output_format == "json":
        click.echo(plan_json(found, database=database, found=there))
    else:
        if database is not None and not there:
            click.echo(compared_with_nothing(database) + "\n")
        click.echo(plan_text(found, checked.sources, colour=sys.stdout.isatty()))
    return ERRORS if found.problems else CHANGES if found.changes else NOTHING_TO_DO


def _planned(project: Path, url: str | None, checked: Checked) -> tuple[Plan, str, bool]:
    """The plan, the URL of the database without secrets, and whether one was there. What is wrong with scenarios alone
    leaves the plan as it is, and is among its problems. Raises ProblemsFound for all other errors."""
    from runner.clock import utc_now
    from runner.journey.project import load_project, read_folder
    from runner.journey.scenario_file import FILE as SCENARIOS
    from runner.problem import ProblemsFound, Severity
    from runner.review.plan import plan
    from runner.settings import load_limits, load_settings

    loaded = load_project(read_folder(project)[0])
    errors = tuple(each for each in checked.problems if each.severity is Severity.ERROR)
    if any(PurePosixPath(each.span.file).name != SCENARIOS or each in loaded.problems for each in errors):
        raise ProblemsFound(checked.problems, checked.sources)
    # Where the database is named, the secrets of the settings need not be there.
    if url is None:
        url = load_settings(project, os.environ).database_url
    with _as_found(url) as database:
        found = plan(
            database.database,
            loaded,
            now=utc_now(),
            released_per_minute=load_limits(project).released_per_minute,
        )
    return replace(found, problems=(*found.problems, *errors)), database.name, database.database is not None


@contextmanager
def _as_found(url: str) -> Iterator[Found]:
    """The database at ``url`` as it is, and it stays so: a plan migrates nothing."""
    from runner.problem import JourneysError
    from runner.store.database import Database, behind
    from runner.store.migrations import Standing

    found = Database.as_found(url)
    if found.standing is Standing.BEHIND and found.database is None:
        raise behind(found.name)
    if found.too_new is not None:
        raise JourneysError(found.too_new)
    try:
        yield found
    finally:
        if found.database is not None:
            found.database.close()

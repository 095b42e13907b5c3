"""``journeys apply``: the journeys of the working tree become the versions that contacts enter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.options import format_option, project_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.engine.apply import Applied

NOTHING_TO_APPLY = 4


@click.command("apply")
@project_option
@format_option
def command(project: Path, output_format: str) -> int:
    """Store the journeys as the versions that the daemon runs.

    Refuses what `journeys check` refuses. Contacts heard of from now on enter the new versions; whoever
    is in an older one finishes it. A journey that has not changed stays as it is, and so does one whose
    files are gone: the command says so.

    Exit codes: 0 applied, 1 findings, 2 wrong usage, 3 a bug of ours, 4 nothing to apply.
    """
    import json
    import os

    from runner.cli.who import author
    from runner.clock import utc_now
    from runner.engine.apply import apply_project
    from runner.journey.project import FOLDER, load_project, read_files
    from runner.problem import ProblemsFound
    from runner.review.check import check_folder
    from runner.settings import load_settings
    from runner.store.database import Database

    if not (project / FOLDER).is_dir():
        click.echo(f"Nothing to apply: there is no folder {FOLDER}/ in {project.resolve()}.", err=True)
        return NOTHING_TO_APPLY
    checked = check_folder(project)
    if checked.errors:
        raise ProblemsFound(checked.problems, checked.sources)
    loaded = load_project(read_files(project))
    if not loaded.journeys:
        click.echo(f"Nothing to apply: {FOLDER}/ holds no journey.", err=True)
        return NOTHING_TO_APPLY
    database = Database.open(load_settings(project, os.environ).database_url)
    try:
        applied = apply_project(
            database, loaded, now=utc_now(), author=author(project), git_commit=_commit(project)
        )
    finally:
        database.close()
    if output_format == "json":
        rows = [{"journey": one.journey, "outcome": one.outcome, "hash": one.hash} for one in applied]
        click.echo(json.dumps({"journeys": rows}, indent=2))
    else:
        click.echo(_text(applied))
    return 0


def _text(applied: Sequence[Applied]) -> str:
    from runner.engine.apply import Outcome

    width = max(len(one.journey) for one in applied)
    lines = []
    for one in applied:
        line = f"{one.journey:<{width}}  {one.outcome:<9}  {one.hash[:12]}"
        if one.outcome is Outcome.ABSENT:
            line += "  its files are gone; contacts still enter what was applied"
        lines.append(line)
    return "\n".join(lines)


def _commit(project: Path) -> str | None:
    """The commit of the working tree, marked where its journeys differ from it; None outside a repository."""
    from runner.cli.who import git

    commit = git(project, "rev-parse", "HEAD")
    changed = git(project, "status", "--porcelain", "--", "journeys")
    return f"{commit}+changes" if commit and changed else commit

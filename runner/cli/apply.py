"""``journeys apply``: the journeys of the working tree become the versions that contacts enter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.examples import examples
from runner.cli.options import format_option, no_journeys, project_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.engine.apply import Applied
    from runner.problem import ProblemsFound

NOTHING_TO_APPLY = 4


@click.command("apply", epilog=examples("apply"))
@project_option
@format_option
def command(project: Path, output_format: str) -> int:
    """Store the journeys as the versions that the daemon runs.

    Refuses what `journeys check` refuses. Contacts heard of from now on enter the new versions; whoever
    is in an older one finishes it, or follows into the new one where the journey says `in_flight: follow`.
    Refuses to leave anybody behind, and to forget a journey whose file is gone and that was not retired.

    Exit codes: 0 applied, 1 findings, 2 wrong usage, 3 a bug of ours, 4 nothing to apply.
    """
    import json
    import os

    from runner.cli.who import author
    from runner.clock import utc_now
    from runner.engine.apply import apply_project
    from runner.journey.pools import drawn_from
    from runner.journey.project import FOLDER, load_project, read_files
    from runner.problem import ProblemsFound
    from runner.review.check import check_folder
    from runner.review.reporters import refused_json
    from runner.settings import load_settings
    from runner.store.database import Database
    from runner.store.sending.pools import empty_pools

    for_programs = output_format == "json"
    checked = check_folder(project) if (project / FOLDER).is_dir() else None
    if checked is not None and checked.errors:
        return _refused(ProblemsFound(checked.problems, checked.sources), for_programs)
    loaded = load_project(read_files(project)) if checked is not None else None
    if loaded is None or not loaded.journeys:
        if for_programs:
            click.echo(refused_json(()))
        click.echo(f"Nothing to apply: {no_journeys(project)}", err=True)
        return NOTHING_TO_APPLY
    settings = load_settings(project, os.environ)
    database = Database.open(settings.database_url)
    try:
        applied = apply_project(
            database,
            loaded,
            now=utc_now(),
            author=author(project),
            git_commit=_commit(project),
            released_per_minute=settings.limits.released_per_minute,
        )
        draws = drawn_from(loaded.journeys.values())
        with database.read() as connection:
            empty = {pool: draws[pool] for pool in empty_pools(connection, draws)}
    except ProblemsFound as refused:
        return _refused(refused, for_programs)
    finally:
        database.close()
    if for_programs:
        rows = [_row(one) for one in applied]
        told = {"journeys": rows, "empty_pools": [{"pool": each, "journeys": empty[each]} for each in empty]}
        told["problems"] = []
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo(_text(applied))
        for pool, names in empty.items():
            they_draw = f"{', '.join(names)} {'draws' if len(names) == 1 else 'draw'}"
            click.echo(f"Pool {pool} is empty, and {they_draw} from it: `journeys pools import {pool}`.")
    return 0


def _refused(found: ProblemsFound, for_programs: bool) -> int:
    from runner.review.reporters import refused_json

    if not for_programs:
        raise found
    click.echo(refused_json(found.problems))
    return found.exit_code


def _row(one: Applied) -> dict[str, object]:
    crossed = one.crossed
    people: dict[str, object] = {
        "carried": crossed.carried,
        "moved": crossed.moved,
        "left": crossed.left,
        "overdue": crossed.overdue,
    }
    if crossed.released_until is not None:
        people["released_until"] = crossed.released_until.isoformat()
    return {
        "journey": one.journey,
        "outcome": one.outcome,
        "hash": one.hash,
        "state": one.state.value,
        "people": people,
    }


def _text(applied: Sequence[Applied]) -> str:
    width = max(len(one.journey) for one in applied)
    lines = []
    for one in applied:
        line = f"{one.journey:<{width}}  {one.outcome:<9}  {one.hash[:12]}"
        told = "; ".join(each for each in (_stays(one), _people(one)) if each)
        lines.append(f"{line}  {told}" if told else line)
    return "\n".join(lines)


def _stays(one: Applied) -> str:
    live = one.state is type(one.state).LIVE
    return "" if live else f"it is {one.state.value}, and stays so: `journeys resume {one.journey}`"


def _people(one: Applied) -> str:
    """What became of those who were in older versions; nothing where there was nobody, or they finish those."""
    from runner.review.plan_report import full_minute

    crossed = one.crossed
    counted = {"carried over": crossed.carried, "moved": crossed.moved, "left": crossed.left}
    told = [f"{people:,} {what}" for what, people in counted.items() if people]
    if crossed.released_until is not None:
        told.append(
            f"the time is up of {crossed.overdue:,}, who go on until {full_minute(crossed.released_until)}"
        )
    return ", ".join(told)


def _commit(project: Path) -> str | None:
    """The commit of the working tree, marked where its journeys differ from it; None outside a repository."""
    from runner.cli.who import git

    commit = git(project, "rev-parse", "HEAD")
    changed = git(project, "status", "--porcelain", "--", "journeys")
    return f"{commit}+changes" if commit and changed else commit

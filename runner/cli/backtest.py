"""``journeys backtest``: recorded events through the journeys of the working tree, under virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.examples import examples
from runner.cli.options import format_option, project_option

if TYPE_CHECKING:
    from rich.progress import TaskID

    from runner.review.backtest import Progress
    from runner.store.database import Database


@click.command("backtest", epilog=examples("backtest"))
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@project_option
@format_option
@click.option("--until", metavar="INSTANT", help="Go on until then; without it, until the last event.")
@click.option(
    "--grant",
    "grants",
    metavar="TOPIC[:CHANNEL]",
    multiple=True,
    help="Let everybody have consented to TOPIC from the beginning. May be given several times.",
)
@click.option(
    "--messages",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write every message to FILE, a line of JSON each.",
)
@click.option(
    "--database",
    "url",
    metavar="URL",
    help="Use a PostgreSQL database: a schema of its own, dropped at the end. Without it, SQLite in memory.",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    metavar="N",
    help="Store N events, and advance N contacts, at a time. Changes nothing in what happens.",
)
def command(
    folder: Path,
    project: Path,
    output_format: str,
    until: str | None,
    grants: tuple[str, ...],
    messages: Path | None,
    url: str | None,
    batch: int | None,
) -> int:
    """Replay the events recorded in DIR through the journeys, and report what would have happened.

    DIR holds .ndjson, .ndjson.gz and .csv files, which are read in order of their names. The scratch database
    is thrown away; nothing is sent.

    Exit codes: 0 everything was read, 1 a line was rejected (the report tells of the rest) or an error that you
    can mend, 2 wrong usage, 3 a bug of ours, 4 no project.
    """
    import json
    import sys

    from runner.insight.present import journey_json, journey_text
    from runner.insight.report import journey_numbers
    from runner.journey.project import load_project, read_files
    from runner.problem import ProblemsFound, Severity
    from runner.review.backtest import (
        BATCH,
        parse_grant,
        recordings,
        replay,
        replayed_json,
        replayed_text,
    )
    from runner.review.check import rule_problems
    from runner.store.database import Database

    files = read_files(project)
    loaded = load_project(files)
    problems = (*loaded.problems, *rule_problems(loaded))
    errors = tuple(dict.fromkeys(p for p in problems if p.severity is Severity.ERROR))
    if errors:
        raise ProblemsFound(errors, files)
    paths = recordings(folder)
    granted = [parse_grant(text, loaded.catalog) for text in grants]
    with Database.scratch(url) as database:
        with _progress(sys.stderr.isatty()) as progress:
            replayed = replay(
                database,
                loaded,
                paths,
                grants=granted,
                until=_instant(until) if until else None,
                batch=batch or BATCH,
                progress=progress,
            )
        numbers = journey_numbers(database, loaded.journeys.values())
        if messages is not None:
            _write_messages(database, messages)
    if output_format == "json":
        report = {**replayed_json(replayed), "journeys": [journey_json(one) for one in numbers]}
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        parts = [replayed_text(replayed), *(journey_text(one, states=False) for one in numbers)]
        click.echo("\n\n".join(parts))
    return 1 if replayed.rejected else 0


def _instant(text: str) -> datetime:
    from datetime import UTC

    from runner.journey.scenario_time import read_moment

    try:
        return read_moment(text, None, UTC)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--until") from None


def _write_messages(database: Database, path: Path) -> None:
    from runner.review.backtest import message_json
    from runner.store.watching.reports import message_lines

    with path.open("w", encoding="utf-8", newline="\n") as file, database.read() as connection:
        for line in message_lines(connection):
            file.write(message_json(line) + "\n")


def _progress(on_terminal: bool) -> AbstractContextManager[Progress]:
    """Where progress is shown: a bar on a terminal, nowhere else."""
    from runner.review.backtest import silent

    return _bar() if on_terminal else nullcontext(silent)


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of)
            bar.update(tasks[what], completed=done)

        yield show

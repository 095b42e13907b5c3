"""Options that several commands share, so that they read and behave alike everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


def is_deployment(project: Path) -> bool:
    """Whether the folder holds journeys or settings."""
    from runner.journey.project import FOLDER
    from runner.settings import SETTINGS_FILE

    return (project / FOLDER).is_dir() or (project / SETTINGS_FILE).exists()


def want_deployment(project: Path) -> None:
    """Raise NothingThere for a folder that holds neither journeys nor settings, before a command makes a
    database in it. What runs and looks needs no journeys: they are in the database."""
    from runner.journey.project import FOLDER
    from runner.problem import NothingThere
    from runner.settings import SETTINGS_FILE

    if not is_deployment(project):
        raise NothingThere(
            f"There is no folder {FOLDER}/ in {project.resolve()}, and no {SETTINGS_FILE}."
            " `journeys init` makes a project."
        )


def no_journeys(project: Path) -> str:
    """Why a folder has nothing to check, plan or apply, and what to do."""
    from runner.journey.project import FOLDER

    if (project / FOLDER).is_dir():
        return f"{FOLDER}/ holds no journey."
    return f"there is no folder {FOLDER}/ in {project.resolve()}. `journeys init` makes a project."


def project_option(function: Function) -> Function:
    """``--project DIR``, handed over as ``project: Path``: the folder that holds ``journeys/``."""
    return click.option(
        "--project",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default=Path(),
        show_default="the current folder",
        metavar="DIR",
        help="The folder that holds journeys/.",
    )(function)


def format_option(function: Function) -> Function:
    """``--format text|json``, handed over as ``output_format: str``."""
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="How to print the result.",
    )(function)


def limit_option(function: Function) -> Function:
    """``--limit N``, handed over as ``limit: int``: how many rows to show."""
    return click.option(
        "--limit", type=click.IntRange(min=1), default=100, show_default=True, metavar="N", help="At most N."
    )(function)


def files_argument(function: Function) -> Function:
    """``FILE...``, handed over as ``files: tuple[Path, ...]``: what to import."""
    return click.argument(
        "files",
        metavar="FILE...",
        nargs=-1,
        required=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
    )(function)


def batch_option(function: Function) -> Function:
    """``--batch N``, handed over as ``batch: int``: how many lines of a file to store at a time."""
    return click.option(
        "--batch",
        type=click.IntRange(min=1),
        default=5_000,
        show_default=True,
        metavar="N",
        help="Store N lines in one transaction.",
    )(function)


def yes_option(function: Function) -> Function:
    """``--yes``, handed over as ``yes: bool``: go ahead without asking (see ``want_yes``)."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(function)


def want_yes(question: str, *, yes: bool) -> None:
    """Ask ``question`` on a terminal unless ``yes``. Raises click.Abort for a no, and click.UsageError where nobody is
    there to be asked."""
    import sys

    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to be asked: say --yes.")
    click.confirm(question, abort=True)

"""Options that several commands share, so that they read and behave alike everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


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

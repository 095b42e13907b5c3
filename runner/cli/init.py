"""``journeys init``: a project with one runnable journey, to be changed into one's own."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from runner.problem import JourneysError

SCHEMAS = ("journey", "catalog", "fragment", "tests", "template", "journeys")
"""Copied beside the journeys: the first line of each file tells editors to look there."""

_RENAMED = {"gitignore": ".gitignore"}
_MAY_STAY = frozenset({".gitignore"})
"""Left as they are in a folder that has them: a repository may have one before it has journeys."""


@click.command("init")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path, file_okay=False))
def command(folder: Path) -> None:
    """Write a project with one runnable journey into DIR (the current folder unless said).

    Nothing that exists is overwritten.
    """
    starter = project_files()
    there = sorted(path for path in starter if (folder / path).exists())
    taken = [path for path in there if path not in _MAY_STAY]
    if taken:
        raise JourneysError(
            f"{folder / taken[0]} exists already; nothing was written. Name an empty folder: journeys init my-journeys"
        )
    for path, data in starter.items():
        if path in there:
            continue
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    click.echo(_next_steps(folder))


def project_files() -> dict[str, bytes]:
    """The files of a new project, by path: the starter's, and the schemas for editors."""
    found = dict(_below(files("runner.cli") / "starter", ""))
    for name in SCHEMAS:
        path = f"schema/{name}.schema.json"
        found[path] = (files("schema") / f"{name}.schema.json").read_bytes()
    return found


def _below(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.is_dir():
            if entry.name != "__pycache__":
                found += _below(entry, f"{prefix}{entry.name}/")
        else:
            found.append((prefix + _RENAMED.get(entry.name, entry.name), entry.read_bytes()))
    return found


def _next_steps(folder: Path) -> str:
    here = folder.resolve() == Path.cwd().resolve()
    go = "" if here else f"  cd {folder}\n"
    return f"""A project with one journey, `welcome`, is in {folder.resolve()}.

{go}  journeys check                               look for mistakes
  journeys test                                live its scenarios in virtual time
  journeys apply                               put it into force
  journeys events import --live people.ndjson  three people sign up, now
  journeys run --once                          do what is due: see outbox/
"""

"""``journeys enroll``: have contacts enter a journey by hand."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from runner.cli.examples import examples
from runner.cli.options import batch_option, format_option, project_option


@click.command("enroll", epilog=examples("enroll"))
@click.argument("journey")
@click.option("--contact", metavar="KEY", help="Whom.")
@click.option(
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="All of a file: CSV or NDJSON.",
)
@click.option(
    "--set",
    "values",
    multiple=True,
    metavar="NAME=VALUE",
    help="A property that the run reads as trigger.NAME.",
)
@click.option("--key", metavar="TEXT", help="Do nothing for those who were enrolled with this key before.")
@project_option
@format_option
@batch_option
def command(
    journey: str,
    contact: str | None,
    file: Path | None,
    values: tuple[str, ...],
    key: str | None,
    project: Path,
    output_format: str,
    batch: int,
) -> int:
    """Have contacts enter JOURNEY, which says `manual: true`: one, or those of a file.

    A file is CSV with a column userId (or id, key, contact), or NDJSON with a userId and properties a line; what else
    stands there are properties of the trigger. A file that is given again changes nothing: a line is known by its
    messageId, or by all of it, or, with --key, by its contact. `entry` of the journey decides about those who are in
    it, or have been.

    Exit codes: 0 done, 1 somebody is no contact or a line was rejected (the rest was taken), or an error that you can
    mend, 2 wrong usage, 3 a bug of ours.
    """
    if (contact is None) == (file is None):
        raise click.UsageError("Say either --contact or --file.")
    if file is not None and values:
        raise click.UsageError("--set is for --contact; in a file properties stand beside the contact.")
    return (
        _enroll_file(project, journey, file, key, output_format, batch)
        if file
        else _enroll_one(project, journey, contact or "", values, key, output_format)
    )


def _enroll_file(
    project: Path, journey: str, file: Path, key: str | None, output_format: str, batch: int
) -> int:
    from runner.cli.deployed import found_database
    from runner.cli.importing import import_files
    from runner.engine.enrolling import enrolling
    from runner.engine.versions import load_versions

    with found_database(project) as database:
        how = enrolling(load_versions(database), journey, key)
    return import_files(
        project, how.catalog, [file], pending=True, batch=batch, output_format=output_format, enrolling=how
    )


def _enroll_one(
    project: Path, journey: str, contact: str, values: tuple[str, ...], key: str | None, output_format: str
) -> int:
    from runner.cli.deployed import found_database
    from runner.clock import utc_now
    from runner.engine.enrolling import enroll_one, enrolling
    from runner.engine.versions import load_versions
    from runner.journey.shown import printable

    raw: dict[str, object] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals:
            raise click.UsageError(f"--set {value!r}: write NAME=VALUE.")
        raw[name] = text
    with found_database(project) as database:
        how = enrolling(load_versions(database), journey)
        # Without a key, asking again is another enrollment.
        new = enroll_one(database, how, contact, raw, key or os.urandom(16).hex(), utc_now())
    if output_format == "json":
        click.echo(json.dumps({"journey": journey, "contact": contact, "new": new}, indent=2))
    elif new:
        click.echo(f"{printable(contact)} enters {journey}, as far as its `entry` lets them.")
    else:
        click.echo(f"{printable(contact)} was enrolled in {journey} with this key before; nothing happens.")
    return 0

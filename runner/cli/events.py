"""``journeys events``: import events, and send one to nobody in particular."""

from __future__ import annotations

from pathlib import Path

import click

from runner.cli.examples import examples
from runner.cli.options import batch_option, files_argument, format_option, project_option


@click.group("events")
def command() -> None:
    """Import events, or send a broadcast."""


@command.command("send")
@click.argument("event")
@click.option("--broadcast", is_flag=True, required=True, help="To whoever listens for it.")
@click.option("--set", "values", multiple=True, metavar="NAME=VALUE", help="A property of the event.")
@click.option("--key", metavar="TEXT", help="Do nothing where it was sent with this key before.")
@project_option
@format_option
def send_command(
    event: str, broadcast: bool, values: tuple[str, ...], key: str | None, project: Path, output_format: str
) -> int:
    """Send EVENT, which the catalog declares `broadcast: true`: an article is back in stock, a course is cancelled.

    Exit codes: 0 done, 1 an error that you can mend, 2 wrong usage, 3 a bug of ours.
    """
    import json
    import os

    from runner.cli.deployed import found_database
    from runner.cli.importing import load_catalog
    from runner.clock import utc_now
    from runner.engine.broadcasting import send_broadcast, unheard

    raw: dict[str, object] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals:
            raise click.UsageError(f"--set {value!r}: write NAME=VALUE.")
        raw[name] = text
    catalog = load_catalog(project)
    with found_database(project) as database:
        new = send_broadcast(database, catalog, event, raw, key or os.urandom(16).hex(), utc_now())
        warnings = unheard(database, catalog, event, raw) if new else ()
    if output_format == "json":
        told = {"event": event, "broadcast": broadcast, "new": new, "warnings": warnings}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        click.echo(
            f"{event} was sent." if new else f"{event} was sent with this key before; nothing happens."
        )
        for each in warnings:
            click.echo(f"warning: {each}", err=True)
    return 0


@command.command("import", epilog=examples("events import"))
@files_argument
@project_option
@format_option
@click.option("--live", is_flag=True, help="Let journeys react; without it, the events are history.")
@batch_option
def import_command(files: tuple[Path, ...], project: Path, output_format: str, live: bool, batch: int) -> int:
    """Import events from Segment-spec NDJSON (track and identify calls) or CSV; a name that ends with .gz
    is gzip.

    A CSV file has the columns userId (or id, key), event, timestamp and perhaps messageId; every other
    column is a property. A file that is imported again changes nothing: an event is known by its
    messageId, or by its whole line.

    Exit codes: 0 everything went in, 1 a line was rejected (the rest went in), a bounce, a complaint or an
    unsubscribe names a message that its contact was not sent, so that it suppresses nothing, or an error that you
    can mend, 2 wrong usage, 3 a bug of ours. Rejected lines are kept in .journeys/rejected/ of the project,
    to be mended and imported again.
    """
    from runner.cli.importing import import_files, load_catalog

    return import_files(
        project, load_catalog(project), files, pending=live, batch=batch, output_format=output_format
    )

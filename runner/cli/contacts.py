"""``journeys contacts``: import contacts, and tell one contact's story."""

from __future__ import annotations

from pathlib import Path

import click

from runner.cli.examples import examples
from runner.cli.options import batch_option, files_argument, format_option, project_option


@click.group("contacts")
def command() -> None:
    """Import and show contacts."""


@command.command("import", epilog=examples("contacts import"))
@files_argument
@project_option
@format_option
@click.option(
    "--grant",
    "grants",
    metavar="TOPIC[:CHANNEL]",
    multiple=True,
    help="Record that every contact of FILE consented to TOPIC. May be given several times; needs --source.",
)
@click.option("--source", metavar="TEXT", help="Who stands for the consents of --grant: the proof.")
@batch_option
def import_command(
    files: tuple[Path, ...],
    project: Path,
    output_format: str,
    grants: tuple[str, ...],
    source: str | None,
    batch: int,
) -> int:
    """Import contacts from Segment-spec NDJSON (identify calls) or CSV; a name that ends with .gz is gzip.

    A CSV file has a column id (or key, userId); email, phone, timezone, locale, tags and the attributes
    of the catalog are columns of their own; a column consents names topics, like "offers
    newsletter:email". An empty cell leaves a value as it is.

    Exit codes: 0 everything went in, 1 a line was rejected (the rest went in) or an error that you can
    mend, 2 wrong usage, 3 a bug of ours. Rejected lines are kept in .journeys/rejected/ of the project,
    to be mended and imported again.
    """
    from runner.cli.importing import import_files, load_catalog
    from runner.engine.imports import Granted
    from runner.review.backtest import parse_grant

    if grants and not source:
        raise click.UsageError("--grant needs --source TEXT: a consent without proof is none.")
    catalog = load_catalog(project)
    granted = [
        Granted(topic=grant.topic, channel=grant.channel, source=source or "")
        for grant in (parse_grant(text, catalog) for text in grants)
    ]
    return import_files(
        project,
        catalog,
        files,
        pending=False,
        batch=batch,
        output_format=output_format,
        grants=granted,
        only_contacts=True,
    )


@command.command("show")
@click.argument("key", metavar="KEY")
@project_option
@format_option
@click.option(
    "--events", is_flag=True, help="Tell every event, not only what journeys did and what became of messages."
)
def show_command(key: str, project: Path, output_format: str, events: bool) -> int:
    """Show one contact: attributes, consents, addresses to which nothing is sent, and the story of its runs and
    messages."""
    import json
    import os

    from runner.cli.importing import load_catalog
    from runner.cli.story import contact_json, contact_text, told_of
    from runner.engine.versions import load_versions
    from runner.insight.step_names import names_in_force
    from runner.journey.words import did_you_mean
    from runner.problem import JourneysError
    from runner.settings import load_settings
    from runner.store.database import Database
    from runner.store.people.contacts import consents_of, find_contact, keys_like
    from runner.store.sending.suppressed_addresses import kept_from
    from runner.store.watching.story import story

    catalog = load_catalog(project)
    if any("\ud800" <= character <= "\udfff" for character in key):
        raise JourneysError(f"there is no contact {key!a}")
    database = Database.find(load_settings(project, os.environ).database_url)
    if database is None:
        raise JourneysError(f"there is no contact {key!r}: nothing was imported yet")
    try:
        with database.read() as connection:
            contact = find_contact(connection, database.deployment, key)
            if contact is None:
                near = did_you_mean(key, keys_like(connection, key))
                raise JourneysError(f"there is no contact {key!r}{f'. {near}' if near else ''}")
            consents = consents_of(connection, contact.identity)
            suppressed = kept_from(connection, database.deployment, contact)
            told = story(connection, key)
        names = names_in_force(database, load_versions(database))
    finally:
        database.close()
    entries = told_of(told, every_event=events)
    if output_format == "json":
        page = contact_json(contact, consents, suppressed, entries, catalog, names)
        click.echo(json.dumps(page, indent=2, ensure_ascii=False))
    else:
        click.echo(contact_text(contact, consents, suppressed, entries, catalog, names))
    return 0

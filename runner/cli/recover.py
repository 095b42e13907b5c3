"""``journeys recover``: go on after a backup of the database was restored."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import click

from runner.cli.options import project_option, want_deployment, want_yes, yes_option

FIRST_YEAR = 1970
"""No computer's clock showed an earlier one."""


class Instant(click.ParamType[datetime]):
    """``2026-03-01T10:00:00Z``: with its offset, since an hour more or less is an hour of mail."""

    name = "instant"

    def convert(
        self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        from datetime import UTC

        if isinstance(value, datetime):
            return value
        try:
            instant = datetime.fromisoformat(value)
            if instant.tzinfo is None:
                with_offset = f"{instant.isoformat(timespec='seconds')}Z"
                self.fail(f"{value!r} does not say its offset; write {with_offset} for UTC", param, ctx)
            instant = instant.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no instant; write 2026-03-01T10:00:00Z", param, ctx)
        if instant.year < FIRST_YEAR:
            self.fail(f"{value!r} is before {FIRST_YEAR}; when was the backup taken?", param, ctx)
        return instant


@click.command("recover")
@click.option(
    "--restored-at",
    "restored_at",
    type=Instant(),
    required=True,
    metavar="INSTANT",
    help="When the backup was taken that the database was restored from.",
)
@project_option
@click.option("--dry-run", is_flag=True, help="Say what is in doubt, and change nothing.")
@yes_option
def command(restored_at: datetime, project: Path, dry_run: bool, yes: bool) -> int:
    """Go on after a backup of the database was restored, without sending twice what was sent since.

    Stop every daemon first, and import what the sources can send again, withdrawals of consent above all. What was
    due since the backup is lived once more. The channels are asked about what it lets go; of what they cannot tell,
    messages are unknown: `journeys messages list --status unknown` shows, `journeys messages
    reconcile` settles them.

    Exit codes: 0 done, 1 an error that you can mend, 2 wrong usage.
    """
    want_deployment(project)
    from runner.cli.opening import opener
    from runner.cli.who import operator
    from runner.clock import utc_now
    from runner.daemon.opened import opened
    from runner.engine.restore import look_at_restored, recover_restored
    from runner.engine.versions import load_versions
    from runner.insight.present import count_text
    from runner.problem import JourneysError
    from runner.settings import load_settings
    from runner.store.database import Database

    settings = load_settings(project, os.environ)
    database = Database.find(settings.database_url)
    if database is None:
        raise JourneysError("there is no database to recover")
    try:
        now = utc_now()
        found = look_at_restored(database, restored_at=restored_at, now=now)
        click.echo(
            f"Since {restored_at:%Y-%m-%d %H:%M:%S} UTC: {count_text(found.messages, 'message')} may have been sent, "
            f"{count_text(found.runs, 'run')} due, {count_text(found.events, 'event')} not handled."
        )
        if dry_run:
            if found.runs or found.events:
                click.echo(
                    "That counts the messages that are stored already. Runs and events that are lived once more let "
                    "go others, which may have been sent too, and which this does not count."
                )
            return 0
        want_yes("Is every daemon stopped, and shall this be lived once more?", yes=yes)
        versions = load_versions(database)
        with opened(opener(settings), versions) as channels:
            settled = recover_restored(
                database, versions, channels, restored_at=restored_at, now=now, who=operator(project)
            )
    finally:
        database.close()
    click.echo(
        f"{count_text(settled.sent, 'message')} had been sent, {settled.ready:,} had not and will be, "
        f"{settled.unknown:,} unknown."
    )
    if settled.unknown:
        click.echo("`journeys messages list --status unknown` shows them.")
    return 0

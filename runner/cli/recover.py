"""``journeys recover``: go on after a backup of the database was restored."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.options import project_option, want_deployment, want_yes, yes_option

if TYPE_CHECKING:
    from runner.engine.restore import Lost
    from runner.settings import Limits
    from runner.store.database import Database

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
@click.option(
    "--applied-at",
    "applied_at",
    type=Instant(),
    metavar="INSTANT",
    help="When the files of this folder were applied, if that was after the backup.",
)
@click.option(
    "--not-applied",
    is_flag=True,
    help="The files here were never applied, though they differ from the backup.",
)
@click.option(
    "--resumed",
    type=(str, Instant()),
    multiple=True,
    metavar="NAME INSTANT",
    help="A journey that was resumed after the backup, and when.",
)
@project_option
@click.option("--dry-run", is_flag=True, help="Say what is in doubt, and change nothing.")
@yes_option
def command(
    restored_at: datetime,
    applied_at: datetime | None,
    not_applied: bool,
    resumed: tuple[tuple[str, datetime], ...],
    project: Path,
    dry_run: bool,
    yes: bool,
) -> int:
    """Go on after a backup of the database was restored, without sending twice what was sent since.

    Stop every daemon first, and import what the sources can send again, withdrawals of consent above all. What was
    due since the backup is lived once more. The channels are asked about what it lets go; of what they cannot tell,
    messages are unknown: `journeys messages list --status unknown` shows, `journeys messages
    reconcile` settles them.

    An `apply` or a `resume` since the backup is lost with the rest, and lets the same people go on once more. So call
    this where the files are those that were in force at last, and before you apply or resume anything: it does so
    itself, at the instants that you say.

    Exit codes: 0 done, 1 an error that you can mend, 2 wrong usage.
    """
    want_deployment(project)
    if applied_at is not None and not_applied:
        raise click.UsageError("--applied-at and --not-applied contradict each other.")
    from runner.cli.opening import opener
    from runner.cli.who import operator
    from runner.clock import utc_now
    from runner.daemon.opened import opened
    from runner.engine.restore import live_until_lost, look_at_restored, recover_restored
    from runner.engine.versions import load_versions
    from runner.insight.present import count_text
    from runner.problem import JourneysError
    from runner.settings import load_settings
    from runner.store.database import Database

    settings = load_settings(project, os.environ)
    database = Database.find(settings.database_url, migrate=True)
    if database is None:
        raise JourneysError("there is no database to recover")
    try:
        now = utc_now()
        found = look_at_restored(database, restored_at=restored_at, now=now)
        click.echo(
            f"Since {restored_at:%Y-%m-%d %H:%M:%S} UTC: {count_text(found.messages, 'message')} may have been sent, "
            f"{count_text(found.runs, 'run')} due, {count_text(found.events, 'event')} not handled."
        )
        lost = _lost(database, project, applied_at, not_applied, resumed, settings.limits)
        if dry_run:
            if found.runs or found.events:
                click.echo(
                    "That counts the messages that are stored already. Runs and events that are lived once more let "
                    "go others, which may have been sent too, and which this does not count."
                )
            return 0
        _refuse_beside_others(database)
        want_yes("Is every daemon stopped, and shall this be lived once more?", yes=yes)
        who = operator(project)
        if lost:
            live_until_lost(database, lost, restored_at=restored_at, now=now, who=who)
        versions = load_versions(database)
        with opened(opener(settings), versions) as channels:
            settled = recover_restored(
                database, versions, channels, restored_at=restored_at, now=now, who=who
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


def _refuse_beside_others(database: Database) -> None:
    """Raise JourneysError where anybody else is at work: a daemon would send at once what is to be in doubt."""
    from runner.problem import JourneysError
    from runner.store.sessions import named, other_sessions

    with database.read() as connection:
        others = other_sessions(connection)
    if others:
        raise JourneysError(
            f"journeys is connected to this database: {named(others)}. A daemon sends again what was sent since the"
            " backup, before this can hold it back: stop these daemons first, then call this again"
        )


def _lost(
    database: Database,
    project: Path,
    applied_at: datetime | None,
    not_applied: bool,
    resumed: tuple[tuple[str, datetime], ...],
    limits: Limits,
) -> list[Lost]:
    """What was done since the backup and is to be done once more. Raises JourneysError where the files are not what is
    in force in the backup, and nobody says since when."""
    from functools import partial

    from runner.cli.deployed import want_journey
    from runner.cli.who import author, operator
    from runner.engine.apply import apply_project, differing
    from runner.engine.pausing import resume_journey
    from runner.engine.restore import Lost
    from runner.journey.project import FOLDER, load_project, read_files
    from runner.journey.words import listed
    from runner.problem import JourneysError, ProblemsFound
    from runner.review.check import check_folder
    from runner.store.journeys.versions import current_versions

    rate = limits.released_per_minute
    lost = []
    for name, instant in resumed:
        want_journey(database, name)
        again = partial(_at, partial(resume_journey, database, name, who=operator(project), per_minute=rate))
        lost.append(Lost(at=instant, again=again))
    if not_applied:
        return lost
    if not (project / FOLDER).is_dir():
        raise JourneysError(
            f"there is no folder {FOLDER}/ here, so nobody can tell whether the journeys were changed since the backup:"
            " call this where it is, or say --not-applied"
        )
    checked = check_folder(project)
    if checked.errors:
        raise ProblemsFound(checked.problems, checked.sources)
    loaded = load_project(read_files(project))
    with database.read() as connection:
        names = differing(current_versions(connection), loaded)
    if applied_at is None and names:
        raise JourneysError(
            f"the files here are not what is in force in the backup: {listed(names, 'and')}. If they were applied after"
            " it, say when: --applied-at INSTANT; an `apply` after this would send again what that one let go. If they"
            " never were, say --not-applied"
        )
    if applied_at is not None:
        apply = partial(
            apply_project,
            database,
            loaded,
            author=author(project),
            git_commit=None,
            released_per_minute=rate,
        )
        lost.append(Lost(at=applied_at, again=partial(_at, apply)))
    return lost


def _at(do: Callable[..., object], instant: datetime) -> None:
    do(now=instant)

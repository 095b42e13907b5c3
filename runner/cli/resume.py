"""``journeys resume``: a journey that was paused or stopped goes on."""

from __future__ import annotations

import os
from pathlib import Path

import click

from runner.cli.options import project_option


@click.command("resume")
@click.argument("journey", metavar="NAME")
@project_option
def command(journey: str, project: Path) -> int:
    """Let the journey NAME, which is paused or stopped, go on: contacts enter it again.

    Who would have entered meanwhile does not enter now: what was received then, and what was due, has passed by.

    Whose time was up in a pause, and who heard what they wait for, goes on now; so does each message that was kept
    back. They do so one after the other, as many a minute as `limits: {released_per_minute: 600}` of journeys.yaml
    says. Who said so is written to the audit.

    Exit codes: 0 it goes on, 1 an error that you can mend, 2 wrong usage.
    """
    from runner.cli.deployed import found_database, want_journey
    from runner.cli.who import operator
    from runner.clock import utc_now
    from runner.engine.pausing import Said, resume_journey
    from runner.insight.present import count_text
    from runner.settings import load_settings

    limits = load_settings(project, os.environ).limits
    with found_database(project) as database:
        want_journey(database, journey)
        done = resume_journey(
            database,
            journey,
            now=utc_now(),
            who=operator(project),
            per_minute=limits.released_per_minute,
        )
    if done.said is Said.ALREADY:
        click.echo(f"{journey} is not paused: nothing was changed.")
        return 0
    line = f"{journey} goes on."
    if done.until is not None:
        counts = [
            count_text(count, what)
            for count, what in ((done.runs, "run"), (done.messages, "message"))
            if count
        ]
        line += f" {' and '.join(counts)} {'was' if done.runs + done.messages == 1 else 'were'} overdue:"
        line += (
            f" released until {done.until:%Y-%m-%d %H:%M:%S} UTC, {limits.released_per_minute:,} a minute."
        )
    click.echo(line)
    click.echo("Who would have entered it meanwhile did not, and does not now.")
    return 0

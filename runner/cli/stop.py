"""``journeys stop``: all runs of a journey end."""

from __future__ import annotations

import os
from pathlib import Path

import click

from runner.cli.options import project_option, want_yes, yes_option


@click.command("stop")
@click.argument("journey", metavar="NAME")
@click.option("--send-nothing", is_flag=True, help="Cancel what is ready and has not been handed over.")
@project_option
@yes_option
def command(journey: str, send_nothing: bool, project: Path, yes: bool) -> int:
    """End all runs of the journey NAME with the reason `stopped`. Nobody enters it until `journeys resume NAME`.

    The runs do not come back. What was let go before is still delivered, unless --send-nothing cancels it; a message
    that is being handed over at this moment leaves. Who said so is written to the audit.

    Exit codes: 0 it is stopped, 1 an error that you can mend, 2 wrong usage.
    """
    from runner.cli.deployed import found_database, want_journey
    from runner.cli.who import operator
    from runner.clock import utc_now
    from runner.engine.pausing import Said, stop_journey
    from runner.insight.present import count_text
    from runner.settings import load_settings
    from runner.store.journeys.states import active_runs

    limits = load_settings(project, os.environ).limits
    with found_database(project) as database:
        want_journey(database, journey)
        with database.read() as connection:
            runs = active_runs(connection, journey)
        if runs:
            want_yes(f"End {count_text(runs, 'run')} of {journey} for good?", yes=yes)
        done = stop_journey(
            database,
            journey,
            now=utc_now(),
            who=operator(project),
            send_nothing=send_nothing,
            per_minute=limits.released_per_minute,
        )
    if done.said is Said.ALREADY:
        click.echo(f"{journey} is stopped already: nothing was changed.")
        return 0
    cancelled = f", {count_text(done.messages, 'message')} cancelled" if done.messages else ""
    click.echo(f"{journey} is stopped: {count_text(done.runs, 'run')} ended{cancelled}.")
    return 0

"""``journeys pause``: the switch by which an operator holds a journey while it runs."""

from __future__ import annotations

from pathlib import Path

import click

from runner.cli.options import project_option


@click.command("pause")
@click.argument("journey", metavar="NAME")
@project_option
def command(journey: str, project: Path) -> int:
    """Let nobody enter the journey NAME, nobody in it go on, and nothing of it leave, until `journeys resume NAME`.

    Who would enter meanwhile does not enter, not even afterwards: their events, dates and schedules pass by.

    It works from the next tick on, whoever runs it. A message that is being handed over at this moment leaves. Goals
    are counted and exits end runs meanwhile. Who said so is written to the audit.

    Exit codes: 0 it is paused, 1 an error that you can mend, 2 wrong usage.
    """
    from runner.cli.deployed import found_database, want_journey
    from runner.cli.who import operator
    from runner.clock import utc_now
    from runner.engine.pausing import Said, pause_journey
    from runner.insight.present import count_text

    with found_database(project) as database:
        want_journey(database, journey)
        done = pause_journey(database, journey, now=utc_now(), who=operator(project))
    already = " already" if done.said is Said.ALREADY else ""
    people = f"{count_text(done.runs, 'run')} stay{'s' if done.runs == 1 else ''} where"
    they = "it stands" if done.runs == 1 else "they stand"
    kept = f", {count_text(done.messages, 'message')} kept back" if done.messages else ""
    click.echo(f"{journey} is paused{already}: {people} {they}{kept}.")
    click.echo("Who would enter it meanwhile does not, not even afterwards.")
    return 0

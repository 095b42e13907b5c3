"""``journeys runs``: the runs that were set aside, and letting them go on."""

from __future__ import annotations

from pathlib import Path

import click

from runner.cli.deployed import found_database, table, want_journey
from runner.cli.options import format_option, project_option, want_yes, yes_option
from runner.journey.shown import printable


@click.group("runs")
def command() -> None:
    """List runs that the engine gave up on, and let them go on."""


@command.command("list")
@project_option
@format_option
@click.option("--journey", metavar="NAME", help="Only those of one journey.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=1_000, show_default=True, metavar="N", help="At most N."
)
def list_command(project: Path, output_format: str, journey: str | None, limit: int) -> int:
    """List the runs that were set aside, in the order in which that happened.

    How many stand at each step, of all, `journeys status` says; where one contact stands, `journeys contacts show`.
    """
    import json

    from runner.engine.aside import step_of
    from runner.engine.versions import load_versions
    from runner.insight.present import instant_text
    from runner.insight.step_names import names_in_force, place_text
    from runner.store.work.aside import runs_set_aside

    with found_database(project) as database:
        want_journey(database, journey)
        with database.read() as connection:
            rows = runs_set_aside(connection, journey=journey, limit=limit)
        versions = load_versions(database)
        names = names_in_force(database, versions)
    steps = [step_of(versions, row) for row in rows]
    if output_format == "json":
        told = [
            {
                "contact": row.contact_key,
                "journey": row.journey,
                "step": step,
                "step_now": names.get((row.journey, step), step) if step else None,
                "reason": row.reason,
                "set_aside_at": instant_text(row.at),
                "due_at": instant_text(row.due_at) if row.due_at else None,
            }
            for row, step in zip(rows, steps, strict=True)
        ]
        click.echo(json.dumps({"runs": told}, indent=2, ensure_ascii=False))
        return 0
    if not rows:
        click.echo(
            f"No run{f' of {journey}' if journey else ''} is set aside. `journeys status` says how many stand at each"
            " step, `journeys contacts show KEY` where one contact stands."
        )
        return 0
    cells = [("SET ASIDE", "CONTACT", "JOURNEY/STEP", "REASON")]
    cells += [
        (
            f"{row.at:%Y-%m-%d %H:%M:%S}",
            printable(row.contact_key),
            place_text(row.journey, step or "?", names),
            printable(row.reason or ""),
        )
        for row, step in zip(rows, steps, strict=True)
    ]
    click.echo(table(cells))
    return 0


@command.command("resume")
@click.argument("contacts", metavar="[CONTACT]...", nargs=-1)
@project_option
@click.option("--journey", metavar="NAME", help="Only runs of one journey; without CONTACT, all of them.")
@yes_option
def resume_command(contacts: tuple[str, ...], project: Path, journey: str | None, yes: bool) -> int:
    """Let the runs of the CONTACTs that were set aside go on where they stood, or all of one journey.

    A wait that is over by now ends at the next tick. What happened to the contact meanwhile woke nobody; exit
    conditions are read again. Who said so is written to the audit.

    Exit codes: 0 they go on, 1 some could not, or an error that you can mend, 2 wrong usage.
    """
    if not contacts and journey is None:
        raise click.UsageError("Name contacts by their keys, or a journey by --journey NAME.")
    from runner.cli.who import operator
    from runner.clock import utc_now
    from runner.engine.aside import resume_runs
    from runner.insight.present import count_text
    from runner.problem import JourneysError
    from runner.store.work.aside import runs_set_aside

    with found_database(project) as database:
        want_journey(database, journey)
        with database.read() as connection:
            wanted = runs_set_aside(connection, journey=journey, contacts=contacts, limit=1_000_000)
        missing = sorted(set(contacts) - {one.contact_key for one in wanted})
        if missing:
            of = f" of {journey}" if journey else ""
            raise JourneysError(f"no run{of} of {', '.join(map(printable, missing))} is set aside")
        if not wanted:
            click.echo(f"No run of {journey} is set aside.")
            return 0
        if not contacts:
            want_yes(f"Let {count_text(len(wanted), 'run')} of {journey} go on?", yes=yes)
        done = resume_runs(database, wanted, now=utc_now(), who=operator(project))
    click.echo(f"{count_text(len(done.on), 'run')} resumed.")
    for those, why in (
        (done.placeless, "it is not known where it stood: enter the contact again"),
        (
            done.over,
            "the journey is stopped, or retired with `exit`: everybody has left it, and nobody goes on in it",
        ),
        (done.not_now, "another run of that journey is on for the contact, or it was resumed meanwhile"),
    ):
        for one in those:
            click.echo(f"{printable(one.contact_key)} in {one.journey}: {why}.", err=True)
    return 1 if done.placeless or done.over or done.not_now else 0

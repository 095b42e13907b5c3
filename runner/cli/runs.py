"""``journeys runs``: who stands on a step, the runs that were set aside, and letting those go on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.deployed import found_database, left_out, table, want_journey
from runner.cli.examples import examples
from runner.cli.options import format_option, limit_option, project_option, want_yes, yes_option
from runner.journey.shown import printable

if TYPE_CHECKING:
    from runner.engine.versions import Versions
    from runner.store.database import Database
    from runner.store.watching.called_now import StepNames


@click.group("runs")
def command() -> None:
    """List who stands on a step, or was given up on; let those go on."""


@command.command("list", epilog=examples("runs list"))
@project_option
@format_option
@click.option("--journey", metavar="NAME", help="Only those of one journey.")
@click.option(
    "--step",
    metavar="STEP",
    help="Those who stand on this step of the --journey, by its name of today or an earlier one.",
)
@limit_option
def list_command(project: Path, output_format: str, journey: str | None, step: str | None, limit: int) -> int:
    """List the runs that stand on a step, those first that have for the longest; without --step the runs that were set
    aside, in the order in which that happened.

    How many stand on each step, `journeys status` says; all about one contact, `journeys contacts show`.
    """
    if step is not None and journey is None:
        raise click.UsageError("--step needs --journey NAME: two journeys may have a step of that name.")
    import json

    from runner.engine.versions import load_versions
    from runner.insight.step_names import names_in_force

    with found_database(project) as database:
        want_journey(database, journey)
        versions = load_versions(database)
        names = names_in_force(database, versions)
        if journey is not None and step is not None:
            cells, told, more = _standing(database, versions, names, journey, step, limit)
            nobody = f"Nobody stands on {journey}/{step}."
        else:
            cells, told, more = _set_aside(database, versions, names, journey, limit)
            nobody = (
                f"No run{f' of {journey}' if journey else ''} is set aside. `--journey NAME --step STEP` lists who"
                " stands on a step, `journeys status` says how many do."
            )
    if output_format == "json":
        click.echo(json.dumps({"runs": told, "more": more}, indent=2, ensure_ascii=False))
    else:
        click.echo(table(cells) + left_out(more, len(told)) if told else nobody)
    return 0


_Rows = tuple[list[tuple[str, ...]], list[dict[str, Any]], int]
"""The same for people and for programs, and how many more there are."""


def _standing(
    database: Database, versions: Versions, names: StepNames, journey: str, step: str, limit: int
) -> _Rows:
    from runner.insight.present import instant_text
    from runner.insight.step_names import names_of_step, place_text
    from runner.store.watching.on_step import who_stands_on

    known = [version for version in versions if version.journey.name == journey]
    steps = names_of_step(known, names, step)
    with database.read() as connection:
        rows, more = who_stands_on(connection, [version.id for version in known], steps, limit=limit)
    cells = [("SINCE", "CONTACT", "JOURNEY/STEP", "UNTIL", "DEFERRED")]
    cells += [
        (
            f"{row.at:%Y-%m-%d %H:%M:%S}",
            printable(f"{row.contact_key} ({row.per})" if row.per else row.contact_key),
            place_text(journey, row.step, names),
            f"{row.due_at:%Y-%m-%d %H:%M:%S}" if row.due_at else "",
            printable(row.deferred or ""),
        )
        for row in rows
    ]
    told = [
        {
            "contact": row.contact_key,
            "journey": journey,
            "per": row.per or None,
            "step": row.step,
            "step_now": names.get((journey, row.step), row.step),
            "since": instant_text(row.at),
            "due_at": instant_text(row.due_at) if row.due_at else None,
            "deferred": row.deferred,
        }
        for row in rows
    ]
    return list(cells), told, more


def _set_aside(
    database: Database, versions: Versions, names: StepNames, journey: str | None, limit: int
) -> _Rows:
    from runner.engine.aside import step_of
    from runner.insight.present import instant_text
    from runner.insight.step_names import place_text
    from runner.store.work.aside import count_set_aside, runs_set_aside

    with database.read() as connection:
        rows = runs_set_aside(connection, journey=journey, limit=limit)
        more = count_set_aside(connection, journey) - len(rows) if len(rows) == limit else 0
    steps = [step_of(versions, row) for row in rows]
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
    return list(cells), told, more


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

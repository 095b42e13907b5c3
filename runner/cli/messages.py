"""``journeys messages``: the messages, the newest first, and what an operator decides of those in doubt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.deployed import found_database, left_out, table, want_journey
from runner.cli.examples import examples
from runner.cli.options import format_option, limit_option, project_option, want_yes, yes_option
from runner.journey.shown import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.store.database import Deployment
    from runner.store.sending.recovery import Listed
    from runner.store.watching.called_now import StepNames

STATES = ("ready", "claimed", "sending", "sent", "withheld", "unknown", "failed", "blocked", "cancelled")
SHOWN_DIGITS = 12


@click.group("messages")
def command() -> None:
    """List messages, and settle those that may or may not have arrived."""


@command.command("list", epilog=examples("messages list"))
@project_option
@format_option
@click.option("--status", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--journey", metavar="NAME", help="Only those of one journey.")
@click.option("--reason", metavar="TEXT", help="Only those with this reason, such as possible_duplicate.")
@limit_option
def list_command(
    project: Path,
    output_format: str,
    status: str | None,
    journey: str | None,
    reason: str | None,
    limit: int,
) -> int:
    """List the messages, those first that were let go last.

    The key is what the Message-ID of a mail begins with, and what a webhook was given for an idempotency key.
    `--status unknown` lists those that may or may not have arrived.
    """
    import json

    from runner.engine.versions import load_versions
    from runner.insight.step_names import names_in_force
    from runner.store.sending.recovery import newest
    from runner.store.tables import MessageStatus

    with found_database(project) as database:
        want_journey(database, journey)
        wanted = MessageStatus(status) if status else None
        with database.read() as connection:
            rows, more = newest(connection, wanted, journey=journey, reason=reason, limit=limit)
        names = names_in_force(database, load_versions(database))
        deployment = database.deployment
    if output_format == "json":
        told = {"messages": [_json(deployment, row, names) for row in rows], "more": more}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return 0
    if rows:
        click.echo(_table(deployment, rows, names) + left_out(more, len(rows)))
        return 0
    asked = (("of", journey), ("with the reason", reason))
    only = "".join(f" {word} {printable(value)}" for word, value in asked if value)
    click.echo(f"No message{only} is {status}." if status else f"There is no message{only}.")
    return 0


@command.command("reconcile")
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@project_option
@click.option(
    "--journey", metavar="NAME", help="All unknown messages of one journey, instead of some by key."
)
@click.option("--sent", is_flag=True, help="They arrived.")
@click.option("--resend", is_flag=True, help="Hand them over again; they may arrive twice.")
@click.option("--drop", is_flag=True, help="Let them be; they count as failed.")
@yes_option
def reconcile_command(
    keys: tuple[str, ...],
    project: Path,
    journey: str | None,
    sent: bool,
    resend: bool,
    drop: bool,
    yes: bool,
) -> int:
    """Settle unknown messages: those of the KEYs (at least 8 digits of each), or all of one journey.

    What is decided, and by whom, is written to the audit.

    Exit codes: 0 settled, 1 some could not be settled, or an error that you can mend, 2 wrong usage.
    """
    decisions = [name for name, said in (("sent", sent), ("resend", resend), ("drop", drop)) if said]
    if len(decisions) != 1:
        raise click.UsageError("Say what became of them: one of --sent, --resend and --drop.")
    (decision,) = decisions
    if bool(keys) == bool(journey):
        raise click.UsageError("Name messages by their keys, or a journey by --journey NAME.")
    from runner.cli.who import operator
    from runner.clock import utc_now
    from runner.engine.doubt import Decision, find_unknown, reconcile
    from runner.insight.present import count_text
    from runner.store.sending.recovery import listed
    from runner.store.tables import MessageStatus

    with found_database(project) as database:
        if journey is None:
            wanted = find_unknown(database, keys)
        else:
            want_journey(database, journey)
            with database.read() as connection:
                wanted = listed(connection, MessageStatus.UNKNOWN, journey=journey, limit=1_000_000)
            if not wanted:
                click.echo(f"No message of {journey} is unknown.")
                return 0
            want_yes(f"{decision}: {count_text(len(wanted), 'message')} of {journey}?", yes=yes)
        done = reconcile(database, wanted, Decision(decision), now=utc_now(), who=operator(project))
    click.echo(f"{decision}: {count_text(done.settled, 'message')}.")
    if done.expired:
        click.echo(
            f"{count_text(done.expired, 'message')} would not leave any more (valid_for is over); "
            "say --sent or --drop.",
            err=True,
        )
    if done.gone:
        click.echo(f"{count_text(done.gone, 'message')} had been settled meanwhile.", err=True)
    return 1 if done.expired or done.gone else 0


def _table(deployment: Deployment, rows: Sequence[Listed], names: StepNames) -> str:
    from runner.engine.doubt import message_key
    from runner.insight.present import reason_text
    from runner.insight.step_names import place_text

    cells = [("KEY", "LET GO", "CONTACT", "JOURNEY/STEP", "CHANNEL", "TOPIC", "STATUS", "REASON")]
    cells += [
        (
            message_key(deployment, row)[:SHOWN_DIGITS],
            f"{row.let_go_at:%Y-%m-%d %H:%M:%S}",
            printable(row.contact_key),
            place_text(row.journey, row.held.key.step, names),
            row.channel,
            row.topic,
            row.status.value,
            printable(reason_text(row.reason, row.available_at, row.let_go_at, row.lease_until)),
        )
        for row in rows
    ]
    return table(cells)


def _json(deployment: Deployment, row: Listed, names: StepNames) -> dict[str, Any]:
    from runner.engine.doubt import message_key
    from runner.insight.present import instant_text
    from runner.store.journeys.states import NEVER

    return {
        "key": message_key(deployment, row),
        "contact": row.contact_key,
        "journey": row.journey,
        "step": row.held.key.step,
        "step_now": names.get((row.journey, row.held.key.step), row.held.key.step),
        "channel": row.channel,
        "topic": row.topic,
        "status": row.status.value,
        "reason": row.reason,
        "attempts": row.held.attempts,
        "let_go_at": instant_text(row.let_go_at),
        "expires_at": instant_text(row.expires_at),
        "available_at": None
        if row.available_at is None or row.available_at >= NEVER
        else instant_text(row.available_at),
        "lease_until": instant_text(row.lease_until) if row.lease_until else None,
        "sent_at": instant_text(row.sent_at) if row.sent_at else None,
        "provider_id": row.provider_id,
    }

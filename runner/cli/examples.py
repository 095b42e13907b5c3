"""Examples of commands, as ``--help`` shows them."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("init shop", "a project with one runnable journey"),
        ("check", "every mistake, with its place"),
        ("test", "the scenarios, in virtual time"),
        ("apply", "put the journeys into force"),
        ("run --once", "do and send what is due now"),
    ),
    "check": (
        ("check", "every mistake in the files of this folder"),
        ("check --strict --format json", "for CI: warnings count too"),
    ),
    "test": (
        ("test welcome -k consent", "those of one journey with consent in the name"),
        ("test --coverage --fail-under 90", "for CI: exit code 1 where less is reached"),
        ("test welcome --suggest", "a scenario for what none reaches yet"),
    ),
    "plan": (
        ("plan", "against the database of the settings"),
        ("plan --database sqlite:///copy.db", "against another one; needs no secret of the settings"),
    ),
    "apply": (
        ("apply", "the journeys of this folder"),
        ("apply --project shop --format json", "those of another, for a program"),
    ),
    "run": (
        ("run", "the daemon; Ctrl-C ends it in order"),
        ("run --once", "what is due now, then stop"),
        ("run --virtual 2017-01-01..2018-01-01", "a year at once, into the outbox"),
    ),
    "contacts import": (
        ("contacts import people.ndjson", "identify calls, a JSON object a line"),
        ('contacts import list.csv --grant news --source "fair 2026"', "a list of people who said yes"),
    ),
    "events import": (
        ("events import before.ndjson.gz", "history: journeys do not react"),
        ("events import --live today.ndjson", "what happens now: they do"),
    ),
    "enroll": (
        ("enroll offer --contact ana --set code=SPRING", "one; the run reads trigger.code"),
        ("enroll offer --file people.csv --key spring", "all of a file, once for this key"),
    ),
    "status": (
        ("status", "the deployment of this folder"),
        ("status --database sqlite:///copy.db", "a database without its settings"),
    ),
    "report": (
        ("report --since 2026-03-01 --until 2026-03-31", "a month"),
        ("report --journey welcome --format csv", "one journey, for a spreadsheet"),
    ),
    "doctor": (
        ("doctor", "look at this deployment"),
        ("doctor --format json --strict", "for a monitor: warnings count too"),
        ("doctor --database postgresql://db/shop", "a database without its settings"),
        ("doctor --refresh-zones", "store the clock changes that this machine knows"),
    ),
    "messages list": (
        ("messages list --status blocked --journey welcome", "what policy did not let go, and why"),
        ("messages list --status sent --format json --limit 100000", "for a program"),
    ),
    "runs list": (
        ("runs list", "those that the engine gave up on"),
        ("runs list --journey welcome --step two-mornings", "who stands on a step"),
    ),
    "backtest": (
        ("backtest recorded", "the events of a folder, through the files here"),
        ("backtest recorded --grant news --messages sent.ndjson", "everybody agreed; each message a line"),
    ),
}
"""By command, "" for all of them: what is typed behind ``journeys``, and what it is for."""


def examples(command: str) -> str:
    """What stands at the end of the help of ``command``."""
    lines = [(f"journeys {typed}", what) for typed, what in EXAMPLES[command]]
    width = max(len(typed) for typed, _ in lines)
    return "\n".join(("\b", "Examples:", *(f"  {typed.ljust(width)}  {what}" for typed, what in lines)))

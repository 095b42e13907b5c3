"""``python -m tests.chaos [CAMPAIGN…]``: runs campaigns, prints a table, ends with 1 if something is lost or twice."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import click

from runner.clock import utc_now
from tests.chaos.campaigns import CAMPAIGNS, POSTGRESQL, SQLITE, Order, run_campaign
from tests.chaos.outcome import Outcome
from tests.chaos.postgres import a_postgres_server
from tests.chaos.report import as_json, table, write_page
from tests.chaos.simulated import simulate

SIMULATION = "simulation"
WORLDS = 2_000
"""Worlds of the simulation for each thousand kills that are asked for."""
NAMES = (*CAMPAIGNS, SIMULATION)


@click.command()
@click.argument("campaigns", nargs=-1, type=click.Choice(NAMES))
@click.option("--kills", default=100, show_default=True, help="How many; the other campaigns in proportion.")
@click.option("--seed", default=1, show_default=True, help="Chooses all moments and faults.")
@click.option("--database", type=click.Choice(["sqlite", "postgresql", "both"]), default="both")
@click.option("--json", "record", type=click.Path(path_type=Path), help="Write the outcomes here.")
@click.option(
    "--report", "page", type=click.Path(path_type=Path), help="Write the page of the documentation here."
)
def command(
    campaigns: tuple[str, ...], kills: int, seed: int, database: str, record: Path | None, page: Path | None
) -> None:
    """Do harm to real processes, and see what becomes of every message."""
    # Told to end, it ends every process that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    outcomes: list[Outcome] = []
    with ExitStack() as stack:
        server = None
        for name in campaigns or NAMES:
            for kind in CAMPAIGNS[name].databases if name != SIMULATION else (SQLITE,):
                if database not in (kind, "both"):
                    continue
                if kind == POSTGRESQL and server is None:
                    server = stack.enter_context(a_postgres_server())
                faults = max(1, kills * (CAMPAIGNS[name].share if name != SIMULATION else WORLDS) // 1000)
                if sys.stderr.isatty():
                    click.echo(f"{name} on {kind}: {faults} …", err=True)
                if name == SIMULATION:
                    outcomes.append(simulate(faults, seed))
                else:
                    outcomes.append(run_campaign(name, kind, Order(faults=faults, seed=seed), server))
                # Each row at once: the whole takes a while.
                click.echo(table(outcomes[-1:]).splitlines()[-1], err=True)
                for trouble in outcomes[-1].trouble:
                    click.echo(f"  {trouble}", err=True)
                if record is not None:
                    record.write_text(as_json(outcomes, utc_now()) + "\n", encoding="utf-8")
    click.echo(table(outcomes))
    if page is not None:
        write_page(as_json(outcomes, utc_now()), page)
    sys.exit(0 if all(outcome.good for outcome in outcomes) else 1)


if __name__ == "__main__":
    command()

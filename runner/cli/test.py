"""``journeys test``: the scenarios of the journeys, in virtual time on the real engine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.examples import examples
from runner.cli.options import format_option, project_option

if TYPE_CHECKING:
    from runner.journey.scenario import Scenario

NOTHING_TO_TEST = 4


@click.command("test", epilog=examples("test"))
@click.argument("names", nargs=-1, metavar="[JOURNEY]...")
@click.option("-k", "text", metavar="TEXT", help="Only scenarios whose name contains TEXT.")
@click.option(
    "--coverage", "covered", is_flag=True, help="Say which steps, ways, rules and texts no scenario reaches."
)
@click.option(
    "--fail-under",
    type=click.IntRange(0, 100),
    metavar="PERCENT",
    help="Exit with 1 where scenarios reach less; with --coverage.",
)
@click.option("--suggest", is_flag=True, help="Write a scenario for the first thing that none reaches.")
@project_option
@format_option
def command(
    names: tuple[str, ...],
    text: str | None,
    covered: bool,
    fail_under: int | None,
    suggest: bool,
    project: Path,
    output_format: str,
) -> int:
    """Run the scenarios of the journeys in virtual time: all, or those of the journeys named.

    Exit codes: 0 all passed, 1 some failed, too little is reached or the files have errors, 2 wrong usage,
    4 nothing to test.
    """
    covered = covered or suggest
    if fail_under is not None and not covered:
        raise click.UsageError("--fail-under goes with --coverage.")
    import logging
    from functools import reduce
    from operator import or_

    from runner.journey.project import load_project, read_files
    from runner.journey.scenario_file import find_scenarios
    from runner.journey.words import did_you_mean
    from runner.problem import ProblemsFound, Severity
    from runner.review.check import rule_problems
    from runner.review.coverage import Reached, cover
    from runner.review.coverage_report import coverage_text
    from runner.review.outcomes import failure_text, outcomes_json, summary_text
    from runner.review.scenarios import play_all
    from runner.review.suggestion import suggestions

    files = read_files(project)
    loaded = load_project(files)
    scenarios, problems = find_scenarios(loaded)
    problems = (*loaded.problems, *rule_problems(loaded), *problems)
    errors = tuple(dict.fromkeys(p for p in problems if p.severity is Severity.ERROR))
    if errors:
        raise ProblemsFound(errors, files)
    for name in names:
        if name not in loaded.journeys:
            known = ", ".join(sorted(loaded.journeys)) or "none"
            near = did_you_mean(name, loaded.journeys) or f"There are: {known}."
            raise click.UsageError(f"There is no journey {name!r}. {near}")
    of_journeys = [scenario for scenario in scenarios if not names or scenario.journey in names]
    chosen = [scenario for scenario in of_journeys if text is None or text in scenario.name]
    # Where nothing is tested yet, the first scenario is what is asked for.
    if not chosen and not (suggest and text is None and loaded.journeys):
        click.echo(f"Nothing to test: {_why_nothing(of_journeys, names or loaded.journeys, text)}", err=True)
        return NOTHING_TO_TEST
    # What the engine logs about a message that cannot be rendered stands in the scenario's timeline.
    logging.getLogger("runner").addHandler(logging.NullHandler())
    outcomes = []
    with _progress(len(chosen)) as (played, aside):
        for outcome in play_all(loaded, chosen):
            outcomes.append(outcome)
            played()
            if output_format == "text" and not outcome.passed:
                with aside():
                    click.echo(failure_text(outcome) + "\n")
    coverage = None
    if covered:
        reached = reduce(or_, (outcome.reached for outcome in outcomes), Reached())
        coverage = cover(loaded, names or loaded.journeys, reached)
    suggested = next(suggestions(loaded, coverage.missed), None) if coverage and suggest else None
    if output_format == "json":
        click.echo(outcomes_json(outcomes, coverage, suggested))
    else:
        click.echo(summary_text(outcomes))
        if coverage is not None:
            click.echo("\n" + coverage_text(coverage))
        if suggested is not None:
            click.echo("\n" + suggested.told())
    enough = coverage is None or coverage.percent >= (fail_under or 0)
    return 0 if enough and all(outcome.passed for outcome in outcomes) else 1


@contextmanager
def _progress(
    scenarios: int,
) -> Iterator[tuple[Callable[[], object], Callable[[], AbstractContextManager[object]]]]:
    """A bar on a terminal, and silence elsewhere. What it yields is called after each scenario, and around what is
    printed meanwhile."""
    if not sys.stderr.isatty():
        yield lambda: None, nullcontext
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("scenarios"))
    # What goes to standard output stays there, where only standard error is a terminal, too.
    bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)

    @contextmanager
    def aside() -> Iterator[None]:
        bar.stop()
        yield
        bar.start()

    with bar:
        task = bar.add_task("", total=scenarios)
        yield lambda: bar.advance(task), aside


def _why_nothing(scenarios: Sequence[Scenario], journeys: Iterable[str], text: str | None) -> str:
    """Why no scenario is played, and what to do."""
    if scenarios:
        return f"no scenario has {text!r} in its name."
    name = next(iter(sorted(journeys)), None)
    if name is None:
        return "journeys/ holds no journey."
    return (
        f"there is no scenario yet. They stand in journeys/{name}/tests.yaml: `journeys test {name} --suggest` shows"
        " a first one."
    )

"""The command line: arguments in, exit code out. Nothing is decided here.

Exit codes: 0 fine, 1 findings or an error that the user can mend, 2 wrong usage, 3 a bug of ours, 4 nothing to check,
5 changes to apply, 130 interrupted. A command is imported when it is called, so that ``journeys --help`` stays quick;
each module of ``COMMANDS`` has a click command named ``command``, which returns its exit code (None is 0).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from runner.cli.examples import examples
from runner.problem import JourneysError, ProblemsFound

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("runner.cli.init", "Write a project with one runnable journey."),
    "check": ("runner.cli.check", "Find every mistake in the files of a project."),
    "test": ("runner.cli.test", "Run the scenarios of the journeys in virtual time."),
    "plan": ("runner.cli.plan", "Say what applying the journeys would do to the people in them."),
    "apply": ("runner.cli.apply", "Store the journeys as the versions that the daemon runs."),
    "pause": ("runner.cli.pause", "Let nobody in a journey go on, and nothing of it leave."),
    "resume": ("runner.cli.resume", "Let a journey that is paused or stopped go on."),
    "stop": ("runner.cli.stop", "End all runs of a journey, and let nobody enter it."),
    "run": ("runner.cli.running", "Run the journeys: the daemon, or once what is due."),
    "contacts": ("runner.cli.contacts", "Import and show contacts."),
    "enroll": ("runner.cli.enroll", "Have contacts enter a journey: one, or those of a file."),
    "events": ("runner.cli.events", "Import events, or send a broadcast."),
    "pools": ("runner.cli.pools", "Import the values that steps draw, and show how many are left."),
    "status": ("runner.cli.status", "Show journeys, people on each step, messages by state."),
    "funnel": ("runner.cli.funnel", "Show people on each step of the funnel, and the revenue to expect."),
    "report": ("runner.cli.report", "Show what messages led to, and what journeys brought."),
    "doctor": ("runner.cli.doctor", "Say what is wrong with a deployment, and how to mend it."),
    "messages": ("runner.cli.messages", "List messages, and settle those that may have arrived."),
    "runs": ("runner.cli.runs", "List who stands on a step, or was given up on; let those go on."),
    "recover": ("runner.cli.recover", "Go on after a backup was restored, without sending twice."),
    "backtest": ("runner.cli.backtest", "Replay recorded events through the journeys; nothing is sent."),
}
"""Name → module and one line of help. The order is the order of ``journeys --help``."""

INTERRUPTED = 130
BUG = 3


class LazyGroup(click.Group):
    """A group that imports the module of a command only to call it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, epilog=examples(""))
@click.option("--debug", is_flag=True, help="Show the traceback of a bug instead of writing it to a file.")
@click.version_option(package_name="journeys-as-code", prog_name="journeys", message="%(prog)s %(version)s")
def journeys(debug: bool) -> None:
    """Customer journeys as code: YAML journeys run against a SQL contact store."""


def main() -> NoReturn:
    """The console script ``journeys``."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Call the command that ``arguments`` name; answer its exit code. The one error boundary of the
    program."""
    debug = False
    try:
        context = journeys.make_context("journeys", list(arguments))
        debug = context.params["debug"]
        with context:
            code = journeys.invoke(context)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    except ProblemsFound as found:
        from runner.review.reporters import text_report

        click.echo(text_report(found.problems, found.sources, colour=sys.stderr.isatty()), err=True)
        return found.exit_code
    except JourneysError as error:
        from runner.journey.shown import printable

        click.echo(f"Error: {printable(str(error), keep=chr(10))}", err=True)
        return error.exit_code
    except OSError as error:
        place = f" {error.filename}:" if error.filename else ""
        click.echo(f"Error:{place} {error.strerror or error}.", err=True)
        return JourneysError.exit_code
    except Exception as bug:
        return _report_bug(bug, debug)


def _reader_left() -> int:
    """Whoever read our output (``| head``) is gone: end without a word. Python would complain when it
    flushes at exit, so standard output is pointed at nothing."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _report_bug(bug: Exception, debug: bool) -> int:
    import traceback

    text = "".join(traceback.format_exception(bug))
    if debug:
        click.echo(text, err=True)
        return BUG
    import tempfile

    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", errors="backslashreplace", prefix="journeys-bug-", suffix=".txt", delete=False
    ) as file:
        file.write(text)
    click.echo(
        f"This is a bug in journeys, not in your files: {type(bug).__name__}. "
        f"What happened is in {file.name}; please report it.",
        err=True,
    )
    return BUG

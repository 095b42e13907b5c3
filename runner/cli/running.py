"""``journeys run``: the daemon, once what is due, or a stretch of virtual time."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from runner.cli.examples import examples
from runner.cli.lengths import LengthOfTime, Stretch
from runner.cli.opening import declared_channels, opener
from runner.cli.options import project_option, want_deployment

if TYPE_CHECKING:
    from runner.daemon.daemon import Pulse
    from runner.daemon.once import Lived
    from runner.engine.tick import Pace
    from runner.engine.versions import Versions
    from runner.settings import Settings
    from runner.store.database import Database


SECOND = timedelta(seconds=1)


@click.command("run", epilog=examples("run"))
@project_option
@click.option("--once", is_flag=True, help="Do what is due now, hand over what is ready, and stop.")
@click.option(
    "--virtual",
    "stretch",
    type=Stretch(),
    metavar="FROM..UNTIL",
    help="Live this stretch of time as fast as it goes. Dates are midnight UTC. For the file channel alone.",
)
@click.option(
    "--interval",
    type=LengthOfTime(),
    help="How often to look for work, instead of tick_every of journeys.yaml.",
)
@click.option(
    "--lease",
    type=LengthOfTime(),
    default="2m",
    show_default=True,
    help="How long a runner that gives no sign of life may hold a message.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Deliver in so many processes of their own, each over limits.connections connections; 1 is within the runner.",
)
@click.option("--deliver-for-runner", "for_runner", is_flag=True, hidden=True)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help="Answer /health, /ready and /metrics here, instead of at listen of journeys.yaml; for the daemon alone.",
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "json", "text"]),
    default="auto",
    show_default=True,
    help="How the log looks; auto is text on a terminal, else a JSON object a line.",
)
def command(
    project: Path,
    once: bool,
    stretch: tuple[datetime, datetime] | None,
    interval: timedelta | None,
    lease: timedelta,
    workers: int,
    for_runner: bool,
    listen: str | None,
    log_format: str,
) -> int:
    """Run the journeys that were applied.

    Without --once and --virtual this is the daemon: it goes on until it is told to stop (SIGTERM, Ctrl-C), finishes
    what it is sending, and exits 0. Several may run on one database, on as many machines.
    """
    if once and stretch:
        raise click.UsageError("--once and --virtual exclude each other.")
    for option, given in (("--workers", workers > 1), ("--listen", listen)):
        if given and (once or stretch):
            raise click.UsageError(f"{option} is for the daemon alone.")
    if listen is not None and not re.fullmatch(r".+:\d{1,5}", listen):
        raise click.UsageError(f"--listen {listen!r}: write HOST:PORT, such as 127.0.0.1:9464.")
    want_deployment(project)
    if not (once or stretch):
        click.get_current_context().with_resource(_leaving_on_sigterm())
    from runner.daemon.log import LogFormat, log_to_stderr
    from runner.daemon.observe.figures import shared_figures
    from runner.settings import load_settings
    from runner.store.database import Database

    settings = load_settings(project, os.environ)
    database = Database.open(settings.database_url)
    try:
        if stretch:
            return _virtual(database, settings, *stretch)
        log_to_stderr(LogFormat(log_format), aside=not once)
        _refuse_real_messages_after_virtual_time(database, settings)
        if once:
            return _once(database, settings)
        if for_runner:
            return _worker(database, settings, interval, lease)
        settings = replace(settings, listen=listen or settings.listen)
        with shared_figures() if workers > 1 and settings.listen else nullcontext():
            pulse = _pulse(settings, interval, lease)
            command = _worker_command(project, pulse, log_format) if workers > 1 else ()
            return _daemon(database, settings, pulse, command, workers)
    finally:
        database.close()


@contextmanager
def _leaving_on_sigterm() -> Iterator[None]:
    """Until a daemon takes its signals over, which is a second of imports and a database later, nothing is there to be
    finished: SIGTERM ends the process with 0."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _pulse(settings: Settings, interval: timedelta | None, lease: timedelta) -> Pulse:
    from runner.daemon.daemon import Pulse

    limits = settings.limits
    return Pulse(
        every=interval or limits.tick_every,
        grace=limits.grace,
        lease=lease,
        workers=limits.connections,
        pace=_pace(settings),
        recipients=settings.recipients,
    )


def _pace(settings: Settings) -> Pace:
    from runner.engine.tick import LIVE

    return replace(LIVE, partitions=settings.limits.partitions_per_batch)


def _daemon(
    database: Database, settings: Settings, pulse: Pulse, worker_command: Sequence[str], workers: int
) -> int:
    """The daemon; where there is a ``worker_command``, so many processes of it deliver instead of the daemon itself."""
    from runner.daemon.daemon import Daemon
    from runner.daemon.observe.metrics import Metrics
    from runner.daemon.observe.observed import observed
    from runner.daemon.process import stopping_on_signals
    from runner.daemon.workers import Workers, kept

    _refuse_channels_that_cannot_be_opened(database, settings)
    metrics = Metrics()
    others = Workers(workers) if worker_command else None
    pulse = replace(pulse, processes=workers if others else 0)
    daemon = Daemon(database, metrics.measured(opener(settings)), pulse, metrics=metrics)
    with ExitStack() as stack:
        stack.enter_context(stopping_on_signals(daemon))
        stack.enter_context(observed(daemon, database, metrics, settings.listen, os.environ, others))
        if others:
            stack.enter_context(
                kept(others, worker_command, grace=pulse.grace, stopping=lambda: daemon.stopping)
            )
        code = daemon.run()
    return _ended(code)


def _worker(database: Database, settings: Settings, interval: timedelta | None, lease: timedelta) -> int:
    """A process that only delivers, for as long as the runner that started it holds the other end of standard input."""
    from runner.daemon.daemon import Daemon
    from runner.daemon.observe.metrics import Metrics
    from runner.daemon.process import stopping_on_signals
    from runner.daemon.workers import follow

    metrics = Metrics()
    pulse = replace(_pulse(settings, interval, lease), ticks=False)
    daemon = Daemon(database, metrics.measured(opener(settings)), pulse, metrics=metrics)
    with stopping_on_signals(daemon):
        follow(sys.stdin.buffer, daemon.stop)
        code = daemon.run()
    return _ended(code)


def _worker_command(project: Path, pulse: Pulse, log_format: str) -> Sequence[str]:
    # -P: the folder in which the runner was started may hold a `schema/` of its own, as a project does.
    # Lengths of time are whole seconds wherever they may be written.
    program = (
        sys.executable,
        "-P",
        "-c",
        "from runner.cli import main; main()",
        "run",
        "--deliver-for-runner",
    )
    times = ("--interval", f"{pulse.every // SECOND}s", "--lease", f"{pulse.lease // SECOND}s")
    return (*program, "--project", str(project), *times, "--log-format", log_format)


def _ended(code: int) -> int:
    from runner.daemon.log_aside import log_is_out

    if not log_is_out() or code:
        # A thread hangs in a call to the outside; Python would wait for it for ever.
        os._exit(code)
    return code


def _refuse_channels_that_cannot_be_opened(database: Database, settings: Settings) -> None:
    """Raise JourneysError at the start where a channel's options are wrong, such as a key that cannot be read."""
    from runner.daemon.opened import close
    from runner.engine.versions import load_versions

    close(opener(settings)(load_versions(database)))


def _once(database: Database, settings: Settings) -> int:
    from runner.clock import utc_now
    from runner.daemon.once import run_once

    _want_something_applied(database)
    now = utc_now()
    done = run_once(
        database, opener(settings), now, _pace(settings), recipients=settings.recipients, clock=utc_now
    )
    _tell(done, database, now)
    _tell_of_others(database, utc_now())
    return 0


def _virtual(database: Database, settings: Settings, begin: datetime, until: datetime) -> int:
    from runner.clock import utc_now
    from runner.daemon.once import run_virtual
    from runner.engine.versions import load_versions
    from runner.problem import JourneysError
    from runner.store.audit import VIRTUAL, record
    from runner.store.sending.messages import ever_claimed

    _want_something_applied(database)
    _want_files_only(settings, load_versions(database), "Virtual time is for the file channel alone")
    with database.read() as connection:
        real = ever_claimed(connection)
    if real and not _lived_virtually(database):
        raise JourneysError(
            "People in this database were written to in real time, and virtual time would take them into a future "
            "of their own. Use another database, for example with another --project."
        )
    with database.begin() as connection:
        what = f"{VIRTUAL} {begin:%Y-%m-%dT%H:%M:%SZ}..{until:%Y-%m-%dT%H:%M:%SZ}"
        record(connection, at=utc_now(), who="journeys run", what=what)
    with _progress(begin, until) as progress:
        lived = run_virtual(
            database,
            opener(settings, durable=False),
            begin,
            until,
            recipients=settings.recipients,
            progress=progress,
        )
    _tell(lived, database, until)
    return 0


def _lived_virtually(database: Database) -> bool:
    from runner.store.audit import lived_virtually

    with database.read() as connection:
        return lived_virtually(connection)


def _refuse_real_messages_after_virtual_time(database: Database, settings: Settings) -> None:
    from runner.engine.versions import load_versions

    if _lived_virtually(database):
        why = "This database has lived in virtual time, so it may only write files"
        _want_files_only(settings, load_versions(database), why)


def _want_something_applied(database: Database) -> None:
    from runner.problem import JourneysError
    from runner.store.journeys.in_force import in_force

    with database.read() as connection:
        if not in_force(connection):
            raise JourneysError(
                "Nothing was applied yet, so there is nothing to run. `journeys apply` stores the journeys."
            )


def _want_files_only(settings: Settings, versions: Versions, why: str) -> None:
    from channels.registry import transport_of
    from runner.problem import JourneysError

    uses = {
        channel.name: transport_of(channel, settings.channels)
        for channel in declared_channels(versions).values()
    }
    others = {name: transport for name, transport in sorted(uses.items()) if transport != "file"}
    if others:
        named = ", ".join(f"{name} uses {transport}" for name, transport in others.items())
        files = ", ".join(f"{name}: {{file: {{folder: outbox/{name}}}}}" for name in others)
        raise JourneysError(
            f"{why}; the channel {named}. With `channels: {{{files}}}` in journeys.yaml it writes files."
        )


@contextmanager
def _progress(begin: datetime, until: datetime) -> Iterator[Callable[[datetime, Lived], None]]:
    """A bar on a terminal, and silence elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _instant, _lived: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.fields[day]}"), BarColumn(), TextColumn("{task.fields[sent]:,} messages"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        total = (until - begin).total_seconds()
        task = bar.add_task("", total=total, day=f"{begin:%Y-%m-%d}", sent=0)

        def show(instant: datetime, lived: Lived) -> None:
            done = (instant - begin).total_seconds()
            bar.update(task, completed=done, day=f"{instant:%Y-%m-%d}", sent=lived.delivered.sent)

        yield show


def _tell_of_others(database: Database, now: datetime) -> None:
    """A line of what another process holds, and is not handed over in here."""
    from runner.insight.present import count_text
    from runner.store.sending.recovery import held_at

    with database.read() as connection:
        count, until = held_at(connection, now)
    if until is not None:
        held = f"{count_text(count, 'message')} {'is' if count == 1 else 'are'} held by another process"
        click.echo(f"{held}; if it is dead, until {until:%Y-%m-%d %H:%M:%S} UTC.")


def _tell(lived: Lived, database: Database, now: datetime) -> None:
    """A line of what was done, one of what is tried again after ``now``, and one of what needs a look."""
    from runner.insight.present import count_text
    from runner.store.sending.recovery import kept_by_pauses, to_try_again

    delivered = lived.delivered
    click.echo(f"{count_text(delivered.sent, 'message')} sent.")
    with database.read() as connection:
        waiting, first = to_try_again(connection, now)
        kept = kept_by_pauses(connection)
    if first is not None:
        wait = "waits for its" if waiting == 1 else "wait for their"
        click.echo(f"{waiting:,} {wait} next attempt, the first at {first:%Y-%m-%d %H:%M:%S} UTC.")
    for journey, count in kept.items():
        click.echo(f"{count_text(count, 'message')} of {journey} kept back: it is paused.")
    troubles = [
        f"{count:,} {what}"
        for count, what in (
            (delivered.failed, "failed"),
            (delivered.blocked, "blocked at the last moment"),
            (delivered.unknown, "unknown"),
        )
        if count
    ]
    if troubles:
        click.echo(f"Also: {', '.join(troubles)}. `journeys status` shows them.")

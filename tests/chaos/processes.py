"""The processes of a campaign: daemons, feeders and the sink, forked from a server that has imported everything.

A new ``journeys run`` costs most of a second of imports; forked it is there at once, so that a thousand kills hit work
and not imports. What runs is the command's own entry, in a process of its own, with its own connections.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

# What the command imports only when it needs it, so that the server has it before it forks.
import apscheduler.schedulers.background  # noqa: F401
import psycopg  # noqa: F401
import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401

import channels.registry  # noqa: F401
import runner.daemon.daemon
import runner.daemon.log
import runner.daemon.process
import runner.store.audit  # noqa: F401
from runner.cli import run as run_command
from runner.clock import utc_now
from runner.journey.project import load_project
from runner.problem import JourneysError
from runner.store.database import Database
from tests.chaos import project
from tests.chaos.sink import Manners, serve

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


class Running:
    """A process that was started, and the file with what it says."""

    def __init__(self, process: ForkServerProcess, log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.is_alive()

    def kill(self) -> None:
        """``kill -9``, and wait until it is gone."""
        self.process.kill()
        self.process.join(30)

    def stop(self) -> None:
        """SIGSTOP."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def terminate(self) -> int | None:
        """SIGTERM; answers the exit code."""
        self.process.terminate()
        self.process.join(30)
        return self.process.exitcode


def start(log: Path, target: Callable[..., object], *arguments: Any) -> Running:
    """Run ``target`` in a process of its own, whose output goes to ``log``."""
    process = _CONTEXT.Process(target=_in_child, args=(log, target, arguments))
    process.start()
    return Running(process, log)


def _in_child(log: Path, target: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115 (for the life of the process)
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    target(*arguments)


def run_daemon(folder: Path, database: str, lease: str, environment: Mapping[str, str]) -> None:
    """``journeys run``."""
    os.environ.update({"CHAOS_DATABASE": database, "CHAOS_SECRET": SECRET, **environment})
    arguments = ["run", "--project", str(folder), "--interval", "1s", "--lease", lease]
    sys.exit(run_command(arguments))


def run_sink(arrivals: Path, manners: Manners, smtp_port: int, http_port: int) -> None:
    """The other side of the channels."""
    serve(arrivals, manners, smtp_port, http_port)


def run_feeder(database: str, acknowledged: Path, pause: float, until: int | None) -> None:
    """Store batch after batch, from the first that was not acknowledged, ``pause`` seconds between two; stop before
    batch ``until``.

    A batch whose number is in ``acknowledged`` is stored. What could not be stored, or might not be, is told as a line
    of JSON and stored again: the same again changes nothing. Only an error that is told to users is expected.
    """
    catalog = load_project(project.FILES).catalog
    store: Database | None = None
    number = acknowledged_batches(acknowledged)
    with acknowledged.open("ab", buffering=0) as file:
        while until is None or number < until:
            try:
                store = store or Database.open(database)
                now = utc_now()
                project.store(store, *project.batch(catalog, number, now), now)
            except JourneysError as error:
                sys.stdout.write(json.dumps({"batch": number, "error": str(error)}) + "\n")
                time.sleep(0.05)
                continue
            file.write(b"%d\n" % number)
            number += 1
            time.sleep(pause)


def acknowledged_batches(acknowledged: Path) -> int:
    """How many batches are known to be stored."""
    return len(acknowledged.read_bytes().splitlines()) if acknowledged.exists() else 0

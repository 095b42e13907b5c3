"""Processes that only deliver, kept by the runner that started them.

One process delivers as fast as one core lets it, because Python runs one thread at a time; more cores need more
processes. Each is an ordinary runner without ticks. Nothing is passed to it but its command and its environment, and a
pipe that nobody writes to: when the pipe ends, the runner that holds its other end is to stop, or is dead, and the
process finishes what it is sending and ends. What a process that is killed held is taken back by its lease.
"""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import IO

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.2
"""Seconds between two looks at the processes."""
LONGEST_PAUSE = 60.0
"""Seconds before a process that keeps ending is started again."""
SOUND_AFTER = 10.0
"""Seconds that a process must have lived for its next start not to wait longer than its last."""
MARGIN = timedelta(seconds=5)
"""What a process gets beyond its own grace before it is killed."""
TRUSTED_AFTER = LONGEST_PAUSE
"""Seconds that a process which takes the place of one that ended must live until it counts as living."""


@dataclass
class _Worker:
    """One place of a process: who has it now, and when the next one may."""

    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    ended: int = 0
    not_before: float = field(default=0.0)


class Workers:
    """``count`` places for processes, and how they fare, for whoever asks. ``kept`` fills them."""

    def __init__(self, count: int) -> None:
        self.places = tuple(_Worker() for _ in range(count))
        self.last_code: int | None = None
        """What the last process to end ended with, negative for a signal; None where none has."""

    @property
    def identities(self) -> tuple[int | None, ...]:
        """The process id at each place."""
        return tuple(process.pid if process else None for process in (each.process for each in self.places))

    @property
    def restarts(self) -> int:
        """How often a process ended, and another was to take its place."""
        return sum(place.ended for place in self.places)

    def trouble(self) -> str | None:
        """Why nothing is delivered: no process lives, or those that do have just taken the place of one that ended."""
        living = [place for place in self.places if place.process is not None]
        if not living and self.last_code is None:
            return "no delivering process has started yet"
        long_ago = time.monotonic() - TRUSTED_AFTER
        if any(not place.ended or place.started <= long_ago for place in living):
            return None
        lives = f"has lived for {TRUSTED_AFTER:.0f} s" if living else "lives"
        return f"no delivering process {lives} (the last one ended with {self.last_code})"


@contextmanager
def kept(
    workers: Workers, command: Sequence[str], *, grace: timedelta, stopping: Callable[[], bool]
) -> Iterator[None]:
    """As long as the block lasts, a process of ``command`` runs at each place; one that ends is started anew.

    Once ``stopping`` is so, and at the end of the block, all are told to finish, and none is started any more; those
    that still run when ``grace`` and MARGIN are over are killed.
    """
    ended = threading.Event()
    keeper = threading.Thread(
        target=_keep, args=(workers, command, lambda: ended.is_set() or stopping()), name="workers"
    )
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()
        _finish(workers.places, grace + MARGIN)


def _keep(workers: Workers, command: Sequence[str], stopping: Callable[[], bool]) -> None:
    """Start what is not running, until it is time to stop; then tell all."""
    while not stopping():
        for place in workers.places:
            if place.process is None:
                if time.monotonic() >= place.not_before:
                    _start(place, command)
            elif (code := place.process.poll()) is not None:
                workers.last_code = code
                _mourn(place, code)
        time.sleep(LOOK_EVERY)
    for place in workers.places:
        _hang_up(place)


def _start(place: _Worker, command: Sequence[str]) -> None:
    place.started = time.monotonic()
    # A session of its own: Ctrl-C on the terminal reaches the runner alone, which tells its processes.
    place.process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603


def _mourn(place: _Worker, code: int) -> None:
    """Note that the process has ended, and when there may be another."""
    assert place.process is not None
    lived = time.monotonic() - place.started
    place.ended += 1
    place.failures = 0 if lived > SOUND_AFTER else place.failures + 1
    pause = min(2.0 ** max(0, place.failures - 1), LONGEST_PAUSE)
    place.not_before = time.monotonic() + pause
    logger.error(
        "a worker process ended; another starts",
        extra={"pid": place.process.pid, "code": code, "pause_seconds": pause},
    )
    _hang_up(place)
    place.process = None


def _hang_up(place: _Worker) -> None:
    if place.process is not None and place.process.stdin is not None:
        place.process.stdin.close()


def _finish(places: Sequence[_Worker], patience: timedelta) -> None:
    """Wait for all that were told to finish, and kill those that do not."""
    deadline = time.monotonic() + patience.total_seconds()
    for place in places:
        if place.process is None:
            continue
        try:
            place.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            logger.error(
                "a worker process is killed: it did not finish in time", extra={"pid": place.process.pid}
            )
            place.process.kill()
            place.process.wait()


def follow(runner: IO[bytes], stop: Callable[[], None]) -> None:
    """In a worker process: ``stop`` when ``runner``, the pipe to the one that started it, ends."""

    def wait() -> None:
        while runner.read(4096):
            pass
        stop()

    threading.Thread(target=wait, name="follow", daemon=True).start()

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


@dataclass
class _Worker:
    """One place of a process: who has it now, and when the next one may."""

    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    not_before: float = field(default=0.0)


@contextmanager
def kept(
    command: Sequence[str], count: int, *, grace: timedelta, stopping: Callable[[], bool]
) -> Iterator[Sequence[Callable[[], int | None]]]:
    """As long as the block lasts, ``count`` processes of ``command`` run; one that ends is started anew.

    Once ``stopping`` is so, and at the end of the block, all are told to finish, and none is started any more; those
    that still run when ``grace`` and MARGIN are over are killed. Yields what answers the process id at each place.
    """
    places = [_Worker() for _ in range(count)]
    ended = threading.Event()
    keeper = threading.Thread(
        target=_keep, args=(places, command, lambda: ended.is_set() or stopping()), name="workers"
    )
    keeper.start()
    try:
        yield [lambda place=place: place.process.pid if place.process else None for place in places]  # type: ignore[misc]
    finally:
        ended.set()
        keeper.join()
        _finish(places, grace + MARGIN)


def _keep(places: Sequence[_Worker], command: Sequence[str], stopping: Callable[[], bool]) -> None:
    """Start what is not running, until it is time to stop; then tell all."""
    while not stopping():
        for place in places:
            if place.process is None:
                if time.monotonic() >= place.not_before:
                    _start(place, command)
            elif (code := place.process.poll()) is not None:
                _mourn(place, code)
        time.sleep(LOOK_EVERY)
    for place in places:
        _hang_up(place)


def _start(place: _Worker, command: Sequence[str]) -> None:
    place.started = time.monotonic()
    # A session of its own: Ctrl-C on the terminal reaches the runner alone, which tells its processes.
    place.process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603


def _mourn(place: _Worker, code: int) -> None:
    """Note that the process has ended, and when there may be another."""
    assert place.process is not None
    lived = time.monotonic() - place.started
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

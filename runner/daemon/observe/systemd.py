"""What systemd is told of a service of ``Type=notify``: that it has started, that it lives, how it is, that it ends.

The protocol is a datagram of ``NAME=value`` lines to a socket that the environment names (sd_notify(3)).
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from runner.daemon.observe.health import Health, Reasons

logger = logging.getLogger(__name__)

STATUS_EVERY = timedelta(seconds=15)
JOIN_SECONDS = 5.0
"""How long the end of the process waits for what is being told."""


def notify(text: str, environ: Mapping[str, str]) -> None:
    """Send ``text`` where ``NOTIFY_SOCKET`` says; nothing where it does not. A socket that is gone is only logged."""
    name = environ.get("NOTIFY_SOCKET", "")
    if not name:
        return
    # A name that begins with @ is abstract: it has no file.
    place = f"\0{name[1:]}" if name.startswith("@") else name
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sending:
            sending.connect(place)
            sending.sendall(text.encode())
    except OSError as error:
        logger.warning("systemd could not be told", extra={"error": str(error)})


def watchdog_every(environ: Mapping[str, str]) -> timedelta | None:
    """How often systemd wants to hear of this process: a third of ``WATCHDOG_USEC``. None where it does not."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return timedelta(microseconds=int(microseconds)) / 3


@contextmanager
def telling_systemd(health: Health, environ: Mapping[str, str]) -> Iterator[None]:
    """Tell systemd of this process as long as the block lasts, if it wants to know.

    The watchdog hears nothing while the process is not healthy, and then systemd ends it and starts another. Started
    it is at once: what it cannot reach is in its status, and starting it anew would not help.
    """
    if not environ.get("NOTIFY_SOCKET"):
        yield
        return
    over = threading.Event()
    teller = threading.Thread(target=_tell, args=(health, environ, over), name="systemd", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join(JOIN_SECONDS)
        notify("STOPPING=1\nSTATUS=stopped", environ)


def _tell(health: Health, environ: Mapping[str, str], over: threading.Event) -> None:
    watchdog = watchdog_every(environ)
    every = min(watchdog or STATUS_EVERY, STATUS_EVERY).total_seconds()
    first = "READY=1\n"
    while True:
        alive = "" if watchdog is None or health.unhealthy() else "WATCHDOG=1\n"
        reasons = health.unready()
        notify(f"{first}{alive}STATUS={_status(reasons)}", environ)
        first = ""
        # What it waits for may be there in a moment.
        if over.wait(min(every, 1.0) if reasons else every):
            return


def _status(reasons: Reasons) -> str:
    return f"not ready: {'; '.join(reasons)}".replace("\n", " ") if reasons else "ready"

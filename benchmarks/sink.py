"""An SMTP server in a process of its own that takes everything and keeps nothing: as cheap as Python allows.

It prints its port; when its standard input ends it prints how many messages came and what it spent, and is gone.

    python -m benchmarks.sink
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

GREETING = b"220 sink\r\n"
HELLO = b"250-sink\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n"
ANSWERS = {b"EHLO": HELLO, b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}


@dataclass
class Sink:
    """A running sink: where it listens, and what it said at its end."""

    port: int
    messages: int = 0
    cpu_seconds: float = 0.0
    process: subprocess.Popen[str] = field(repr=False, default=None)  # type: ignore[assignment]

    def spent(self) -> float:
        """Seconds of processors so far, in hundredths (Linux tells them)."""
        told = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def a_sink() -> Iterator[Sink]:
    """A sink in a process of its own, which ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sink"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    sink = Sink(port=int(process.stdout.readline()), process=process)
    try:
        yield sink
    finally:
        told, _ = process.communicate()
        said = json.loads(told)
        sink.messages, sink.cpu_seconds = said["messages"], said["cpu_seconds"]


def main() -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listening.getsockname()[1], flush=True)
    counts: list[int] = []

    def accept() -> None:
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=serve, args=(connection, counts), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()
    print(json.dumps({"messages": sum(counts), "cpu_seconds": time.process_time()}), flush=True)


def serve(connection: socket.socket, counts: list[int]) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(GREETING)
    waiting = b""
    within_data = False
    while piece := connection.recv(262_144):
        waiting += piece
        answer = b""
        while True:
            end = waiting.find(b"\r\n.\r\n" if within_data else b"\r\n")
            if end < 0:
                break
            if within_data:
                waiting, within_data = waiting[end + 5 :], False
                counts.append(1)
                answer += b"250 taken\r\n"
                continue
            verb, waiting = waiting[:4].upper(), waiting[end + 2 :]
            within_data = verb == b"DATA"
            answer += ANSWERS.get(verb, b"250 fine\r\n")
        if answer:
            connection.sendall(answer)


if __name__ == "__main__":
    main()

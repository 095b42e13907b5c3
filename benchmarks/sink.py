"""An SMTP server in a process of its own that takes everything and keeps nothing: as cheap as Python allows.

It stands for a server on another machine, so what it takes of this one's processors is to be little: one thread that
waits for all connections at once, and one buffer into which whatever comes is read.

It prints its port; when its standard input ends it prints how many messages came and what it spent, and is gone.

    python -m benchmarks.sink
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

GREETING = b"220 sink\r\n"
HELLO = b"250-sink\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n"
ANSWERS = {b"EHLO": HELLO, b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}
FINE = b"250 fine\r\n"
TAKEN = b"250 taken\r\n"
END_OF_LINE = b"\r\n"
END_OF_DATA = b"\r\n.\r\n"
PIECE = 262_144
"""Bytes that are read at a time."""


@dataclass
class Sink:
    """A running sink: where it listens, and what it said at its end."""

    port: int
    messages: int = 0
    cpu_seconds: float = 0.0
    process: subprocess.Popen[str] = field(repr=False, default=None)  # type: ignore[assignment]

    def spent(self) -> float:
        """Seconds of processors so far (Linux tells them)."""
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0]) / 1e9


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


@dataclass
class Connection:
    """What has come over a connection and is not complete yet, and how many messages did."""

    socket: socket.socket
    waiting: bytes = b""
    within_data: bool = False
    messages: int = 0

    def answer(self, piece: bytes) -> bytes:
        """What is to be said to ``piece``, and to what came before it."""
        if self.waiting:
            piece = self.waiting + piece
        said, place = b"", 0
        while (end := piece.find(END_OF_DATA if self.within_data else END_OF_LINE, place)) >= 0:
            if self.within_data:
                self.messages, self.within_data = self.messages + 1, False
                said, place = said + TAKEN, end + len(END_OF_DATA)
                continue
            verb = piece[place : place + 4].upper()
            said += ANSWERS.get(verb, FINE)
            self.within_data = verb == b"DATA"
            # The line break of DATA begins the end of a message that is empty.
            place = end if self.within_data else end + len(END_OF_LINE)
        self.waiting = piece[place:]
        return said


def main() -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listening.getsockname()[1], flush=True)
    messages = served(listening, until=sys.stdin.fileno())
    print(json.dumps({"messages": messages, "cpu_seconds": time.process_time()}), flush=True)


def served(listening: socket.socket, until: int) -> int:
    """Serve whoever connects, until the file ``until`` ends; answers how many messages came."""
    ears = listening.fileno()
    connections: dict[int, Connection] = {}
    messages = 0
    buffer = bytearray(PIECE)
    read = memoryview(buffer)
    with select.epoll() as waiting:
        waiting.register(until, select.EPOLLIN)
        waiting.register(ears, select.EPOLLIN)
        while True:
            for number, _ in waiting.poll():
                if number == until:
                    return messages + sum(each.messages for each in connections.values())
                if number == ears:
                    accepted, _ = listening.accept()
                    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    accepted.sendall(GREETING)
                    connections[accepted.fileno()] = Connection(accepted)
                    waiting.register(accepted, select.EPOLLIN)
                    continue
                connection = connections[number]
                size = connection.socket.recv_into(buffer)
                if size:
                    if answer := connection.answer(bytes(read[:size])):
                        connection.socket.sendall(answer)
                else:
                    messages += connection.messages
                    waiting.unregister(number)
                    connections.pop(number).socket.close()


if __name__ == "__main__":
    main()

"""An SMTP session that ends: ``smtplib`` waits for each read anew, keeps a reply however long it becomes, and logs in
with ASCII alone."""

from __future__ import annotations

import io
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

LONGEST_REPLY = 65_536
"""Bytes of one reply that are read; RFC 5321 has lines of 512, and no server has a hundred of them."""


class Session(smtplib.SMTP):
    """A connection to a server. ``timeout`` seconds hold for each of its answers, ``deadline`` (of the monotonic clock)
    for all that is done until another is set. ``implicit``: TLS from the first byte."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        local_hostname: str | None,
        timeout: float,
        deadline: float,
        implicit: ssl.SSLContext | None = None,
    ) -> None:
        self.deadline = deadline
        self._implicit = implicit
        self._room = LONGEST_REPLY
        super().__init__(host, port, local_hostname=local_hostname, timeout=timeout)

    def send(self, s: Any) -> None:
        """Send ``s`` before the deadline."""
        if self.sock is not None:
            self.sock.settimeout(self._left())
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        """The next reply, before the deadline. Raises SMTPServerDisconnected for one that does not end."""
        self._room = LONGEST_REPLY
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(_Incoming(self.receive))
        return super().getreply()

    def receive(self, buffer: Any) -> int:
        """Read what there is into ``buffer``, and answer how much."""
        if self._room <= 0:
            raise OSError("a reply without an end")
        assert self.sock is not None
        self.sock.settimeout(self._left())
        count = self.sock.recv_into(buffer)
        self._room -= count
        return count

    def auth(self, mechanism: str, authobject: Any, *, initial_response_ok: bool = True) -> tuple[int, bytes]:
        """Log in by ``mechanism``; names and passwords are UTF-8 (RFC 4616)."""

        def said(challenge: Any = None, /) -> Any:
            answer = authobject(challenge)
            return None if answer is None else Utf8(answer)

        return super().auth(mechanism, said, initial_response_ok=initial_response_ok)

    def _get_socket(self, host: str, port: int, _timeout: float) -> socket.socket:
        trouble = OSError("the name has no address")
        for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                plain = socket.create_connection((str(address[0]), port), self._left())
            except OSError as error:
                trouble = error
                continue
            return self._implicit.wrap_socket(plain, server_hostname=host) if self._implicit else plain
        raise trouble

    def _left(self) -> float:
        """For how many seconds the server may be waited for now."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the attempt as a whole took too long")
        return min(float(self.timeout), left)


class Utf8(str):
    """Text that ``smtplib`` takes for ASCII. Bytes of the environment that are no UTF-8 stay as they are."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:  # noqa: ARG002
        return super().encode("utf-8", "surrogateescape")


class _Incoming(io.RawIOBase):
    """What comes in, as something to read lines from."""

    def __init__(self, receive: Callable[[Any], int]) -> None:
        super().__init__()
        self._receive = receive

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._receive(buffer)

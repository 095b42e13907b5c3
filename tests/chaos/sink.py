"""The other side of all channels, a process of its own: an SMTP server and a webhook receiver that note each arrival.

An arrival is a line of JSON in a file, written before the answer is given: what the runner was told, it has, and what
it was not told, it may have. ``Manners`` say how badly the SMTP server behaves.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path

from tests.chaos.project import Wanted

LATE = "late answers to the final dot"


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A message that came in: its key (the Message-ID, or the idempotency key) and what it was."""

    key: str
    what: Wanted


@dataclass(frozen=True, kw_only=True)
class Manners:
    """How often, of a thousand times, the SMTP server answers a connection with 421, a recipient with 4xx or 5xx, and
    the final dot with a late 250 (``late_seconds``). The refused recipient is refused for good in each attempt."""

    busy: int = 0
    later: int = 0
    never: int = 0
    late: int = 0
    late_seconds: float = 0.0
    answer_seconds: float = 0.01
    seed: int = 0


class Sink:
    """Serves until its process ends."""

    def __init__(self, arrivals: Path, manners: Manners) -> None:
        self._log = os.open(arrivals, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._manners = manners
        self._chance = random.Random(manners.seed)

    async def smtp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of SMTP (RFC 5321): no TLS, no login."""

        def say(text: str) -> None:
            writer.write(text.encode() + b"\r\n")

        if self._happens(self._manners.busy):
            say("421 too busy")
            writer.close()
            return
        say("220 sink")
        while line := await reader.readline():
            word = line[:4].upper()
            if word == b"DATA":
                say("354 go on")
                await writer.drain()
                content = await reader.readuntil(b"\r\n.\r\n")
                self._note_mail(content)
                late = self._happens(self._manners.late)
                if late:
                    os.write(1, f"{LATE}\n".encode())
                await asyncio.sleep(self._manners.late_seconds if late else self._manners.answer_seconds)
                say("250 taken")
            elif word == b"RCPT":
                say(self._recipient(line))
            elif word in (b"EHLO", b"HELO"):
                say("250-sink\r\n250 8BITMIME")
            elif word == b"QUIT":
                say("221 bye")
                break
            else:
                say("250 fine")
            await writer.drain()

    async def http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One call over HTTP/1.1."""
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
        body = json.loads(await reader.readexactly(int(fields["content-length"])))["data"]
        await asyncio.sleep(self._manners.answer_seconds)
        self._note(fields["idempotency-key"], Wanted(body["contact"], "hook", body["subject"]))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()

    def _recipient(self, line: bytes) -> str:
        if self._happens(self._manners.later):
            return "451 try again later"
        # Somebody whom the server does not know, it does not know the next time either.
        if random.Random(f"{self._manners.seed} {line!r}").randrange(1000) < self._manners.never:
            return "550 nobody of that name"
        return "250 fine"

    def _happens(self, per_thousand: int) -> bool:
        return self._chance.randrange(1000) < per_thousand

    def _note_mail(self, content: bytes) -> None:
        self._note(*read_mail(content, "email"))

    def _note(self, key: str, what: Wanted) -> None:
        os.write(self._log, f"{json.dumps([key, what.contact, what.channel, what.subject])}\n".encode())


def read_mail(content: bytes, channel: str) -> tuple[str, Wanted]:
    """The key of a mail and what it is; the address is that of the contact."""
    headers = BytesHeaderParser().parsebytes(content)
    key = headers["Message-ID"].strip("<>").partition("@")[0]
    person = headers["To"].strip("<>").partition("@")[0]
    return key, Wanted(person, channel, headers["Subject"])


def read_arrivals(arrivals: Path, outbox: Path) -> list[Arrival]:
    """All that came in, through the servers and as files."""
    found: list[Arrival] = []
    if arrivals.exists():
        for line in arrivals.read_text(encoding="utf-8").splitlines():
            key, contact, channel, subject = json.loads(line)
            found.append(Arrival(key=key, what=Wanted(contact, channel, subject)))
    for path in sorted(outbox.glob("*.json")):
        if not path.read_bytes().endswith(b"\n"):
            raise AssertionError(f"{path.name} is not whole")
        data = json.loads(path.read_bytes())["data"]
        what = Wanted(data["contact"], "paper", data["subject"])
        found.append(Arrival(key=data["id"], what=what))
    return found


def serve(arrivals: Path, manners: Manners, smtp_port: int, http_port: int) -> None:
    """Serve on these ports of loopback until the process is ended."""

    async def forever() -> None:
        sink = Sink(arrivals, manners)

        async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, mail: bool) -> None:
            try:
                await (sink.smtp if mail else sink.http)(reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        async def mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await quiet(reader, writer, mail=True)

        async def hook(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await quiet(reader, writer, mail=False)

        await asyncio.start_server(mail, "127.0.0.1", smtp_port)
        await asyncio.start_server(hook, "127.0.0.1", http_port)
        await asyncio.Event().wait()

    asyncio.run(forever())
